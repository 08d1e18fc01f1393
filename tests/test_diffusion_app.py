"""The page Diffusion and ``creative diffuse`` with our own network: a toy that draws 16 pixels."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from test_cli import Creative, creative  # noqa: F401
from toy_diffusion import draw_colours, untrained

from apps._app import Action, perform
from apps.diffusion import APP
from creative.progress import run
from creative.provenance import read_provenance

ACTIONS = {action.verb: action for action in APP.actions}
FEW: dict[str, Any] = {"steps": 2, "domain": "teal"}


@pytest.fixture
def here(photo_file: Path, creative: Creative) -> Creative:  # noqa: F811
    """In a folder with photo.jpg, mask.png and toy.safetensors."""
    untrained(Path())
    mask = Image.new("L", (192, 128))
    mask.paste(255, (40, 30, 120, 90))
    mask.save("mask.png")
    return creative


def pixels(path: str | Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"), dtype=np.int16)


def performed(verb: str, given: dict[str, Any], **settings: Any) -> Path:
    action: Action = ACTIONS[verb]
    inputs = action.inputs(**given, model="toy.safetensors")
    return run(perform(action, inputs, action.settings(**{**FEW, **settings}), device="cpu")).path


FORMS: dict[str, tuple[dict[str, Any], dict[str, Any], tuple[int, int]]] = {
    "draw": ({}, {"num": 4, "size": 16}, (36, 36)),
    "in-between": ({}, {"num": 3, "size": 16, "between": 9}, (56, 16)),
    "restyle": ({"photo": "photo.jpg"}, {"size": 96, "strength": 0.5}, (96, 64)),
    "fill-in": ({"photo": "photo.jpg", "mask": "mask.png"}, {}, (192, 128)),
}


@pytest.mark.parametrize("verb", FORMS)
def test_each_form_makes_a_picture_that_can_be_made_again(verb: str, here: Creative) -> None:
    given, settings, size = FORMS[verb]
    path = performed(verb, given, **settings)
    with Image.open(path) as picture:
        assert picture.size == size
    made = read_provenance(path)
    assert made is not None
    assert made.action == verb
    assert set(made.settings) == set(ACTIONS[verb].settings.model_fields)
    again = here("replay", path)
    assert again.code == 0, again.err
    assert "The same bytes" in again.err + again.out


@pytest.mark.parametrize("verb", FORMS)
def test_the_verb_does_what_each_form_does(verb: str, here: Creative) -> None:
    given, settings, _ = FORMS[verb]
    words = [str(given["photo"])] if "photo" in given else []
    words += ["--mask", str(given["mask"])] if "mask" in given else []
    action = ACTIONS[verb]
    for name, value in action.settings(**{**FEW, **settings}).model_dump().items():
        words += [f"--{name.replace('_', '-')}", str(value)] if value is not None else []
    said = here("diffuse", *words, "--model", "toy.safetensors", "-o", "typed.png")
    assert said.code == 0, said.err
    assert (pixels("typed.png") == pixels(performed(verb, given, **settings))).all()
    assert here("replay", "typed.png").code == 0


def test_a_click_on_a_sheet_draws_that_very_picture(here: Creative) -> None:
    action = ACTIONS["draw"]
    assert action.clicks is not None
    settings = action.settings(**FEW, num=5, size=16, seed=7)
    inputs = action.inputs(model="toy.safetensors")
    saved = run(perform(action, inputs, settings, device="cpu"))
    areas = action.clicks.areas(inputs, settings, saved.result)
    assert len(areas) == 5
    area = areas[4]
    assert (area.values["num"], area.values["size"]) == (1, 256)
    left, top, right, bottom = area.box
    alone = performed("draw", {}, num=1, size=16, seed=area.values["seed"])
    assert np.abs(pixels(alone) - pixels(saved.path)[top:bottom, left:right]).max() <= 1
    assert action.clicks.areas(inputs, settings.changed(num=1), saved.result) == ()


def test_only_diffuse_is_typed_of_the_forms(creative: Creative) -> None:  # noqa: F811
    words = creative("--help").out
    assert "  diffuse " in words
    for verb in (*FORMS, "pipeline"):
        assert not ACTIONS[verb].typed
        assert f"  {verb} " not in words


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--domain", "monet"), "monet"),
        (("photo.jpg", "--between", "3"), "leave out the photo"),
        (("photo.jpg", "--mask", "nowhere.png"), "There is no file nowhere.png"),
        (("--steps", "0"), "--steps must be at least 1"),
        (("--size", "3"), "--size must be at least 16"),
    ],
)
def test_what_is_wrong_is_one_sentence(words: tuple[str, ...], sentence: str, here: Creative) -> None:
    said = here("diffuse", *words, "--model", "toy.safetensors")
    assert said.code == 2
    assert sentence in said.err
    assert len(said.err.strip().splitlines()) == 1


def test_an_unknown_network_is_told(creative: Creative) -> None:  # noqa: F811
    said = creative("diffuse", "--model", "diffusoin")
    assert said.code == 2
    assert "There is no diffuser called 'diffusoin'" in said.err


def test_examples_fill_in_every_form(tmp_path: Path) -> None:
    for action in APP.actions:
        if action.examples is None:
            continue
        fields = {*action.inputs.model_fields, *action.settings.model_fields}
        for values in action.examples(tmp_path).values():
            first = values() if callable(values) else values
            assert set(first) <= fields
            given = {name: value for name, value in first.items() if name in action.settings.model_fields}
            action.settings(**given)
            assert all(value.is_file() for value in first.values() if isinstance(value, Path))


def test_training_takes_zips_and_what_it_makes_draws(here: Creative, tmp_path: Path) -> None:
    rust, teal = draw_colours(tmp_path / "kinds", count=4)
    for folder in (rust, teal):
        with zipfile.ZipFile(f"{folder.name}.zip", "w") as file:
            for picture in sorted(folder.iterdir()):
                file.write(picture, picture.name)
    small = ("--size", "16", "--num-levels", "2", "--channels", "8", "16", "--batch-size", "2", "--workers", "0")
    said = here("train", "diffusion", "rust.zip", "teal.zip", "--steps", "1", *small, "--name", "mine")
    assert said.code == 0, said.err
    drawn = here("diffuse", "--model", "mine", "--num", "1", "--steps", "1", "-o", "drawn.png")
    assert drawn.code == 0, drawn.err
    assert pixels("drawn.png").shape == (16, 16, 3)
