"""The example that trains a GAN: it runs, on landscapes of its own and on a folder, and leaves what it says."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from creative.engines.training import Draw

EXAMPLE = Path(__file__).parent.parent / "examples" / "train_gan.py"


@pytest.fixture(scope="module")
def example() -> dict[str, Any]:
    return runpy.run_path(str(EXAMPLE))


def run_with(example: dict[str, Any], monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["train_gan.py", *arguments])
    threads = torch.get_num_threads()
    example["main"]()
    torch.set_num_threads(threads)


def test_it_leaves_a_sheet_and_a_network(
    example: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_with(example, monkeypatch, "--steps", "3", "--size", "16", "--width", "2", "-o", str(tmp_path))
    assert (tmp_path / "best.safetensors").is_file()
    sheet = Image.open(tmp_path / "sheet.png")
    assert sheet.size == (12 * 18 * 2, 9 * 18 * 2)  # a real row, seven drawn ones, a walk
    assert len(sheet.convert("RGB").getcolors(10**6) or ()) > 100


def test_it_learns_from_a_folder(
    example: dict[str, Any], photo: Image.Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "photos").mkdir()
    for number in range(3):
        photo.rotate(number).save(tmp_path / "photos" / f"{number}.png")
    folder = str(tmp_path / "photos")
    run_with(
        example, monkeypatch, "--pictures", folder, "--steps", "2", "--size", "8", "--width", "2", "-o", str(tmp_path)
    )
    assert (tmp_path / "sheet.png").is_file()


def test_its_landscapes_differ_by_seed_alone(example: dict[str, Any]) -> None:
    landscapes = example["Landscapes"](16)
    assert torch.equal(landscapes[Draw(0, 7)], landscapes[Draw(5, 7)])
    assert not torch.equal(landscapes[Draw(0, 7)], landscapes[Draw(0, 8)])
    pictures = torch.stack([landscapes[Draw(0, seed)] for seed in range(20)]).float()
    assert pictures[:, :, :4].mean() > pictures[:, :, -4:].mean() + 40  # the sky is above
