"""Settings are declared once: changed in one place, they change on the command line, in the form, in the schema, in the
saved file and in the docs; and what is wrong is told in one sentence.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, Literal

import pytest
import toy_app
from test_cli import Creative, creative  # noqa: F401

from apps import _docs, _verbs
from apps._app import Action, App, perform
from creative.options.style_transfer import StylizeInputs, StylizeSettings
from creative.progress import run
from creative.provenance import read_provenance
from creative.settings import (
    Field,
    Inputs,
    MaskFile,
    PictureFile,
    Settings,
    SettingsError,
    StyleName,
    describe,
)

ROOT = Path(__file__).resolve().parent.parent


# Changed in one place -------------------------------------------------------------------------------------------------


class Changed(toy_app.TintSettings):
    """The toy's settings with one field declared otherwise: default, bounds, title and description."""

    steps: int = Field(7, ge=2, le=50, title="Rounds", description="Rounds of the lamp over the picture", step=1)


@pytest.fixture
def changed_verb(creative: Creative, monkeypatch: pytest.MonkeyPatch) -> Action:  # noqa: F811
    action = dataclasses.replace(toy_app.TINT, settings=Changed)
    monkeypatch.setattr(_verbs, "apps", lambda: [App("toy", "Toy", "Lights.", (action,))])
    return action


def test_flags_follow(changed_verb: Action, creative: Creative) -> None:  # noqa: F811
    told = " ".join(creative("tint", "--help").out.split())
    assert "--steps N Rounds of the lamp over the picture (2 to 50; default: 7)" in told
    assert (
        "--steps must be at least 2, but is 1 (rounds of the lamp" in creative("tint", "a", "red", "--steps", "1").err
    )


def test_form_follows(changed_verb: Action) -> None:
    gr = pytest.importorskip("gradio")
    from apps._form import build_widget

    field = next(entry for entry in describe(Changed) if entry.name == "steps")
    with gr.Blocks():
        widget = build_widget(field)
    slider = widget.components[0]
    assert isinstance(slider, gr.Slider)
    assert (slider.label, slider.value, slider.minimum, slider.maximum) == ("Rounds", 7, 2, 50)
    assert slider.info == "Rounds of the lamp over the picture"


def test_schema_follows() -> None:
    schema = Changed.model_json_schema()["properties"]["steps"]
    assert (schema["default"], schema["minimum"], schema["maximum"]) == (7, 2, 50)
    assert (schema["title"], schema["description"]) == ("Rounds", "Rounds of the lamp over the picture")


def test_metadata_follows(changed_verb: Action, photo_file: Path, tmp_path: Path) -> None:
    inputs = toy_app.TintInputs(photo=(photo_file,), colour="red")
    saved = run(perform(changed_verb, inputs, Changed(), out=tmp_path / "out"))
    made = read_provenance(saved.path)
    assert made is not None
    assert made.settings["steps"] == 7


def test_docs_follow(changed_verb: Action) -> None:
    text = _docs.reference()
    assert "| `--steps` | whole number, 2 to 50 | 7 | Rounds: Rounds of the lamp over the picture |" in text


def test_the_docs_in_the_checkout_are_up_to_date() -> None:
    written = (ROOT / "docs" / "options.md").read_text(encoding="utf-8")
    assert written == _docs.reference(), "run: python -m apps._docs > docs/options.md"


# What a field is ------------------------------------------------------------------------------------------------------


class EveryInputs(Inputs):
    photos: tuple[PictureFile, ...] = Field(title="Photos", description="Several", positional=True, min_length=1)
    mask: MaskFile | None = Field(None, title="Mask", description="One or none", advanced=True)
    style: StyleName = Field("x", title="Style", description="A picture or a name")


class EverySettings(Settings):
    whole: int = Field(3, gt=1, lt=9, title="Whole", description="A number", step=2)
    maybe: float | None = Field(None, ge=0, title="Maybe", description="A number or none")
    choice: Literal["a", "b"] = Field("a", title="Choice", description="One of two")
    yes: bool = Field(True, title="Yes", description="Or no")
    several: tuple[float, ...] = Field((1.0,), title="Several", description="Numbers")
    text: str = Field("hi", title="Text", description="Words", widget="prompt")


def test_fields_are_described() -> None:
    every = {entry.name: entry for record in (EveryInputs, EverySettings) for entry in describe(record)}
    assert list(every)[-1] == "seed"
    photos, mask, whole, maybe = (every[name] for name in ("photos", "mask", "whole", "maybe"))
    assert (photos.many, photos.required, photos.file, photos.positional, photos.type) == (
        True,
        True,
        "picture",
        True,
        Path,
    )
    assert (mask.optional, mask.file, mask.advanced, mask.default) == (True, "mask", True, None)
    assert (whole.minimum, whole.maximum, whole.step, whole.default, whole.type) == (1, 9, 2, 3, int)
    assert (maybe.optional, maybe.minimum, maybe.maximum, maybe.type) == (True, 0, None, float)
    assert (every["choice"].choices, every["choice"].type) == (("a", "b"), str)
    assert (every["yes"].type, every["several"].many, every["several"].type) == (bool, True, float)
    assert (every["style"].file, every["text"].widget, every["seed"].widget) == ("style", "prompt", "seed")


def every_record() -> list[Any]:
    records = {record for verb in _verbs.verbs().values() for record in (verb.inputs, verb.settings)}
    return sorted(records, key=lambda record: str(record.__name__))


@pytest.mark.parametrize("record", every_record(), ids=lambda record: str(record.__name__))
def test_every_field_of_the_suite_says_what_it_is(record: Any) -> None:
    for entry in describe(record):
        assert entry.title
        assert entry.description
        assert not entry.description.endswith(".")
        assert entry.type in {int, float, str, bool, Path}


def test_settings_survive_json() -> None:
    settings = StylizeSettings(seconds=2.5, style_layers=("relu1_1=0.5", "relu2_1"), iterations=(3, 2), seed=9)
    assert StylizeSettings(**json.loads(settings.model_dump_json())) == settings


def test_settings_are_frozen_and_changed_by_copy() -> None:
    settings = StylizeSettings()
    with pytest.raises(ValueError, match="frozen"):
        settings.size = 3  # type: ignore[misc]
    assert settings.changed(size=100).size == 100
    assert settings.size == 512
    with pytest.raises(SettingsError, match="size must be at least 64, but is 3"):
        settings.changed(size=3)


# What is wrong --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"whole": 1}, "whole must be more than 1, but is 1 (a number)."),
        ({"whole": 9}, "whole must be less than 9, but is 9 (a number)."),
        ({"whole": 2.5}, "whole must be a whole number, but is 2.5 (a number)."),
        ({"whole": "many"}, "whole must be a whole number, but is 'many' (a number)."),
        ({"maybe": float("nan")}, "maybe must be a finite number, but is nan (a number or none)."),
        ({"maybe": float("inf")}, "maybe must be a finite number, but is inf (a number or none)."),
        ({"choice": "bb"}, "choice must be 'a' or 'b', but is 'bb'. Did you mean 'b'?"),
        ({"yes": "perhaps"}, "yes must be true or false, but is 'perhaps' (or no)."),
        ({"several": (1, "x")}, "several must be a number, but is 'x' (numbers)."),
        ({"hwole": 3}, "There is no setting 'hwole'. Did you mean 'whole'?"),
        ({"seed": 2**32}, "seed must be at most 4294967295, but is 4294967296 (same seed, same result)."),
    ],
)
def test_one_sentence_for_what_is_wrong(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SettingsError) as raised:
        EverySettings(**values)
    assert str(raised.value) == sentence


def test_what_is_missing_is_said() -> None:
    with pytest.raises(SettingsError, match=r"photo is missing \(picture to paint.*style is missing"):
        StylizeInputs()
    with pytest.raises(SettingsError, match="photos"):
        EveryInputs(photos=())
