"""Folders of pictures: what is found, held out and skipped, and that a crop depends on its draw alone."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from creative.data import pictures
from creative.data.draws import Draw
from creative.data.pictures import (
    AugmentedPictures,
    PackedPictures,
    PicturesError,
    centre_crops,
    find_pictures,
    imagenet_labels,
    pack_pictures,
    split_pictures,
)
from creative.progress import Step, run


def paint(path: Path, width: int = 60, height: int = 40, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    small = Image.fromarray(random.integers(0, 256, (6, 8, 3), np.uint8))
    small.resize((width, height), Image.Resampling.BICUBIC).save(path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(6):
        paint(tmp_path / "data" / f"{number}.jpg", 60 + number, 40, number)
    return tmp_path / "data"


def packed(folder: Path, **options: int) -> PackedPictures:
    return run(pack_pictures(find_pictures([folder]), folder.parent / "cache", **options))


def test_pictures_are_found_below_the_folders(folder: Path) -> None:
    paint(folder / "deep" / "er" / "x.PNG")
    (folder / "notes.txt").write_text("no picture")
    names = [path.name for path in find_pictures([folder, folder])]
    assert names == ["0.jpg", "1.jpg", "2.jpg", "3.jpg", "4.jpg", "5.jpg", "x.PNG"]


def test_missing_and_empty_folders_are_told(tmp_path: Path) -> None:
    with pytest.raises(PicturesError, match="There is no folder"):
        find_pictures([tmp_path / "nowhere"])
    with pytest.raises(PicturesError, match="No picture was found"):
        find_pictures([tmp_path])


def test_packed_pictures_are_the_files_shrunk(folder: Path) -> None:
    small = packed(folder, short_side=20)
    assert small.shapes[0] == (20, 30)
    assert packed(folder, short_side=200).shapes[1] == (40, 61)  # never enlarged
    whole = packed(folder, short_side=40)
    assert np.array_equal(whole[2], np.asarray(Image.open(folder / "2.jpg").convert("RGB")))
    assert not whole[2].flags.writeable


def test_damaged_files_are_skipped_counted_and_named(folder: Path) -> None:
    (folder / "2.jpg").write_bytes((folder / "2.jpg").read_bytes()[:300])
    (folder / "3.jpg").write_bytes(b"not a picture")
    messages: list[str] = []
    found = run(
        pack_pictures(find_pictures([folder]), folder.parent / "cache"),
        lambda step: messages.append(step.message or ""),
    )
    assert [path.name for path in found.files] == ["0.jpg", "1.jpg", "4.jpg", "5.jpg"]
    assert [path.name for path, _ in found.skipped] == ["2.jpg", "3.jpg"]
    assert any("Skipped" in message and "3.jpg" in message for message in messages)
    assert "skipped 2" in messages[-1]
    assert np.array_equal(found[3], np.asarray(Image.open(folder / "5.jpg").convert("RGB")))


def test_nothing_readable_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x.jpg").write_bytes(b"no")
    with pytest.raises(PicturesError, match=r"None of 1 files .*x.jpg"):
        packed(tmp_path / "data")
    assert list((tmp_path / "cache").iterdir()) == []


def test_the_cache_is_used_again_until_a_file_changes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = packed(folder)
    decoded: list[Path] = []
    decode = pictures._decode
    monkeypatch.setattr(pictures, "_decode", lambda file, side: decoded.append(file) or decode(file, side))  # type: ignore[func-returns-value]
    again = packed(folder)
    assert not decoded
    assert again.files == first.files
    assert np.array_equal(again[5], first[5])
    paint(folder / "5.jpg", 70, 50, seed=99)
    assert packed(folder).shapes[5] == (50, 70)
    assert decoded


def test_cancelling_leaves_no_half_written_file(folder: Path) -> None:
    for number in range(10, 60):
        paint(folder / f"{number}.jpg")
    engine = pack_pictures(find_pictures([folder]), folder.parent / "cache")
    assert next(engine) == Step(0, 56, message="Decoding 56 pictures.")
    next(engine)
    engine.close()
    assert list((folder.parent / "cache").iterdir()) == []


def test_held_out_files(tmp_path: Path) -> None:
    labelled = [paint(tmp_path / "sample" / f"n{number:08d}_thing.jpg", 8, 8) for number in range(21)]
    plain = [paint(tmp_path / "more" / f"{number}.jpg", 8, 8) for number in range(5)]
    paint(tmp_path / "more" / "test" / "0.jpg", 8, 8)
    aerial = [paint(tmp_path / "aerial" / "images" / f"{number}.jpg", 8, 8) for number in range(3)]
    captions = [{"file": f"{n}.jpg", "split": split} for n, split in enumerate(("train", "test", "val"))]
    (tmp_path / "aerial" / "captions.json").write_text(json.dumps(captions))
    train, held_out = split_pictures(find_pictures([tmp_path]))
    assert held_out == labelled[::10]
    assert set(train) == (set(labelled) - set(held_out)) | set(plain) | {aerial[0]}


def test_without_labels_every_tenth_is_held_out(tmp_path: Path) -> None:
    files = [paint(tmp_path / f"{number:02d}.jpg", 8, 8) for number in range(12)]
    train, held_out = split_pictures(find_pictures([tmp_path]))
    assert held_out == [files[0], files[10]]
    assert len(train) == 10


def test_a_crop_is_a_function_of_its_draw(folder: Path) -> None:
    dataset = AugmentedPictures(packed(folder), 32)
    crop = dataset[Draw(1, 5)]
    assert crop.shape == (3, 32, 32)
    assert crop.dtype == torch.uint8
    torch.rand(7)  # somebody else draws numbers in between
    assert torch.equal(pickle.loads(pickle.dumps(dataset))[Draw(1, 5)], crop)
    assert not torch.equal(dataset[Draw(1, 6)], crop)
    assert not torch.equal(dataset[Draw(2, 5)], crop)


def test_half_of_the_crops_are_mirrored(folder: Path) -> None:
    ramp = np.linspace(0, 255, 60, dtype=np.uint8)[None, :, None].repeat(40, 0).repeat(3, 2)
    Image.fromarray(ramp).save(folder / "ramp.png")
    files = packed(folder)
    dataset = AugmentedPictures(files, 16, strength=0)
    index = [path.name for path in files.files].index("ramp.png")
    crops = torch.stack([dataset[Draw(index, seed)] for seed in range(60)]).float()
    mirrored = crops[..., 0].mean((1, 2)) > crops[..., -1].mean((1, 2))
    assert 15 < mirrored.sum() < 45
    assert (crops.std(2) < 1).all()  # rows are equal: nothing was turned or sheared


def test_colours_change_but_stay_near_on_average(folder: Path) -> None:
    grey = Image.new("RGB", (50, 50), (128, 128, 128))
    grey.save(folder / "grey.png")
    files = packed(folder)
    index = [path.name for path in files.files].index("grey.png")
    crops = torch.stack([AugmentedPictures(files, 32)[Draw(index, seed)] for seed in range(200)]).float()
    means = crops.mean((1, 2, 3))
    assert means.std() > 10
    assert abs(means.mean() - 128) < 10
    assert (crops.mean((2, 3)) - means[:, None]).abs().max() < 4  # grey stays grey under saturation and hue


def test_centre_crops(folder: Path) -> None:
    files = packed(folder)
    crops = centre_crops(files, 40)
    middle = torch.from_numpy(np.array(files[0][:, 10:50])).permute(2, 0, 1) / 255
    torch.testing.assert_close(crops[0], middle, atol=1e-5, rtol=0)
    assert torch.equal(centre_crops(files, 40, places=[2, 0]), crops[[2, 0]])


def test_labels_from_names_tell_two_cranes_apart() -> None:
    classes = ["tench", "crane", "cardigan", "stole", "crane", "great white shark"]
    files = ["n01_x.jpg", "n00000001_tench.jpg", "n00000002_crane.jpg", "n00000007_crane.jpg", "n00000009_nothing.jpg"]
    assert imagenet_labels([Path(name) for name in files], classes).tolist() == [-1, 0, 1, 4, -1]


def test_labels_of_the_real_sample(shared_data: Path) -> None:
    pytest.importorskip("torchvision")
    from torchvision.models._meta import _IMAGENET_CATEGORIES

    files = sorted((shared_data / "imagenet_sample").iterdir())
    labels = imagenet_labels(files, _IMAGENET_CATEGORIES)
    assert (labels >= 0).float().mean() > 0.97
    known = labels[labels >= 0]
    assert (known[1:] > known[:-1]).all()  # WordNet ids and indices rise together
