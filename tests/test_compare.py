"""Compare: every way in its turn, measured; what fails or is stopped does not lose the rest."""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from test_cli import Creative, creative  # noqa: F401
from toy_translator import save_translator

from creative.engines.compare import CompareError, Comparison, Distances, Painted, compare
from creative.engines.compare import ways as ways_module
from creative.engines.compare.comparing import compare_ways
from creative.engines.compare.judging import Judge
from creative.engines.compare.meter import Meter
from creative.engines.compare.sheet import Cell, draw_sheet, num_columns
from creative.engines.compare.ways import Way
from creative.images import pixel_sha256
from creative.options.compare import CompareInputs, CompareSettings
from creative.progress import Step, run
from creative.provenance import Provenance, describe_run, read_provenance
from creative.style_presets import load_preset

CPU = torch.device("cpu")
QUICK = CompareSettings(size=64, ways=("optimisation", "cyclegan"))


def photo(width: int = 80, height: int = 60, seed: int = 0) -> Image.Image:
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 255, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


# The ways in their order, with toys --------------------------------------------------------------------------------


def toy(name: str, colour: str, *, fails: BaseException | None = None, log: list[str] | None = None) -> Way:
    def engine() -> Generator[Step, None, Image.Image]:
        seen = [] if log is None else log
        seen.append(f"{name} begins")
        try:
            yield Step(0, 4)
            for done in range(1, 5):
                if fails is not None and done == 3:
                    raise fails
                yield Step(done, 4, preview=lambda: Image.new("RGB", (64, 48), colour), message=None)
        finally:
            seen.append(f"{name} ends")
        return Image.new("RGB", (64, 48), colour)

    return Way(name, name.title(), "toys", engine())


def judge(picture: Image.Image) -> Distances:
    red, _, blue = picture.resize((1, 1)).getpixel((0, 0))  # type: ignore[misc]
    return Distances("toy", red / 255, blue / 255)


def record(results: Sequence[Painted]) -> Provenance:
    return describe_run("compare", {"seed": 0}, result={"ways": [one.name for one in results]})


def begin(*ways: Way) -> Generator[Step, None, Comparison]:
    return compare_ways(Comparison(photo(64, 48), None, "", judges=("toy",)), ways, [judge], record, CPU)


def test_each_way_in_its_turn() -> None:
    log: list[str] = []
    told: list[str] = []
    shares: list[float] = []
    numbers: list[int] = []

    def watch(step: Step) -> None:
        told.extend([step.message] if step.message else [])
        shares.append(step.share or 0)
        numbers.append(step.preview().picture.width if step.preview else 0)

    made = run(begin(toy("one", "red", log=log), toy("two", "blue", log=log)), watch)
    assert log == ["one begins", "one ends", "two begins", "two ends"]
    assert [one.name for one in made.results] == ["one", "two"]
    assert [one.distances[0].style for one in made.results] == [1, 0]
    assert [one.distances[0].content for one in made.results] == [0, 1]
    assert made.provenance is not None
    assert made.provenance.result == {"ways": ["one", "two"]}
    assert made.picture.info["provenance"] is made.provenance
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert len(set(filter(None, numbers))) == 1, "the sheet has room for all of them from the start"
    assert re.fullmatch(r"One: \d+\.\d s, \d+ MB, style 1\.00, content 0\.00\.", told[0])


def test_previews_show_what_is_done_what_is_at_work_and_what_is_to_come() -> None:
    engine = begin(toy("one", "red"), toy("two", "blue"), toy("three", "lime"))
    for step in engine:
        now: Any = step.preview() if step.preview else None
        if now and now.at_work and now.at_work[0] == "Two" and now.at_work[2] is not None:
            break
    engine.close()
    assert [one.name for one in now.results] == ["one"]
    assert now.to_come == ("Three",)
    colours = {
        now.picture.getpixel((x, y)) for x in range(0, now.picture.width, 4) for y in range(0, now.picture.height, 4)
    }
    assert {(255, 0, 0), (0, 0, 255)} <= colours
    assert (0, 255, 0) not in colours


def test_stopped_in_the_middle_keeps_what_is_done_and_ends_every_engine() -> None:
    log: list[str] = []
    ways = [toy("one", "red", log=log), toy("two", "blue", log=log), toy("three", "lime", log=log)]
    engine = begin(*ways)
    kept = None
    for step in engine:
        kept = step.preview() if step.preview else kept
        if log[-1:] == ["two begins"]:
            break
    engine.close()
    assert log[-1] == "two ends"
    assert kept is not None
    assert [one.name for one in kept.results] == ["one"]
    assert all(way.engine.gi_frame is None for way in ways)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("The paint is dry."), "The paint is dry."),
        (MemoryError(), "there is not enough memory for it"),
        (RuntimeError("size mismatch\nin line 3"), "an unexpected RuntimeError: size mismatch in line 3."),
    ],
)
def test_a_way_that_fails_does_not_lose_the_others(error: Exception, words: str) -> None:
    messages: list[str] = []
    made = run(
        begin(toy("one", "red"), toy("two", "blue", fails=error), toy("three", "lime")),
        lambda step: messages.append(step.message or ""),
    )
    assert [one.name for one in made.results] == ["one", "three"]
    assert words in made.left_out["two"]
    assert any(message.startswith("Two is left out: ") for message in messages)
    assert made.to_json()["left_out"] == [{"way": "two", "reason": made.left_out["two"]}]
    with pytest.raises(type(error)):
        run(begin(toy("two", "blue", fails=error)))


# What is measured --------------------------------------------------------------------------------------------------


def test_the_meter_sees_the_memory_and_the_time_of_the_work_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("creative.engines.compare.meter.time.perf_counter", lambda: clock[0])

    def work(megabytes: int) -> Generator[Step, None, None]:
        held = torch.ones(megabytes * 2**18)
        clock[0] += 2
        yield Step(1)
        clock[0] += 1
        del held

    light, heavy = Meter(CPU), Meter(CPU)
    for meter, megabytes in ((heavy, 200), (light, 1)):
        for _ in meter.run(work(megabytes)):
            other = torch.ones(100 * 2**18)  # what is done meanwhile does not count
            clock[0] += 10
            del other
    assert light.seconds == heavy.seconds == 3
    if light.memory_mb is None or heavy.memory_mb is None:
        pytest.skip("this system does not say how much memory a process holds")
    assert heavy.memory_mb > 180
    assert light.memory_mb < 60


def test_judges_know_the_photo_and_the_painting_when_they_see_them() -> None:
    content, painting = photo(96, 72), photo(96, 72, seed=1)
    judge = Judge("bundled", content, painting, device=CPU)
    assert judge(content).style == pytest.approx(1, abs=1e-5)
    assert judge(content).content == pytest.approx(0, abs=1e-6)
    assert judge(painting).style == pytest.approx(0, abs=1e-5)
    assert judge(painting).content > 0.3
    between = Image.blend(content, painting, 0.5)
    assert 0 < judge(between).content < judge(painting).content
    assert Judge("bundled", content, None, device=CPU)(painting).style is None


def test_a_preset_stands_for_its_painting() -> None:
    """A picture of the preset's own strokes is nearer to it than the photo is."""
    preset = load_preset("starry-night")
    assert preset.swatch is not None
    judge = Judge("bundled", photo(96, 96), preset, device=CPU)
    near = judge(preset.swatch.resize((96, 96))).style
    assert near is not None
    assert near < 0.7


# The sheet ---------------------------------------------------------------------------------------------------------


def test_the_sheet_holds_every_picture_as_it_is() -> None:
    colours = ["red", "lime", "blue", "yellow", "cyan"]
    cells = [Cell(Image.new("RGB", (240, 180), colour), colour) for colour in colours]
    sheet = draw_sheet(cells, (240, 180), ["A note that goes over the whole width of the sheet and further. " * 4])
    assert num_columns(5) == 3
    for cell in cells:
        assert cell.picture is not None
        wanted = cell.picture.getpixel((0, 0))
        pixels = np.asarray(sheet) == np.array(wanted, np.uint8)
        assert pixels.all(2).sum() == 240 * 180


def test_a_sheet_of_tall_or_tiny_pictures_has_room_for_words() -> None:
    for size in ((20, 90), (64, 64), (300, 40)):
        cells = [Cell(Image.new("RGB", size), "Photo")]
        cells += [
            Cell(Image.new("RGB", size), "x" * 200, "y" * 200, 7200.0, 12345.0, (Distances("bundled", 9.0, 1.0),))
        ]
        sheet = draw_sheet(cells, size)
        assert min(sheet.size) > 90


# What it is given --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    model = save_translator(tmp_path_factory.mktemp("model") / "toy.safetensors")
    return run(compare(photo(), load_preset("starry-night"), QUICK.changed(quality="draft"), model=model))


def test_a_photo_by_two_real_ways(made: Comparison) -> None:
    assert [(one.name, one.manner) for one in made.results] == [
        ("optimisation", "The Starry Night"),
        ("cyclegan", "monet"),
    ]
    assert {one.picture.size for one in made.results} == {(64, 48)}
    first = made.results[0].distances[0].style
    assert first is not None
    assert first < 0.6  # it is painted; 1 is the photo
    told = made.provenance
    assert told is not None
    assert told.settings["ways"] == ["optimisation", "cyclegan"]
    assert set(told.inputs) == {"photo", "style", "model"}
    assert "features" in told.weights
    assert told.result["pictures"] == {one.name: pixel_sha256(one.picture) for one in made.results}


def test_what_cannot_be_done_is_left_out_unless_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from apps._compare_html import show_comparison

    model = save_translator(tmp_path / "toy.safetensors")

    def missing(*_: Any) -> Way:
        raise CompareError("its weights are missing")

    monkeypatch.setitem(ways_module._BEGIN, "instant", missing)
    monkeypatch.setitem(ways_module._BEGIN, "diffusion", missing)
    said: list[str] = []
    alone = run(
        compare(photo(), None, CompareSettings(size=64), model=model), lambda step: said.append(step.message or "")
    )
    assert [one.name for one in alone.results] == ["cyclegan"]
    assert "Optimisation is left out: it paints like a single painting: give one, or a preset's name." in said
    assert alone.results[0].distances[0].style is None
    assert alone.style is None
    shown = show_comparison(alone)
    assert "<th>Content</th>" in shown
    assert "Style" not in shown
    wanted = "give a painting or a preset's name, or leave"
    with pytest.raises(CompareError, match=rf"^Optimisation paints like one .* none is given: {wanted} it out"):
        compare(photo(), None, CompareSettings(ways=("cyclegan", "optimisation")), model="nowhere.pth")
    with pytest.raises(CompareError, match=rf"^Optimisation and Instant paint like one painting.*: {wanted} them out"):
        compare(photo(), None, CompareSettings(ways=("optimisation", "instant")))
    with pytest.raises(CompareError, match="it knows photo and monet, not zebra"):
        compare(photo(), None, CompareSettings(ways=("cyclegan",)), domain="zebra", model=model)
    with pytest.raises(CompareError, match=r"Optimisation: it paints.* CycleGAN: it knows"):
        compare(photo(), None, domain="zebra", model=model)


def test_the_kind_of_pictures_chooses_the_direction(tmp_path: Path) -> None:
    model = save_translator(tmp_path / "toy.safetensors")
    made = [
        run(compare(photo(), None, CompareSettings(size=64, ways=("cyclegan",)), domain=domain, model=model))
        for domain in ("monet", "photo")
    ]
    assert [one.results[0].manner for one in made] == ["monet", "photo"]
    assert made[0].results[0].picture.tobytes() != made[1].results[0].picture.tobytes()


def test_a_kind_may_stand_in_the_styles_place() -> None:
    inputs = CompareInputs(photo=Path("a.png"), style="monet")
    assert (inputs.style, inputs.domain) == (None, "monet")
    assert CompareInputs(photo=Path("a.png"), style="starry-night").domain is None
    with pytest.raises(ValueError, match="Each way is tried once"):
        CompareSettings(ways=("cyclegan", "cyclegan"))


def test_strength_0_is_the_photo_in_a_translation(tmp_path: Path) -> None:
    model = save_translator(tmp_path / "toy.safetensors")
    settings = CompareSettings(size=80, ways=("cyclegan",), strength=0)
    made = run(compare(photo(), None, settings, model=model))
    assert made.results[0].distances[0].content == pytest.approx(0, abs=1e-6)


# The command line and the page -------------------------------------------------------------------------------------


def test_the_command_and_its_replay(creative: Creative, tmp_path: Path) -> None:  # noqa: F811
    photo().save("lake.png")
    save_translator(Path("toy.safetensors"))
    words = ["compare", "lake.png", "starry-night", "--model", "toy.safetensors", "--size", "64"]
    words += ["--quality", "draft", "--ways", "cyclegan", "optimisation"]
    said = creative(*words, "--json", "-o", "sheet.png")
    assert said.code == 0, said.err
    assert [one["way"] for one in said.json["ways"]] == ["cyclegan", "optimisation"]
    for one in said.json["ways"]:
        assert set(one) == {"way", "paints_like", "seconds", "memory_mb", "distances"}
        assert set(one["distances"]["bundled"]) == {"style", "content"}
    kept = read_provenance(Path("sheet.png"))
    assert kept is not None
    assert set(kept.inputs) == {"photo", "style", "model"}
    said = creative("replay", "sheet.png")
    assert said.code == 0, said.err
    assert "he same" in said.err


def test_no_painting_is_needed_where_no_way_wants_one(creative: Creative, tmp_path: Path) -> None:  # noqa: F811
    photo().save("lake.png")
    save_translator(Path("toy.safetensors"))
    words = ["compare", "lake.png", "--model", "toy.safetensors", "--size", "64", "-o", "sheet.png", "--ways"]
    said = creative(*words, "cyclegan")
    assert said.code == 0, said.err
    said = creative(*words, "cyclegan", "instant")
    assert said.code == 2
    assert "creative compare: Instant paints like one painting, and none is given" in said.err.splitlines()[-1]


def test_the_page_offers_no_painting_and_takes_it_over_from_a_result() -> None:
    pytest.importorskip("gradio")
    from apps._form import build_widget, gr
    from creative.settings import describe

    field = next(field for field in describe(CompareInputs) if field.name == "style")
    with gr.Blocks():
        widget = build_widget(field)
    presets = widget.components[0]
    assert presets.value == presets.choices[0][1] != ""
    assert presets.choices[-1] == ("None of them", "")
    assert widget.read("", None) is None
    assert widget.read("", "mine.png") == "mine.png"
    assert widget.write(None)[0] == ""
    assert widget.write(presets.value)[0] == presets.value


def test_a_replay_of_other_pictures_is_not_the_same(tmp_path: Path) -> None:
    from apps._replay import same_pictures
    from creative.images import save_image

    def record_of(shas: Any) -> Provenance:
        return describe_run("compare", {}, result={"pictures": shas} if shas else {})

    image = Image.new("RGB", (8, 8))
    image.info["provenance"] = record_of({"a": "1"})
    path = save_image(image, tmp_path / "a.png")
    assert same_pictures(record_of({"a": "1"}), path)
    assert not same_pictures(record_of({"a": "2"}), path)
    assert not same_pictures(record_of(None), path)


def test_the_page_of_a_result_is_escaped_and_complete(made: Comparison) -> None:
    from dataclasses import replace

    from apps._compare_html import STOPS, show_comparison

    odd = replace(made.results[0], title='<script>"\\', manner="a & b")
    shown = show_comparison(replace(made, results=(odd, made.results[1])))
    assert "<script" not in shown
    assert "a &amp; b" in shown
    assert shown.count('name="l"') == shown.count('name="r"') == 3
    assert shown.count('name="at"') == STOPS + 1
    assert shown.count("url(data:image/jpeg") == 3
    assert shown.count("<tr>") == 3
    assert json.dumps(made.to_json())


def test_a_sheet_is_not_laid_over_the_photo(made: Comparison, tmp_path: Path) -> None:
    """Whatever its shape is by chance."""
    from apps._app import Saved
    from apps._views import result_view
    from apps.compare import APP

    photo(90, 60).save(tmp_path / "photo.png")
    Image.new("RGB", (90, 60)).save(tmp_path / "sheet.png")
    saved = Saved(tmp_path / "sheet.png", QUICK, 1.0, 1.0, result=made)
    view = result_view(APP.actions[0], saved, CompareInputs(photo=tmp_path / "photo.png"), QUICK, tmp_path / "site")
    assert view["figure"] == ""


def test_a_picture_of_one_way_is_worth_a_slider_and_none_is_not() -> None:
    from apps._compare_html import show_comparison

    nothing = Comparison(photo(64, 48), None, "", left_out={"instant": "no weights."})
    assert 'class="two"' not in show_comparison(nothing)
    assert "Instant is left out: no weights." in show_comparison(nothing)
    assert "Seconds" not in show_comparison(nothing)
