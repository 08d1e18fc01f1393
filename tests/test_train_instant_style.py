"""Training networks that paint in one pass: they learn, go on as if never stopped, and say what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from apart import until_done
from PIL import Image
from toy_painter import save_toy_painter
from toy_style import SETTINGS, SHAPE, draw, engine, job

from apps._painting_training import train_any
from creative.checkpoint import load_checkpoint, read_metadata, save_checkpoint
from creative.data.draws import Draw
from creative.data.pictures import PicturesError, find_pictures, pack_pictures
from creative.engines.instant_style import (
    evaluate_instant_style,
    refit,
    refit_predictor,
    train_fast_style,
    train_instant_style,
    training,
)
from creative.engines.instant_style.bank import recoloured, varied
from creative.engines.instant_style.lessons import Lessons, training_files
from creative.engines.instant_style.objective import JUDGE_LAYERS, STRONGEST, Objective
from creative.engines.training import TrainingError
from creative.images import open_image, to_tensor
from creative.losses import gram
from creative.models.features import Features, load_features
from creative.models.style_net import STYLE_LAYERS, StyleNetError, load_style_net, style_moments
from creative.options.instant_style import (
    EvaluateInstantStyleSettings,
    TrainFastStyleSettings,
    TrainInstantStyleInputs,
)
from creative.progress import run
from creative.weights import WeightsError, find

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw(tmp_path_factory.mktemp("toys"))


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was never stopped, with all that it told."""
    folder = tmp_path_factory.mktemp("whole")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    steps = []
    job = engine(data, folder)
    while True:
        try:
            steps.append(next(job))
        except StopIteration:
            break
        if steps[-1].done == 3 and steps[-1].preview is not None:
            picture = steps[-1].preview()
    torch.set_num_threads(before)
    picture.save(folder / "sample.png")
    return folder


@pytest.fixture
def objective(data: Path) -> Objective:
    return Objective(SETTINGS, data / "judge.safetensors")


def pictures(data: Path, kind: str) -> torch.Tensor:
    files = find_pictures([data / kind])
    return torch.cat([to_tensor(open_image(file).resize((64, 64))) for file in files])


# What it learns by


def test_the_photo_itself_is_at_distance_one_and_the_style_itself_at_nearly_none(
    data: Path, objective: Objective
) -> None:
    photo, painting = pictures(data, "photos")[:2], pictures(data, "paintings")[:2]
    with torch.no_grad():
        style = objective.grams(painting)
        untouched = objective(photo, photo, style, torch.ones(2))
        arrived = objective(painting, photo, style, torch.ones(2))
        nothing_asked = objective(photo, photo, style, torch.full((2,), 0.0))
    assert 0.4 < float(untouched["style"]) <= 1
    assert float(untouched["content"]) == pytest.approx(0, abs=1e-5)
    assert float(arrived["style"]) < 0.01
    assert float(arrived["texture"]) < 0.01
    assert float(arrived["content"]) > 0.1
    assert float(nothing_asked["style"]) < 0.01  # at strength 0 the photo is what is asked for


def test_half_the_strength_asks_for_half_the_way_and_more_than_all_counts_the_photo_less(
    data: Path, objective: Objective
) -> None:
    photo, painting = pictures(data, "photos")[:1], pictures(data, "paintings")[:1]
    with torch.no_grad():
        style = objective.grams(painting)
        half = objective(photo, photo, style, torch.tensor([0.5]))
        full = objective(photo, photo, style, torch.tensor([1.0]))
        strong = objective(painting, photo, style, torch.tensor([STRONGEST]))
        usual = objective(painting, photo, style, torch.tensor([1.0]))
    assert float(half["style"]) == pytest.approx(float(full["style"]) / 2, rel=0.01)
    assert float(strong["content"]) < 0.4 * float(usual["content"])


def test_projected_gram_matrices_keep_distances(data: Path, objective: Objective) -> None:
    one, other = pictures(data, "photos")[:1], pictures(data, "paintings")[:1]
    judge = objective.judge
    with torch.no_grad():
        full = [{layer: gram(values) for layer, values in judge(x).items()} for x in (one, other)]
        projected = [objective.grams(x) for x in (one, other)]
    for layer in JUDGE_LAYERS:
        true = (full[0][layer] - full[1][layer]).norm()
        seen = (projected[0][layer] - projected[1][layer]).norm()
        assert 0.6 < float(seen / true) < 1.6, layer


def test_lessons_repeat_and_hold_all_kinds(data: Path, tmp_path: Path) -> None:
    packed = run(pack_pictures(find_pictures([data / "photos"]), tmp_path, short_side=64))
    lessons = Lessons(packed, 32, [[0, 1, 2], [3]])
    drawn = [lessons[Draw(n % len(lessons), n)] for n in range(200)]
    again = lessons[Draw(7 % len(lessons), 7)]
    assert torch.equal(again["photo"], drawn[7]["photo"])
    assert {name: again[name] for name in ("one", "share", "strength")} == {
        name: drawn[7][name] for name in ("one", "share", "strength")
    }
    assert 70 < sum(lesson["one"] == 3 for lesson in drawn) < 130  # each folder as often as the other
    assert {lesson["one"] for lesson in drawn} == {0, 1, 2, 3}
    strengths = [lesson["strength"] for lesson in drawn]
    assert min(strengths) < 0.4
    assert max(strengths) > 1.2
    assert sum(strength == 1 for strength in strengths) > 100
    assert any(lesson["share"] < 1 for lesson in drawn)


def test_variants_of_a_painting_differ_and_repeat(data: Path) -> None:
    file = find_pictures([data / "paintings"])[0]
    assert varied(file, 1).tobytes() == varied(file, 1).tobytes()
    assert len({varied(file, seed).tobytes() for seed in range(8)}) > 5
    same = recoloured(open_image(file), [0.5, 0.5 / 1.2, 0.5, 0.5, 0.0])  # no turn, usual saturation and contrast
    assert (to_tensor(same) - to_tensor(open_image(file))).abs().max() < 0.01


def test_photos_in_folders_called_test_are_left_out_unless_they_are_what_was_given(tmp_path: Path) -> None:
    files = [tmp_path / "a.jpg", tmp_path / "test" / "b.jpg", tmp_path / "val" / "x" / "c.jpg"]
    assert training_files([tmp_path], files) == files[:1]
    assert training_files([tmp_path / "test"], files[1:2]) == files[1:2]


# Any painting


def test_a_run_leaves_a_network_that_paints_by_a_style_and_a_table(data: Path, whole: Path) -> None:
    network = load_style_net(whole / "best.safetensors")
    assert network.predictor is not None
    assert network.config.widths == SHAPE.widths
    assert network.config.features == load_features(layers=("relu1_1",)).sha256
    assert read_metadata(whole / "best.safetensors")["config"]["styles"] == 4
    rows = (whole / "metrics.csv").read_text().splitlines()
    assert {"style", "texture", "content", "held_out_style"} <= set(rows[0].split(","))
    assert len(rows) == 7
    with Image.open(whole / "sample.png") as sample:
        assert sample.size == (2 * 256, 5 * 256)  # photos and one painting held out; a row of paintings above


def test_it_learns(data: Path, tmp_path: Path) -> None:
    """Styles are nearer after a while than at the beginning."""
    engine_ = engine(data, tmp_path, steps=32, evaluate_every=32, save_every=32, content_weight=0.0, learning_rate=0.01)
    losses = [step.metrics["style"] for step in engine_ if "style" in step.metrics]
    assert sum(losses[-8:]) < 0.9 * sum(losses[:8])


def test_killed_and_started_again_ends_in_the_same_bytes(data: Path, whole: Path, tmp_path: Path) -> None:
    until_done(job, str(data), str(tmp_path), {}, moments=["step:3", "half:1"])
    assert (tmp_path / "best.safetensors").read_bytes() == (whole / "best.safetensors").read_bytes()


def test_another_run_is_refused_and_says_why(data: Path, whole: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"content_weight = 0.16, but now there is content_weight = 3.0"):
        engine(data, whole, content_weight=3.0)
    judge = data / "judge.safetensors"
    with pytest.raises(PicturesError, match="There is no folder"):
        train_instant_style([data / "nowhere"], [data / "paintings"], SETTINGS, tmp_path, judge_weights=judge)
    with pytest.raises(TrainingError, match="All paintings of"):
        engine(data, tmp_path, held_out=("png",))
    with pytest.raises(TrainingError, match="No painting has 'mona'"):
        engine(data, tmp_path, held_out=("mona",))
    with pytest.raises(WeightsError, match="There is no weights file"):
        train_instant_style(
            [data / "photos"],
            [data / "paintings"],
            SETTINGS.changed(held_out=()),
            tmp_path,
            judge_weights=tmp_path / "x",
        )
    assert not list(tmp_path.iterdir())


# Another feature network


def other_features(path: Path) -> Path:
    """The bundled network with other third to fifth stages."""
    file, generator = load_checkpoint(find("features")), torch.Generator().manual_seed(1)
    tensors = dict(file.tensors)
    for name, tensor in tensors.items():
        if name.startswith(("features.conv3", "features.conv4", "features.conv5")) and name.endswith("weight"):
            noise = torch.randn(tensor.shape, generator=generator)
            tensors[name] = (tensor.float() + 0.5 * float(tensor.float().std()) * noise).half()
    return save_checkpoint(path, tensors, file.metadata)


def test_with_another_feature_network_paintings_get_the_codes_that_they_had(
    data: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new, painter = other_features(tmp_path / "new.safetensors"), whole / "best.safetensors"

    def by_default_new(*, weights: Path | None = None, **values: Any) -> Features:
        return load_features(weights=weights or new, **values)

    for module in (refit, training):
        monkeypatch.setattr(module, "load_features", by_default_new)
    folders, judge = [data / "paintings", data / "photos"], data / "judge.safetensors"
    with pytest.raises(StyleNetError, match="give that network too, as the old features"):
        train_instant_style(folders, folders, SETTINGS, tmp_path / "out", judge_weights=judge, start_from=painter)
    many = tmp_path / "many"
    many.mkdir()
    for number in range(60):
        varied(find_pictures([data / "paintings"])[number % 3], number).resize((64, 64)).save(many / f"{number:02}.png")
    settings, folders = SETTINGS.changed(steps=60, variants=30, held_out=()), [many]
    path = run(refit_predictor(painter, find("features"), folders, settings, tmp_path / "out", device="cpu"))
    network, told = load_style_net(path), read_metadata(path)["refit"]
    assert network.config.features == load_features(layers=("relu1_1",), weights=new).sha256
    assert told["left"] <= told["left_ridge"] < 0.8 * told["left_untouched"]
    again = run(refit_predictor(painter, find("features"), folders, settings, tmp_path / "out", device="cpu"))
    assert again.read_bytes() == path.read_bytes()


def test_features_that_a_painter_was_not_made_with_are_refused(data: Path, tmp_path: Path) -> None:
    old = other_features(tmp_path / "old.safetensors")
    now = save_toy_painter(tmp_path / "now.safetensors")
    with pytest.raises(StyleNetError, match="was made with another feature network"):
        refit_predictor(now, old, [data / "paintings"], SETTINGS, tmp_path / "out")
    one = save_toy_painter(tmp_path / "one.safetensors", of_one=True)
    with pytest.raises(StyleNetError, match="it does not look at paintings"):
        refit_predictor(one, old, [data / "paintings"], SETTINGS, tmp_path / "out")
    inputs = TrainInstantStyleInputs(photos=(data / "photos",), styles=(data / "paintings",), old_features=old)
    with pytest.raises(ValueError, match="but none was given"):
        train_any(inputs, SETTINGS, "cpu", tmp_path / "out")
    assert not (tmp_path / "out").exists()


# One painting


def one_painting(data: Path, whole: Path, folder: Path, **values: Any) -> Path:
    settings = TrainFastStyleSettings(
        **{
            "steps": 3,
            "crop": 64,
            "size": 64,
            "batch_size": 2,
            "style_size": 64,
            "log_every": 1,
            "precision": "float32",
            **values,
        }
    )
    painting = open_image(data / "paintings" / "0.png")
    judge, start = data / "judge.safetensors", whole / "best.safetensors"
    engine_ = train_fast_style(
        painting, [data / "photos"], settings, folder, judge_weights=judge, start_from=start, name="0", device="cpu"
    )
    return run(engine_)


def test_one_painting_begins_as_the_network_for_any(data: Path, whole: Path, tmp_path: Path) -> None:
    path = one_painting(data, whole, tmp_path, learning_rate=1e-9, steps=1)
    network, any_painting = load_style_net(path), load_style_net(whole / "best.safetensors")
    assert network.predictor is None
    assert network.code is not None
    assert path.stat().st_size < (whole / "best.safetensors").stat().st_size
    photo = pictures(data, "photos")[:1]
    from creative.images import fit, resize

    painting = open_image(data / "paintings" / "0.png")
    seen = to_tensor(resize(painting, fit(painting.size, 64)))
    code = any_painting.predict(style_moments(load_features(layers=STYLE_LAYERS), seen))
    assert torch.allclose(network(photo, network.code), any_painting(photo, code), atol=0.01)
    assert read_metadata(path)["config"]["painting"] == "0"


def test_one_painting_goes_on_to_the_same_bytes(data: Path, whole: Path, tmp_path: Path) -> None:
    straight = one_painting(data, whole, tmp_path / "straight", steps=4, save_every=2)
    settings = {"steps": 4, "save_every": 2}
    with pytest.raises(KeyboardInterrupt):
        _stopped(data, whole, tmp_path / "stopped", settings)
    again = one_painting(data, whole, tmp_path / "stopped", **settings)
    assert again.read_bytes() == straight.read_bytes()
    moved = load_checkpoint(straight).tensors
    start = load_checkpoint(whole / "best.safetensors").tensors
    assert not torch.equal(moved["stem.conv.weight"], start["stem.conv.weight"])


def _stopped(data: Path, whole: Path, folder: Path, settings: dict[str, Any]) -> None:
    values = {"crop": 64, "size": 64, "batch_size": 2, "style_size": 64, "log_every": 1, "precision": "float32"}
    engine_ = train_fast_style(
        open_image(data / "paintings" / "0.png"),
        [data / "photos"],
        TrainFastStyleSettings(**{**values, **settings}),
        folder,
        judge_weights=data / "judge.safetensors",
        start_from=whole / "best.safetensors",
        name="0",
        device="cpu",
    )
    for step in engine_:
        if step.done == 3 and step.metrics:
            engine_.throw(KeyboardInterrupt())


def test_one_painting_says_what_is_wrong(data: Path, whole: Path, tmp_path: Path) -> None:
    judge, photos = data / "judge.safetensors", [data / "photos"]
    with pytest.raises(TrainingError, match="40 × 90 pixels, too few"):
        train_fast_style(Image.new("RGB", (40, 90)), photos, folder=tmp_path, judge_weights=judge)
    single = one_painting(data, whole, tmp_path / "one", steps=1)
    with pytest.raises(StyleNetError, match="one painting only"):
        train_fast_style(
            Image.new("RGB", (90, 90)), photos, folder=tmp_path / "x", judge_weights=judge, start_from=single
        )


# Measuring


def test_evaluation_has_a_row_for_each_pair_and_a_picture(data: Path, whole: Path, tmp_path: Path) -> None:
    report = run(
        evaluate_instant_style(
            [data / "photos"],
            find_pictures([data / "paintings"])[:2],
            EvaluateInstantStyleSettings(size=64, pairs=3, strength=0.0),
            painter=whole / "best.safetensors",
            judge_weights=data / "judge.safetensors",
            sheet_file=tmp_path / "sheet.png",
            device="cpu",
        )
    )
    assert len(report.rows) == 3
    found = report.metrics()
    assert found["style"] == pytest.approx(1, abs=1e-3)  # at strength 0 it is the photo
    assert found["content"] == pytest.approx(0, abs=1e-4)
    assert report.checkerboard is None  # 64 × 57 pixels are too few to tell
    assert report.text.count("\n") == 8
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (6 * 64, 2 * 64)
    assert report.provenance is not None
