"""What a borrowed machine takes along: small pictures, the same ones held out, and a run that goes on."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from creative.data.pictures import find_pictures, split_pictures
from creative.engines.features import distillation
from creative.models.features import load_classifier

ROOT = Path(__file__).resolve().parent.parent
TEACHERS = ROOT / "../shared/data/weights"
NAMES = ("squeezenet1_0_imagenet.safetensors", "mobilenet_v2_imagenet.safetensors")


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "benchmarks" / "features_on_a_gpu.py"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The layout of the shared data, with noise for pictures and, where they are here, the real teachers."""
    folder = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(0)
    names = {
        "imagenet_sample": [f"n{n:08d}_thing_{n}.jpg" for n in range(21)],
        "objects": [f"kind_{n}.png" for n in range(40)],
        "aerial_captions/images": [f"{n % 3}_{n}.jpg" for n in range(8)],
        "monet2photo/photo/train": [f"{n}.jpg" for n in range(6)],
        "monet2photo/photo/test": ["left_out.jpg"],
    }
    for place, files in names.items():
        for name in files:
            (folder / place).mkdir(parents=True, exist_ok=True)
            Image.fromarray(random.integers(0, 256, (90, 120, 3), np.uint8)).save(folder / place / name)
    splits = [{"file": name, "split": "val" if name[0] == "0" else "train", "sentences": ["A field."]}
              for name in names["aerial_captions/images"]]  # fmt: skip
    (folder / "aerial_captions" / "captions.json").write_text(json.dumps(splits))
    (folder / "weights").mkdir()
    for name in NAMES:
        known = TEACHERS / name
        (folder / "weights" / name).write_bytes(known.read_bytes() if known.is_file() else b"none")
    return folder


def stems(files: list[Path], folder: Path) -> list[str]:
    return [str(file.relative_to(folder).with_suffix("")) for file in files]


def folders(script: dict[str, Any], data: Path) -> list[Path]:
    return [data / name for name in script["FOLDERS"]]


def test_the_same_photos_are_held_out_and_the_budget_is_kept(
    script: dict[str, Any], data: Path, tmp_path: Path
) -> None:
    whole = script["pack"](data, tmp_path / "whole", 100, 48, 60)
    assert whole == sum(file.stat().st_size for file in (tmp_path / "whole").rglob("*") if file.is_file())
    train, held_out = split_pictures(find_pictures(folders(script, data)))
    packed_train, packed_held_out = split_pictures(find_pictures(folders(script, tmp_path / "whole")))
    assert stems(packed_train, tmp_path / "whole") == stems(train, data)
    assert stems(packed_held_out, tmp_path / "whole") == stems(held_out, data)
    with Image.open(packed_train[0]) as picture:
        assert picture.format == "WEBP"
        assert picture.size == (64, 48)

    teachers = sum((data / "weights" / name).stat().st_size for name in NAMES)
    half = teachers / 1e6 + 0.7 * (whole - teachers) / 1e6
    size = script["pack"](data, tmp_path / "half", half, 48, 60)
    assert 0.8 * half < size / 1e6 <= half
    _, packed_held_out = split_pictures(find_pictures(folders(script, tmp_path / "half")))
    assert stems(packed_held_out, tmp_path / "half") == stems(held_out, data)
    objects = sorted((tmp_path / "half" / "objects").iterdir())
    assert 5 < len(objects) < 40
    assert int(objects[-1].stem.split("_")[1]) > 4  # evenly spaced, not the first ones


def test_a_run_is_handed_back_in_parts_and_taken_up_again(
    script: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, out = tmp_path / "run", tmp_path / "back"
    (run / "pictures").mkdir(parents=True)
    out.mkdir()
    (run / "pictures" / "pixels.bin").write_bytes(b"large")
    state = np.random.default_rng(0).bytes(5000)
    (run / "last.safetensors").write_bytes(state)
    (run / "metrics.csv").write_text("step\n1\n")
    monkeypatch.setitem(script["_hand_back"].__globals__, "PART", 3000)
    monkeypatch.setenv("OUT", str(out))
    script["_hand_back"](run)
    parts = sorted(path.name for path in out.iterdir())
    assert parts[0] == "metrics.csv"
    assert len(parts) > 4
    assert all(path.stat().st_size <= 3000 for path in out.iterdir())
    script["_join"](out, tmp_path / "again")
    assert (tmp_path / "again" / "last.safetensors").read_bytes() == state
    assert not (tmp_path / "again" / "pictures").exists()


def test_three_steps_in_two_calls(
    script: dict[str, Any],
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if not (TEACHERS / NAMES[0]).is_file():
        pytest.skip("the teachers' weights are not here: ../shared/data/weights")
    monkeypatch.delenv("OUT", raising=False)
    monkeypatch.setattr(distillation, "CALIBRATION", 8)
    folder = tmp_path / "gpu"
    script["pack"](data, folder, 100, 64, 60)
    small = ["batch_size=4", "workers=0", "crop=64", "short_side=64", "log_every=1", "save_every=1"]
    assert not script["train"](folder, 3, 0, small, "cpu")
    assert script["train"](folder, 3, 5, small, "cpu")
    network = load_classifier(weights=folder / "run" / "features.safetensors")
    assert len(network.classes) == 1000
    assert "agreement" in capsys.readouterr().out
