"""Pictures that were uploaded one by one, as the folder that a training takes. No gradio here."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path


def gathered(paths: Sequence[str], folder: Path, name: str) -> Path:
    """A zip as it is; pictures as a folder of them, below ``folder`` and called ``name``.

    Raises:
        ValueError: a zip together with other files.
    """
    files = [Path(path) for path in paths]
    if len(files) == 1 and files[0].suffix.lower() == ".zip":
        return files[0]
    if any(file.suffix.lower() == ".zip" for file in files):
        raise ValueError("Give one zip, or pictures, not both: what belongs together goes into one zip.")
    key = hashlib.sha256("\n".join(sorted(map(str, files))).encode()).hexdigest()[:16]
    target = folder / "gathered" / key / name
    if not target.is_dir():
        beside = target.with_name(f"{name}.part")
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        for number, file in enumerate(files):
            _link(file, beside / f"{number:05d}-{file.name}")
        beside.rename(target)
    return target


def _link(file: Path, to: Path) -> None:
    try:
        os.link(file, to)
    except OSError:  # another disk
        shutil.copyfile(file, to)
