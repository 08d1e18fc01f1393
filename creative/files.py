"""Files written whole or not at all, and what to say when the disk will not have them.

with replacing(Path("out/painted.png")) as beside:
    beside.write_bytes(data)
# only now is out/painted.png there, or the new one in place of the old
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import os
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path beside ``path`` to write to; when the block ends well, that file is flushed and takes ``path``'s place.

    When the block ends in an error, Ctrl-C or a full disk, what was at ``path`` stays as it was and nothing is left
    beside it. Missing folders are made.

    Raises:
        OSError: the file cannot be written; ``explain`` puts it in a sentence.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.parent / f".{secrets.token_hex(8)}.tmp"
    try:
        beside.touch()
        mode = beside.stat().st_mode  # as the user's mask has it, whatever a library that writes there thinks of it
        yield beside
        beside.chmod(mode)
        with beside.open("rb+") as file:
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)


def check_writable(path: Path) -> None:
    """Find out before a long job whether ``path`` can be written after it.

    Raises:
        OSError: it is a folder, or its own folder cannot be made or written to.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "is a folder", str(path))
    folder = path.parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "is not a folder", str(folder))
    with tempfile.TemporaryFile(dir=folder):
        pass


def explain(error: OSError, path: Path) -> str:
    """One sentence on why ``path`` could not be written."""
    reasons = {
        errno.ENOSPC: "the disk is full",
        errno.EDQUOT: "the disk quota is used up",
        errno.EFBIG: "the file would be too large for this disk",
        errno.EACCES: "you have no permission to write there",
        errno.EPERM: "you have no permission to write there",
        errno.EROFS: "the disk is read-only",
        errno.EISDIR: "there is a folder of that name",
        errno.ENOTDIR: f"{shown(error.filename or path.parent)} is not a folder",
        errno.EEXIST: f"{shown(path.parent)} is not a folder",
        errno.ENAMETOOLONG: "the name is too long",
        errno.ENOENT: "there is no such folder",
    }
    reason = reasons.get(error.errno or 0, error.strerror or str(error))
    return f"Could not write {shown(path)}: {reason}."


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal; worked out once for a file that does not change."""
    status = path.stat()
    return _file_sha256(path.resolve(), status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=4096)
def _file_sha256(path: Path, size: int, modified: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def plain_name(path: str | os.PathLike[str]) -> str:
    """A file's own name without its folders, fit for JSON whatever bytes it is made of."""
    return os.path.basename(os.fspath(path)).encode("utf-8", "replace").decode("utf-8")  # noqa: PTH119 (odd bytes pass)


def shown(path: str | os.PathLike[str]) -> str:
    """A path, or any text of others, as a sentence can have it: one line, no control characters, not endless."""
    text = "".join(letter if letter.isprintable() else "?" for letter in os.fspath(path))
    return text if len(text) <= 160 else f"{text[:70]}...{text[-70:]}"
