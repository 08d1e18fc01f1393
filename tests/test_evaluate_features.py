"""Measuring the feature network: each number against one known beforehand, and a report that can be read."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from apps._app import perform
from apps.features import APP
from creative.data.pictures import PicturesError, pack_pictures
from creative.device import random_generator
from creative.engines.features import (
    Drawing,
    Drawn,
    Evaluation,
    Hint,
    Material,
    Painter,
    Probed,
    Recognition,
    Scenes,
    Share,
    Table,
    at_equal_content,
    draw_and_judge,
    evaluate_features,
    find_scenes,
    measure_cost,
    probe_scenes,
    ridge,
    save_untrained,
    score_styles,
)
from creative.engines.features.drawings import chosen_channels, chosen_classes
from creative.engines.features.explained import Regression
from creative.engines.features.probe import PENALTIES, pooled_features, probe
from creative.engines.features.recognition import recognise
from creative.engines.features.styles import JUDGE_LAYERS
from creative.images import to_tensor
from creative.metrics import StyleQuality, style_quality
from creative.models.features import Classifier, Features, load_classifier, load_features, untrained_features
from creative.options.features import EvaluateFeaturesInputs, EvaluateFeaturesSettings
from creative.progress import Engine, Step, run
from creative.settings import SettingsError

ROOT = Path(__file__).resolve().parent.parent
MEASURE = APP.actions[-1]


def colour_reader(sharpness: float = 40.0) -> Classifier:
    """A network that calls a picture by the strongest of its three colours."""
    chain = [("relu1", "", nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU()))]
    features = Features("toy", chain, ["relu1"], mean=(0, 0, 0), std=(1, 1, 1))
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 3))
    for layer, factor in ((chain[0][2][0], 1.0), (head[2], sharpness)):  # type: ignore[index]
        layer.weight.data = factor * torch.eye(3).view(layer.weight.shape)
        layer.bias.data.zero_()
    return Classifier(features, head, ["red", "green", "blue"])


def flat(colour: int, size: int = 32) -> Image.Image:
    levels = [40, 40, 40]
    levels[colour] = 220
    return Image.new("RGB", (size, size), tuple(levels))


# Recognition


def test_wilsons_interval() -> None:
    low, high = Share(10, 95).interval  # R: prop.test(10, 95, correct = FALSE)
    assert (low, high) == (pytest.approx(0.0582, abs=2e-4), pytest.approx(0.1831, abs=2e-4))
    assert Share(0, 10).interval[0] == 0
    assert str(Share(0, 0)) == "no labels"


def test_what_is_recognised_is_counted(tmp_path: Path) -> None:
    names = ["red", "green", "blue", "red", "green"]  # of the classes in order, two of them twice
    shown = [0, 1, 2, 1, 1]  # the fourth shows another colour than its name says
    files = []
    for number, (name, colour) in enumerate(zip(names, shown, strict=True)):
        rank = ["red", "green", "blue"].index(name)
        files.append(tmp_path / f"n{rank:04d}{number:04d}_{name}.png")
        flat(colour).save(files[-1])
    files.sort()
    packed = run(pack_pictures(files, tmp_path / "cache"))
    device = torch.device("cpu")
    found = recognise(colour_reader(), {"teacher": colour_reader()}, packed, [32, 64], device)
    assert found.photos == 5
    assert found.best_size == 32
    shares = found.shares()
    assert (shares["top_1"].hits, shares["top_1"].tries) == (2, 3)  # labels rise with the ids: one of each class
    assert shares["top_5"].value == 1
    assert shares["agreement_with_teacher"].value == 1
    assert found.metrics()["teacher_top_1"] == pytest.approx(2 / 3)


def test_the_best_size_is_where_most_is_recognised() -> None:
    found = Recognition(10)
    for size, hits, agreed in ((128, 3, 9), (160, 5, 2), (192, 5, 4), (224, 5, 4)):
        found.top_1[size], found.top_5[size] = Share(hits, 10), Share(hits, 10)
        found.agreement[size] = {"teacher": Share(agreed, 10)}
    assert found.best_size == 192
    assert found.metrics()["top_1_at_128"] == 0.3
    report = Evaluation(recognition=found).text
    assert "best at 192 px" in report
    assert "| top 1, 128 px" in report


# Maps


def test_a_network_explains_itself_and_not_noise() -> None:
    features = untrained_features("bundled", layers=["relu1_1"])
    pictures = torch.rand(4, 3, 32, 32, generator=random_generator(0))
    map_ = features(pictures)["relu1_1"]
    for target, expected in ((2 * map_ + 1, 1.0), (torch.rand(map_.shape, generator=random_generator(1)), 0.0)):
        regression = Regression(Hint("x", "y", "relu1_1"))
        regression.fit(map_[:3], target[:3])
        regression.solve()
        regression.judge(map_[3:], target[3:])
        assert regression.explained == pytest.approx(expected, abs=0.02)


# Cost


def test_cost_counts_what_is_kept_and_what_is_taken() -> None:
    features = untrained_features("bundled", layers=["relu1_1"])
    small, large = (measure_cost(features, size, repeats=1) for size in (64, 512))
    assert large.held_mb == pytest.approx(64 * small.held_mb, rel=0.2)
    assert small.forward_ms > 0
    assert large.backward_ms > small.backward_ms
    if Path("/proc/self/clear_refs").exists():  # what is kept, and at least the gradient of the same size
        assert 1.5 * large.held_mb < large.peak_mb < 10 * large.held_mb


# Drawings


def artist(*colours: int) -> object:
    def draw(objectives: Sequence[str]) -> Engine[list[Image.Image]]:
        yield Step(0, 1)
        return [flat(colours[number % len(colours)], 48) for number in range(len(objectives))]

    return draw


def test_drawings_are_judged_by_another_network() -> None:
    judge = colour_reader()
    artists = {"right": artist(0, 1, 2), "wrong": artist(1, 2, 0)}
    engine = draw_and_judge(
        artists,  # type: ignore[arg-type]
        judge.classes,
        judge,
        numbers=[0, 1, 2],
        channels={"right": ["relu1:1"]},
    )
    found = run(engine)
    right, wrong = found["right"], found["wrong"]
    assert right.hits == Share(3, 3)
    assert wrong.hits == Share(0, 3)
    certain = math.exp(40 * 220 / 255) / (math.exp(40 * 220 / 255) + 2 * math.exp(40 * 40 / 255))
    assert right.confidence == pytest.approx(certain, abs=1e-4)
    assert wrong.confidence == pytest.approx(certain, abs=1e-4)  # as sure, of something else
    assert right.wanted == pytest.approx(certain, abs=1e-4)
    assert wrong.wanted < 0.01
    assert (right.place, wrong.place) == (1, 2)
    assert right.margin == pytest.approx(0, abs=1e-4)
    assert [one.label for one in right.drawings] == ["red: red 100%", "green: green 100%", "blue: blue 100%", "relu1:1"]
    assert len(right.classes) == 3


def test_classes_are_evenly_spaced_and_channels_are_of_each_stage(tmp_path: Path) -> None:
    assert chosen_classes(["x"] * 1000, 4) == [125, 375, 625, 875]
    assert chosen_classes(["x"] * 3, 16) == [0, 1, 2]
    network = load_classifier("bundled", weights=save_untrained(tmp_path / "n.safetensors"))
    assert chosen_channels(network, 2)[:4] == ["relu1_2:0", "relu1_2:1", "relu2_2:0", "relu2_2:1"]
    assert chosen_channels(network, 1)[-1] == "relu5_2:0"


# Scenes


def test_ridge_is_the_direct_solution() -> None:
    generator = random_generator(0)
    x = torch.randn(40, 7, generator=generator) * torch.tensor([1.0, 5, 0.1, 1, 1, 1, 1]) + 3
    x[:, 6] = 2.5  # never changes
    y = torch.randn(40, 3, generator=generator)
    penalties = (0.1, 10.0)
    for penalty, fit in zip(penalties, ridge(x, y, penalties), strict=True):
        z = x.double()
        deviation = z.std(0, correction=0)
        deviation[6] = 1
        z = torch.cat([(z - z.mean(0)) / deviation, torch.ones(40, 1, dtype=torch.float64)], 1)
        punished = penalty * torch.diag(torch.tensor([1.0] * 7 + [0.0], dtype=torch.float64))
        direct = torch.linalg.solve(z.T @ z + punished, z.T @ y.double())
        torch.testing.assert_close(fit(x), z @ direct)
        assert fit(x).dtype == torch.float64


def scenes_folder(folder: Path, count: int = 15, val: int = 0) -> Path:
    (folder / "images").mkdir(parents=True)
    random = np.random.default_rng(0)
    listed = []
    for kind in range(3):
        for number in range(count):
            levels = np.full((40, 40, 3), 60) + random.integers(0, 60, (40, 40, 3))
            levels[..., kind] += 90
            name = f"{kind:02d}_{number:03d}.png"
            Image.fromarray(levels.astype(np.uint8)).save(folder / "images" / name)
            split = "test" if number >= count - 3 else "val" if number < val else "train"
            listed.append({"file": name, "split": split})
    (folder / "captions.json").write_text(json.dumps(listed))
    return folder


def test_scenes_come_in_three_parts(tmp_path: Path) -> None:
    scenes = find_scenes(scenes_folder(tmp_path / "without"))
    assert scenes.kinds == ("00", "01", "02")
    assert (len(scenes.train), len(scenes.val), len(scenes.test)) == (30, 6, 9)  # every fifth of 12 of a kind
    assert not set(scenes.train) & set(scenes.val)
    assert [scenes.labels[place].item() for place in scenes.val] == [0, 0, 1, 1, 2, 2]
    given = find_scenes(scenes_folder(tmp_path / "with", val=4))
    assert (len(given.train), len(given.val), len(given.test)) == (24, 12, 9)


def test_folders_that_hold_no_scenes_are_told(tmp_path: Path) -> None:
    with pytest.raises(PicturesError, match="There is no folder"):
        find_scenes(tmp_path / "nowhere")
    folder = scenes_folder(tmp_path / "scenes")
    (folder / "captions.json").write_text('[{"file": "00_000.png", "split": "train"}]')
    with pytest.raises(PicturesError, match="1 pictures to train on, 0 to validate and 0 to test"):
        find_scenes(folder)
    (folder / "captions.json").write_text("{]")
    with pytest.raises(PicturesError, match=r"captions.json has no splits"):
        find_scenes(folder)


def test_kinds_are_told_by_what_tells_them_apart() -> None:
    generator = random_generator(1)
    labels = torch.arange(90) % 3
    files = [Path(f"{label}_{number}.png") for number, label in enumerate(labels.tolist())]
    scenes = Scenes(files, labels, ("0", "1", "2"), list(range(60)), list(range(60, 75)), list(range(75, 90)))
    noise = torch.randn(90, 20, generator=generator)
    telling = noise + 4 * torch.nn.functional.pad(torch.eye(3)[labels], (0, 17))
    assert probe(telling, scenes).accuracy == Share(15, 15)
    assert probe(noise, scenes).accuracy.value < 0.7
    assert probe(telling, scenes).channels == 20
    # More noise than pictures: the penalty matters, and the validation pictures have chosen it.
    wide = torch.cat([telling, 3 * torch.randn(90, 400, generator=generator)], 1)
    targets = torch.eye(3)[labels]
    right = {
        penalty: int((fit(wide[60:75]).argmax(1) == labels[60:75]).sum())
        for penalty, fit in zip(PENALTIES, ridge(wide[:60], targets[:60], PENALTIES), strict=True)
    }
    assert len(set(right.values())) > 1
    assert right[probe(wide, scenes).penalty] == max(right.values())


def test_what_was_seen_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scenes = find_scenes(scenes_folder(tmp_path / "scenes"))
    network = load_classifier("bundled", weights=save_untrained(tmp_path / "network.safetensors"))
    device, cache = torch.device("cpu"), tmp_path / "cache"
    found = run(probe_scenes(scenes, {"it": network}, cache, size=40, device=device))
    assert found["it"].accuracy == Share(9, 9)
    seen = run(pooled_features(network, scenes.files, cache, size=40, device=device))
    pictures = torch.cat([to_tensor(Image.open(file)) for file in scenes.files[:2]])
    expected = network.features(pictures)["relu5_2"].mean((2, 3))
    assert (seen[:2] - expected).norm() < 0.02 * expected.norm()

    def never(*args: object) -> Tensor:
        raise AssertionError("looked again")

    monkeypatch.setattr(Features, "forward", never)
    again = run(probe_scenes(scenes, {"it": network}, cache, size=40, device=device))
    assert again == found
    with pytest.raises(AssertionError):  # another size is looked at anew
        run(probe_scenes(scenes, {"it": network}, cache, size=36, device=device))


# Styles


def test_the_untouched_photo_and_the_painting_itself_score_as_they_must() -> None:
    random = np.random.default_rng(0)
    photo, painting = (Image.fromarray(random.integers(0, 256, (80, 80, 3), np.uint8)) for _ in range(2))

    def giving(picture: Image.Image) -> Painter:
        def paint(photo: Image.Image, painting: Image.Image) -> Engine[Image.Image]:
            yield Step(0, 1, preview=lambda: picture)
            return picture

        return paint

    judge = untrained_features("squeezenet1_0", layers=JUDGE_LAYERS)
    engine = score_styles([(photo, painting)], {"photo": giving(photo), "painting": giving(painting)}, judge)
    found = run(engine)
    assert (found["photo"].style, found["photo"].content) == (pytest.approx(1, abs=1e-4), pytest.approx(0, abs=1e-4))
    assert (found["painting"].style, found["painting"].grain) == (pytest.approx(0, abs=1e-4), pytest.approx(1))
    report = Evaluation(styles=found)
    assert "| painting     | 0.000 |" in report.text
    assert report.metrics()["photo_content"] == pytest.approx(0, abs=1e-4)


def test_styles_are_compared_at_equal_content() -> None:
    scores = [StyleQuality(0.4, 0.8, 1), StyleQuality(0.6, 0.6, 1), StyleQuality(0.5, 0.7, 1)]
    assert at_equal_content(scores, 0.75) == pytest.approx(0.45)
    assert at_equal_content(scores, 0.6) == pytest.approx(0.6)
    assert math.isnan(at_equal_content(scores, 0.5))
    own = {"bundled": scores[0], "bundled, strength 0.4": scores[1]}
    report = Evaluation(styles={**own, "squeezenet1_0": StyleQuality(0.4, 0.7, 1)})
    assert report.style_ratio == pytest.approx(0.5 / 0.4)
    assert "1.25 times SqueezeNet's" in report.text
    assert report.metrics()["style_ratio_at_equal_content"] == pytest.approx(1.25)
    assert "| this network, strength 0.4 |" in report.text
    far = Evaluation(styles={**own, "squeezenet1_0": StyleQuality(0.4, 0.9, 1)})
    assert "style_ratio_at_equal_content" not in far.metrics()
    assert "not known" in far.text


def test_styles_are_scored_as_the_yardstick_does(shared_data: Path, tmp_path: Path) -> None:
    tool = shared_data.parent / "tools" / "style_quality.py"
    if not tool.is_file():
        pytest.skip("needs ../shared/tools/style_quality.py")
    random = np.random.default_rng(3)
    names = ("photo", "painting", "result")
    for number, name in enumerate(names):
        coarse = Image.fromarray(random.integers(0, 256, (6 + 4 * number, 9, 3), np.uint8))
        coarse.resize((96, 80), Image.Resampling.BICUBIC).save(tmp_path / f"{name}.png")
    paths = [str(tmp_path / f"{name}.png") for name in names]
    told = subprocess.run(
        [sys.executable, str(tool), *paths], capture_output=True, text=True, check=True
    ).stdout.split()
    judge = load_features(
        "squeezenet1_0",
        layers=JUDGE_LAYERS,
        weights=shared_data / "weights" / "squeezenet1_0_imagenet.safetensors",
    )
    ours = style_quality(*(to_tensor(Image.open(path)) for path in paths), judge, content_layer="fire5")
    assert ours.style == pytest.approx(float(told[2]), abs=1e-3)
    assert ours.content == pytest.approx(float(told[4]), abs=1e-3)
    assert ours.grain == pytest.approx(float(told[6]), abs=0.01)


def test_untrained_weights_are_a_network_of_the_same_shape_and_repeat(tmp_path: Path) -> None:
    first, second = (save_untrained(tmp_path / f"{number}.safetensors") for number in range(2))
    assert first.read_bytes() == second.read_bytes()
    maps = load_features(layers=["relu5_2"], weights=first)(torch.rand(1, 3, 64, 64))
    assert maps["relu5_2"].std() > 0
    own, theirs = (load_classifier("bundled", weights=path) for path in (None, first))
    assert [p.shape for p in own.parameters()] == [p.shape for p in theirs.parameters()]
    assert own.classes == theirs.classes


# The report


def test_tables_are_aligned() -> None:
    table = Table("Two things.", ("name", "number"), [("a", "1.5"), ("longer", "22.25")], "Noted.")
    assert str(table) == (
        "Two things.\n\n| name   | number |\n|--------|-------:|\n| a      |    1.5 |\n| longer |  22.25 |\n\nNoted."
    )


def test_the_report_as_a_page_shows_what_is_drawn() -> None:
    drawing = Drawing("class:<cat>", flat(0, 64), "cat", 0.5, 0.25, 7)
    found = Evaluation("x.safetensors", "0" * 64, drawn={"bundled": Drawn((drawing, drawing))})
    found.scenes = {"bundled": Probed(Share(3, 4), 224, 10.0)}
    assert MEASURE.show is not None
    page = MEASURE.show(found)
    assert page.count("<table>") == 2
    assert 'src="data:image/png;base64,' in page
    assert "75.0 %" in page
    assert found.metrics() == {
        "bundled_drawing_confidence": 0.5,
        "bundled_drawing_hits": 0.0,
        "bundled_drawing_wanted": 0.25,
        "bundled_drawing_place": 7,
        "bundled_scenes": 0.75,
    }


# What is missing is told


def evaluate_inputs(**values: object) -> EvaluateFeaturesInputs:
    return EvaluateFeaturesInputs(**values)


def test_photos_and_paintings_must_be_as_many(photo_file: Path) -> None:
    with pytest.raises(ValueError, match="1 photos and 0 paintings"):
        MEASURE.start(evaluate_inputs(photos=(photo_file,)), EvaluateFeaturesSettings(), "cpu")


def test_what_is_asked_for_needs_something_to_measure_with() -> None:
    for name, given in (("recognition", "--data"), ("scenes", "--scenes"), ("styles", "--photos")):
        with pytest.raises(ValueError, match=rf"To measure {name}, {given}"):
            evaluate_features(Material(), EvaluateFeaturesSettings(only=(name,)))


def test_wrong_settings_are_told() -> None:
    with pytest.raises(SettingsError, match="sizes must be from 32 to 512 pixels, but are 8"):
        EvaluateFeaturesSettings(sizes=(8,))
    with pytest.raises(SettingsError, match="strengths must be from 0 to 1, but are 2"):
        EvaluateFeaturesSettings(strengths=(2.0,))
    assert EvaluateFeaturesSettings(only=("styles", "cost")).measured() == ("cost", "styles")


def test_wrong_files_and_missing_teachers_are_told(tmp_path: Path, photo_file: Path) -> None:
    drawings = EvaluateFeaturesSettings(only=("drawings",))
    with pytest.raises(ValueError, match=r"mobilenet_v2.* are not on this machine"):
        MEASURE.start(evaluate_inputs(), drawings, "cpu")
    wrong = tmp_path / "wrong.safetensors"
    wrong.write_bytes(b"\x10" + b"\x00" * 40)
    with pytest.raises(ValueError, match=r"wrong\.safetensors"):
        MEASURE.start(evaluate_inputs(network_weights=wrong), drawings, "cpu")
    (tmp_path / "empty").mkdir()
    with pytest.raises(PicturesError, match="No picture was found"):
        MEASURE.start(evaluate_inputs(data=(tmp_path / "empty",)), EvaluateFeaturesSettings(), "cpu")
    with pytest.raises(ValueError, match="must end in"):
        MEASURE.start(evaluate_inputs(sheet=tmp_path / "sheet.txt"), drawings, "cpu")


# All of it


def draw_pictures(folder: Path, count: int) -> Path:
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for number in range(count):
        coarse = random.integers(0, 256, (random.integers(2, 9), 5, 3), np.uint8)
        image = Image.fromarray(coarse).resize((80, 72), Image.Resampling.BICUBIC)
        image.save(folder / f"n{number:08d}_{('tench', 'goldfish')[number % 2]}.png")
    return folder


def test_everything_is_measured_in_one_run(tmp_path: Path, shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    weights = shared_data / "weights"
    data = draw_pictures(tmp_path / "data", 24)
    pictures = sorted(data.glob("*.png"))
    inputs = evaluate_inputs(
        data=(data,),
        squeezenet=weights / "squeezenet1_0_imagenet.safetensors",
        mobilenet=weights / "mobilenet_v2_imagenet.safetensors",
        scenes=scenes_folder(tmp_path / "scenes"),
        photos=(pictures[0],),
        paintings=(pictures[1],),
        sheet=tmp_path / "sheet.png",
    )
    settings = EvaluateFeaturesSettings(
        sizes=(64,), map_size=64, fit_pictures=12, speed_size=64, repeats=1, drawings=2, drawing_size=48,
        drawing_steps=1, channels=1, scene_size=64, paint_size=64, strengths=(0.4,),
    )  # fmt: skip
    steps: list[Step] = []
    saved = run(perform(MEASURE, inputs, settings, device="cpu", out=tmp_path / "report.txt"), steps.append)
    assert steps[0].done == 0
    shares = [step.share for step in steps]
    assert shares == sorted(shares)  # type: ignore[type-var]
    wanted = {
        "agreement_with_mobilenet_v2", "explained_squeezenet1_fire5", "vgg19_forward_ms", "bundled_peak_mb",
        "bundled_drawing_confidence", "random_weights_drawing_wanted", "mobilenet_v2_scenes", "random_weights_scenes",
        "bundled_style", "bundled,_strength_0.4_style", "squeezenet1_0_grain",
    }  # fmt: skip
    assert saved.metrics.keys() >= wanted
    json.dumps(dict(saved.metrics), allow_nan=False)
    report = saved.path.read_text(encoding="utf-8")
    assert report.startswith("features.safetensors, sha256 `")
    assert report.count("\n|--") == 6
    assert "| VGG-19 " in report
    assert Image.open(tmp_path / "sheet.png").width > 3 * 48
    # What was reported while it ran is the beginning of what it says at the end.
    last: Evaluation = saved.result
    assert report == last.text


def test_measuring_can_be_cancelled_from_the_start(tmp_path: Path) -> None:
    engine = evaluate_features(Material(), EvaluateFeaturesSettings(only=("cost",)), cache=tmp_path)
    assert next(engine).done == 0
    engine.close()
    assert not list(tmp_path.iterdir())
