"""Training a CycleGAN: it learns, goes on as if never stopped, stops when it fails, says what is wrong with folders."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from apart import by_two, until_done
from PIL import Image
from toy_cyclegan import SETTINGS, draw, job

from creative.blocks.gan import GANError
from creative.checkpoint import load_checkpoint, read_metadata, save_checkpoint
from creative.data.draws import Draw
from creative.data.pictures import PicturesError
from creative.data.unpaired import UnpairedCrops, find_domains, pack_domains, warnings
from creative.device import DeviceError
from creative.engines.cyclegan import train_cyclegan
from creative.engines.cyclegan.alarms import Alarms
from creative.engines.cyclegan.looks import LAYERS, STYLE, StyleBank, style_distance
from creative.engines.training import TrainingError
from creative.images import to_tensor
from creative.models.cyclegan import load_generator
from creative.models.features import load_features
from creative.options.cyclegan import PAPER, TrainCycleGANSettings
from creative.progress import run
from creative.settings import SettingsError

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kinds")
    draw(folder / "hills", "hills")
    draw(folder / "stripes", "stripes")
    return folder


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was never stopped, with all that it told."""
    folder = tmp_path_factory.mktemp("whole")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    train(data, folder)
    torch.set_num_threads(before)
    return folder


def train(
    data: Path, folder: Path, on_step: Any = None, *, a: str = "hills", b: str = "stripes", **changed: Any
) -> Path:
    extra = {key: changed.pop(key) for key in ("start_from", "resume") if key in changed}
    settings = SETTINGS.changed(**changed)
    return run(train_cyclegan(data / a, data / b, settings, folder, device="cpu", **extra), on_step)


def networks(folder: Path, file: str = "best.safetensors") -> dict[str, torch.Tensor]:
    return load_checkpoint(folder / file).tensors


# It learns


def test_one_file_holds_both_directions_and_tells_how_they_were_made(whole: Path) -> None:
    metadata = read_metadata(whole / "best.safetensors")
    assert metadata["config"]["domain_a"], metadata["config"]["domain_b"] == ("hills", "stripes")
    assert metadata["config"]["pictures"]["a"]["count"] == 24
    assert {"kernel_distance", "kernel_distance_a_to_b", "content_distance_b_to_a"} <= set(
        metadata["training"]["metrics"]
    )
    picture = torch.rand(1, 3, 40, 36)
    for direction in ("a_to_b", "b_to_a"):
        translated = load_generator(whole / "best.safetensors", direction).translate(picture)
        assert translated.shape == picture.shape
        assert not torch.equal(translated, picture)
    kinds = {name.split(".")[0] for name in networks(whole)}
    assert kinds == {"a_to_b", "b_to_a", "discriminator_a", "discriminator_b", "critic_a", "critic_b", "looks"}


def test_translations_come_nearer_to_the_wanted_kind(data: Path, tmp_path: Path) -> None:
    style: dict[str, Any] = {"patch_weight": 0.0, "feature_weight": 0.0, "identity_weight": 0.0, "cycle_weight": 0.1}
    path = train(
        data, tmp_path, steps=80, evaluate_every=80, learning_rate=2e-2, backwards_every=1, alarms=False, **style
    )
    hills, stripes = (_pixels(data / kind) for kind in ("hills", "stripes"))
    translated = load_generator(path, "a_to_b").translate(hills)
    apart = (stripes.mean() - hills.mean()).abs()
    assert (translated.mean() - stripes.mean()).abs() < 0.6 * apart  # they are brighter
    back = load_generator(path, "b_to_a").translate(stripes)
    assert (back.mean() - hills.mean()).abs() < 0.9 * apart


def test_discriminators_learn_to_tell_the_kinds_apart(data: Path, tmp_path: Path) -> None:
    told: dict[str, float] = {}
    still: dict[str, Any] = {"learning_rate": 1e-5, "discriminator_rate": 100.0, "alarms": False, "backwards_every": 1}
    still |= {"style_weight": 0.0, "content_weight": 0.0}
    train(data, tmp_path, lambda step: told.update(step.metrics), steps=40, evaluate_every=40, log_every=10, **still)
    for name in ("discriminator_a", "discriminator_b", "critic_a", "critic_b"):
        assert told[name] < 0.2, name  # 0.25 is a guess
    assert told["patches_b"] > 0.3  # and translations, which are still the pictures themselves, do not pass


def _pixels(folder: Path) -> torch.Tensor:
    return torch.cat([to_tensor(Image.open(file)) for file in sorted(folder.iterdir())[:8]])


def test_samples_are_sheets_of_pictures(data: Path, tmp_path: Path) -> None:
    engine = train_cyclegan(data / "hills", data / "stripes", SETTINGS, tmp_path, device="cpu")
    sheet = next(step.preview() for step in engine if step.done == 1 and step.preview)
    engine.close()
    assert isinstance(sheet, Image.Image)
    assert sheet.size == (3 * 40 + 2 * 4, 6 * 40 + 5 * 4)  # two held out of 24 at every tenth are three


@pytest.mark.parametrize(
    "changed",
    [
        {"objective": "patch_nce"},
        {"adversarial": "hinge", "feature_weight": 0.0},
        {"adversarial": "wgan_gp", "pool_size": 0},
        {"recipe": "paper", "residual": False, "backwards_every": 1},
        {"patch_weight": 0.0, "feature_weight": 0.0, "norm": "instance"},
    ],
)
def test_every_way_to_learn_makes_a_file(data: Path, tmp_path: Path, changed: dict[str, Any]) -> None:
    train(data, tmp_path, steps=2, evaluate_every=2, **changed)
    found = networks(tmp_path)
    assert all(value.isfinite().all() for value in found.values())
    assert ("b_to_a" in {name.split(".")[0] for name in found}) == (changed.get("objective") != "patch_nce")


def test_flat_pictures_do_no_harm(data: Path, tmp_path: Path) -> None:
    flat = tmp_path / "data" / "flat"
    flat.mkdir(parents=True)
    for level in range(8):
        Image.new("RGB", (40, 40), (30 * level,) * 3).save(flat / f"{level}.png")
    for norm in ("instance", "none"):
        engine = train_cyclegan(
            flat, data / "stripes", SETTINGS.changed(norm=norm, clip_norm=0.0, steps=4), tmp_path / norm, device="cpu"
        )
        for step in engine:
            assert all(np.isfinite(value) and abs(value) < 1e3 for value in step.metrics.values())
        assert all(value.isfinite().all() for value in networks(tmp_path / norm, "last.safetensors").values())


def test_style_is_that_of_gram_matrices_and_covariances() -> None:
    random = torch.Generator().manual_seed(0)
    one, other = (
        {layer: torch.rand(2, 3, 4, 4, generator=random, dtype=torch.float64) for layer in LAYERS} for _ in range(2)
    )
    expected = []
    for layer in STYLE:
        for centred in (False, True):
            for own, wanted in zip(one[layer], other[layer], strict=True):
                a, b = (x.flatten(1) - (x.flatten(1).mean(1, keepdim=True) if centred else 0) for x in (own, wanted))
                a, b = a @ a.T / 16, b @ b.T / 16
                expected.append(2 * (a - b).square().sum() / (a.square().sum() + b.square().sum()))
    assert style_distance(one, other).item() == pytest.approx(float(torch.stack(expected).mean()), rel=1e-9)
    assert style_distance(one, one).item() == 0


def test_style_is_taken_from_what_shows_the_most_alike() -> None:
    features = load_features(layers=LAYERS)
    random = torch.Generator().manual_seed(0)
    smooth = (torch.rand(6, 3, 1, 1, generator=random) * 200).expand(6, 3, 48, 48).to(torch.uint8)
    rough = torch.randint(0, 255, (6, 3, 48, 48), generator=random, dtype=torch.uint8)
    bank = StyleBank(features, torch.cat([smooth, rough]), torch.cat([rough.flip(3), smooth.flip(0)]) // 2 + 100)
    for crops, places in ((smooth, range(6, 12)), (rough, range(6))):
        found = bank.nearest(features(crops.float() / 255), 0)
        choices = features(bank.crops[list(places)].float() / 255)
        for row in found[LAYERS[0]]:
            assert any(torch.allclose(row, choice, atol=1e-4) for choice in choices[LAYERS[0]])


# It goes on


def test_killed_and_started_again_ends_in_the_same_bytes(data: Path, whole: Path, tmp_path: Path) -> None:
    moments = ["half:1", "step:5"]  # in the midst of saving and after a step; test_training.py has all the others
    until_done(job, str(data), str(tmp_path), {}, moments=moments)
    assert (tmp_path / "best.safetensors").read_bytes() == (whole / "best.safetensors").read_bytes()
    broken, unbroken = (networks(folder, "last.safetensors") for folder in (tmp_path, whole))
    assert all(torch.equal(broken[key], unbroken[key]) for key in unbroken)


def test_two_processes_are_as_one(data: Path, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"pool_size": 50, "steps": 3, "evaluate_every": 3, "learning_rate": 5e-4}
    by_two(job, str(data), str(tmp_path / "two"), settings)
    train(data, tmp_path / "one", **settings)
    one, two = (networks(tmp_path / name, "last.safetensors") for name in ("one", "two"))
    for name in one:
        if name.startswith(("network", "average")):
            assert float((one[name] - two[name]).abs().max()) < 1e-5, name


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"cycle_weight": 7.0}, "cycle_weight = 2.0, but now there is cycle_weight = 7.0"),
        ({"width": 5, "seed": 3}, "width = 4"),
        ({"a": "stripes", "b": "hills"}, "the other way round"),
        ({"b": "dots"}, "other pictures than b = dots"),
    ],
)
def test_refuses_to_go_on_with_something_else(data: Path, whole: Path, changed: dict[str, Any], words: str) -> None:
    if not (data / "dots").exists():
        draw(data / "dots", "stripes", seed=5)
    before = (whole / "last.safetensors").read_bytes()
    with pytest.raises(TrainingError, match=words):
        train(data, whole, **changed)
    assert (whole / "last.safetensors").read_bytes() == before


def test_a_full_disk_leaves_the_last_checkpoint(data: Path, whole: Path, tmp_path: Path, monkeypatch: Any) -> None:
    engine = train_cyclegan(data / "hills", data / "stripes", SETTINGS, tmp_path, device="cpu")
    for step in engine:
        if step.done == 2 and step.metrics:
            break

    def full(file: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(TrainingError, match=r"The checkpoint of step 2 is intact: make room"):
            run(engine)
    train(data, tmp_path)
    assert (tmp_path / "best.safetensors").read_bytes() == (whole / "best.safetensors").read_bytes()


def test_starts_from_a_finished_network(data: Path, whole: Path, tmp_path: Path) -> None:
    told = []
    start = whole / "best.safetensors"
    train(
        data,
        tmp_path / "on",
        lambda step: told.append(step.message or ""),
        start_from=start,
        steps=1,
        learning_rate=1e-9,
        width=16,
    )
    begun, finished = networks(tmp_path / "on", "last.safetensors"), networks(whole)
    for name, value in finished.items():
        if not name.startswith("looks"):  # the size is that of what it starts from, whatever the settings say
            assert torch.allclose(begun[f"network.{name}"], value.float(), atol=1e-5), name
    assert not any("swapped" in message for message in told)
    train(
        data,
        tmp_path / "off",
        lambda step: told.append(step.message or ""),
        a="stripes",
        b="hills",
        start_from=start,
        steps=1,
    )
    assert any("The folders look swapped: best.safetensors translates from hills to stripes" in m for m in told)


def test_critics_of_another_feature_network_are_not_gone_on_with(data: Path, whole: Path, tmp_path: Path) -> None:
    made = load_checkpoint(whole / "best.safetensors")
    config = made.metadata["config"]
    assert config["features"] == load_features(layers=["relu1_1"]).sha256
    start = tmp_path / "older.safetensors"
    save_checkpoint(start, made.tensors, {**made.metadata, "config": {**config, "features": "0" * 64}})
    told: list[str] = []
    few: dict[str, Any] = {"start_from": start, "steps": 1, "learning_rate": 1e-9, "a": "stripes", "b": "hills"}
    train(data, tmp_path / "on", lambda step: told.append(step.message or ""), **few)
    assert not any("swapped" in message for message in told)  # looks cannot be compared either
    begun = networks(tmp_path / "on", "last.safetensors")
    same = {
        name: torch.allclose(begun[f"network.{name}"], made.tensors[name].float(), atol=1e-5)
        for name in made.tensors
        if "looks" not in name
    }
    critics = {name for name in same if name.startswith("critic") and name.endswith("weight")}
    assert critics
    assert not any(same[name] for name in critics)
    assert all(same[name] for name in same if name.startswith(("a_to_b", "b_to_a", "discriminator")))


# It stops


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"loss_b": 0.001}, "The discriminator of b has won"),
        ({"likeness_a": -0.5}, "from b to a turns light into dark"),
        ({"change_b": 0.001}, "from a to b changes nothing after 1000 steps"),
    ],
)
def test_alarms(values: dict[str, float], words: str) -> None:
    alarms = Alarms(("b", "a"), judged=True)
    alarms.look(1000)
    for name, value in values.items():
        alarms.get_buffer(name).fill_(value)
    alarms.look(999)  # it looks now and then only
    with pytest.raises(TrainingError, match=words):
        alarms.look(1000)


def test_alarms_see_what_happens() -> None:
    alarms = Alarms(("b",), judged=True)
    picture = torch.rand(2, 3, 16, 16) * 2 - 1
    for _ in range(600):
        alarms.note("b", picture, picture, torch.tensor(0.25))
    with pytest.raises(TrainingError, match="changes nothing"):
        alarms.look(1000)
    for _ in range(600):
        alarms.note("b", picture, -picture, torch.tensor(0.25))
    with pytest.raises(TrainingError, match="light into dark"):
        alarms.look(50)
    for _ in range(600):
        alarms.note("b", picture, picture.flip(3) / 2 + picture / 2, torch.tensor(0.0))
    with pytest.raises(TrainingError, match="has won"):
        alarms.look(1000)
    for _ in range(600):
        alarms.note("b", torch.zeros(1, 3, 16, 16), torch.full((1, 3, 16, 16), 0.5), torch.tensor(0.25))
    alarms.look(1000)  # flat pictures are neither alike nor opposite


def test_a_run_that_changes_nothing_is_stopped(data: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("creative.engines.cyclegan.alarms.PATIENCE", 4)
    monkeypatch.setattr("creative.engines.cyclegan.alarms.LOOK_EVERY", 4)
    monkeypatch.setattr("creative.engines.cyclegan.alarms.DECAY", 0.0)
    with pytest.raises(TrainingError, match="changes nothing after 4 steps"):
        train(data, tmp_path, learning_rate=1e-7)


def test_no_gpu_where_one_was_asked_for(data: Path, tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    with pytest.raises(DeviceError, match="No cuda device"):
        train_cyclegan(data / "hills", data / "stripes", SETTINGS, tmp_path, device="cuda")


def test_a_checkpoint_of_another_kind_is_refused(data: Path, tmp_path: Path) -> None:
    features = ROOT / "weights" / "features.safetensors"
    with pytest.raises(GANError, match="holds no CycleGAN"):
        train_cyclegan(data / "hills", data / "stripes", SETTINGS, tmp_path, start_from=features, device="cpu")


# The folders


def test_folders_that_cannot_be(data: Path, tmp_path: Path) -> None:
    hills = data / "hills"
    (tmp_path / "empty").mkdir()
    single = draw(tmp_path / "single", "hills", count=1)
    copies = tmp_path / "copies"
    shutil.copytree(hills, copies)
    for other, words in [
        (tmp_path / "nowhere", "There is no folder"),
        (tmp_path / "empty", "No picture was found"),
        (single, "holds a single picture, hills_00.png"),
        (hills, "Both domains are the folder"),
        (hills / ".." / "hills", "Both domains are the folder"),
        (data, "lies within"),
        (copies, "24 pictures are in .*hills as well as in .*copies"),
    ]:
        for pair in ((hills, other), (other, hills)):
            with pytest.raises(
                PicturesError, match=words if pair[0] == hills or "as well" not in words else "24 pictures"
            ):
                train_cyclegan(*pair, SETTINGS, tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()


def test_warns_of_few_pictures_and_of_shared_ones(data: Path, tmp_path: Path) -> None:
    mixed = draw(tmp_path / "mixed", "stripes", seed=9)
    shutil.copy(data / "hills" / "hills_03.png", mixed)
    said = warnings(*find_domains(data / "hills", mixed))
    assert any("hills has only 21 pictures to learn from" in message for message in said)
    assert "1 pictures are of both kinds, hills_03.png for example." in said


def test_odd_pictures_among_good_ones(data: Path, tmp_path: Path) -> None:
    odd = draw(tmp_path / "odd", "stripes", count=22, seed=2)
    Image.new("L", (50, 44), 120).save(odd / "grey.png")
    Image.new("I;16", (50, 44), 40000).save(odd / "deep.png")
    Image.new("RGBA", (50, 44), (255, 0, 0, 0)).save(odd / "clear.png")
    Image.new("P", (44, 300)).save(odd / "long.gif")
    whole = (odd / "stripes_01.png").read_bytes()
    (odd / "cut.png").write_bytes(whole[: len(whole) // 2])
    (odd / "words.jpg").write_text("no picture")
    (odd / "nothing.png").write_bytes(b"")
    told: list[str] = []
    train(
        tmp_path,
        tmp_path / "run",
        lambda step: told.append(step.message or ""),
        a=str(data / "hills"),
        b="odd",
        steps=1,
    )
    for name in ("cut.png", "words.jpg", "nothing.png"):
        assert any("Skipped" in message and name in message for message in told), name
    assert any("skipped 3 that cannot be read" in m or "skipped 2 that" in m or "skipped 1 that" in m for m in told)
    a, b = find_domains(data / "hills", odd)
    packed = run(pack_domains(a.all, b.all, tmp_path / "cache", size=40))[1]
    pixels = {file.name: packed[place] for place, file in enumerate(packed.files)}
    assert (pixels["clear.png"] == 255).all()  # transparency over white
    assert (pixels["grey.png"] == 120).all()
    assert abs(int(pixels["deep.png"][0, 0, 0]) - 156) <= 1
    assert len(packed.skipped) == 3


def test_only_one_picture_can_be_read(data: Path, tmp_path: Path) -> None:
    bad = draw(tmp_path / "bad", "stripes", count=3)
    for name in ("stripes_00.png", "stripes_02.png"):
        (bad / name).write_bytes(b"broken")
    with pytest.raises(PicturesError, match=r"Only stripes_01.png can be read of the 3 pictures"):
        train(tmp_path, tmp_path / "run", a=str(data / "hills"), b="bad")


def test_what_is_held_out(tmp_path: Path) -> None:
    draw(tmp_path / "a" / "train", "hills", count=10)
    draw(tmp_path / "a" / "test", "hills", count=4, seed=1)
    draw(tmp_path / "b", "stripes", count=30)
    a, b = find_domains(tmp_path / "a", tmp_path / "b")
    assert {file.parent.name for file in a.training} == {"train"}
    assert [file.parent.name for file in a.held_out] == ["test"] * 4
    assert len(b.training) == 27
    assert not set(b.training) & set(b.held_out)


def test_crops_are_a_function_of_the_draw(data: Path, tmp_path: Path) -> None:
    a, b = find_domains(data / "hills", data / "stripes")
    packed = run(pack_domains(a.training, b.all, tmp_path, size=40))
    dataset = UnpairedCrops(*packed, size=40, crop=32)
    assert len(dataset) == len(b.all)
    crops = dataset[Draw(5, 7)]
    assert {name: (crop.shape, crop.dtype) for name, crop in crops.items()} == dict.fromkeys(
        "ab", (torch.Size([3, 32, 32]), torch.uint8)
    )
    again, other = dataset[Draw(5, 7)], dataset[Draw(5, 8)]
    assert all(torch.equal(crops[name], again[name]) for name in crops)
    assert not torch.equal(crops["b"], other["b"])
    picture = torch.from_numpy(packed[1][5].copy()).permute(2, 0, 1)
    places = [(top, left) for top in range(9) for left in range(9)]
    cuts = [picture[:, top : top + 32, left : left + 32] for top, left in places]
    assert any(torch.equal(crops["b"], cut) or torch.equal(crops["b"], cut.flip(2)) for cut in cuts)
    larger = UnpairedCrops(*packed, size=80, crop=64)[Draw(5, 7)]["b"]  # enlarged, as 286 does with 256
    assert larger.shape == (3, 64, 64)
    assert abs(larger.float().mean() - crops["b"].float().mean()) < 12


# The settings


def test_the_papers_recipe() -> None:
    paper = TrainCycleGANSettings(recipe="paper")
    assert (paper.size, paper.crop, paper.width, paper.num_blocks, paper.learning_rate) == (286, 256, 64, 9, 2e-4)
    assert (paper.cycle_weight, paper.identity_weight, paper.pool_size) == (10, 0.5, 50)
    assert (paper.schedule, paper.decay_from, paper.batch_size) == ("linear", 0.5, 1)
    assert TrainCycleGANSettings(recipe="paper", crop=128).crop == 128  # though it is what the other recipe has
    assert TrainCycleGANSettings(recipe="paper", crop=64).crop == 64
    assert set(PAPER) <= set(TrainCycleGANSettings.model_fields)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"crop": 128, "size": 100}, "cannot be cut out of pictures of 100"),
        ({"patch_weight": 0, "feature_weight": 0, "style_weight": 0}, "Nothing says what"),
        ({"objective": "patch_nce", "nce_weight": 0}, "nce_weight above 0"),
        ({"crop": 30}, "crop"),
    ],
)
def test_settings_that_cannot_work(values: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        TrainCycleGANSettings(**values)
