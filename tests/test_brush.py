"""What is painted on a page becomes a picture in flat colours, and can be painted on later."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from apps._brush import MASK, PALETTE, is_painting, painting_of, save_painting


def painted(size: tuple[int, int] = (60, 40), told: str = "") -> str:
    """A disc with a soft edge and a bar of a colour nobody has, as a browser would send it."""
    large = Image.new("RGBA", (size[0] * 4, size[1] * 4))
    ImageDraw.Draw(large).ellipse((20, 20, 100, 100), fill=(*PALETTE["Blue"], 255))
    layer = large.resize(size, Image.Resampling.BILINEAR)
    ImageDraw.Draw(layer).rectangle((40, 0, 50, 9), fill=(250, 10, 20, 255))
    file = io.BytesIO()
    layer.save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}{told}"


def colours(path: Path) -> dict[tuple[int, int, int], int]:
    with Image.open(path) as image:
        return {colour: count for count, colour in image.convert("RGB").getcolors()}


def test_a_painting_is_flat_and_of_the_size_of_the_picture_below(tmp_path: Path) -> None:
    path = save_painting(painted(told="#600x400"), tmp_path / "out", "regions", PALETTE)
    assert path is not None
    with Image.open(path) as image:
        assert image.size == (600, 400)
        assert image.getpixel((450, 50)) == PALETTE["Red"], "the nearest colour of the palette"
    found = colours(path)
    assert set(found) == {(0, 0, 0), PALETTE["Red"], PALETTE["Blue"]}, "a soft edge made more colours"
    assert found[PALETTE["Red"]] == 110 * 100
    assert found[PALETTE["Blue"]] == pytest.approx(np.pi * 10**2 * 100, rel=0.1)


def test_a_mask_is_white_where_it_was_painted(tmp_path: Path) -> None:
    path = save_painting(painted(), tmp_path, "mask", MASK)
    assert path is not None
    assert set(colours(path)) == {(0, 0, 0), (255, 255, 255)}


def test_a_painting_goes_back_to_the_canvas(tmp_path: Path) -> None:
    path = save_painting(painted(told="#600x400"), tmp_path, "regions", PALETTE)
    assert path is not None
    assert save_painting(painting_of(path), tmp_path, "regions", PALETTE) == path, "not the same after there and back"
    assert len(list(tmp_path.iterdir())) == 1
    large = save_painting(painted(told="#6000x4000"), tmp_path, "regions", PALETTE)
    assert large is not None
    again = save_painting(painting_of(large), tmp_path, "regions", PALETTE)
    assert again is not None
    with Image.open(again) as image:
        assert image.size == (6000, 4000)


def test_a_file_goes_to_the_canvas_where_it_could_have_been_painted(tmp_path: Path) -> None:
    sheet = Image.new("RGB", (60, 40))
    sheet.paste(PALETTE["Green"], (0, 0, 30, 40))
    sheet.save(tmp_path / "regions.png")
    assert is_painting(tmp_path / "regions.png", PALETTE)
    assert not is_painting(tmp_path / "regions.png", MASK)
    sheet.resize((90, 60), Image.Resampling.BICUBIC).save(tmp_path / "soft.png")
    sheet.resize((1800, 1200), Image.Resampling.NEAREST).save(tmp_path / "large.png")
    (tmp_path / "broken.png").write_bytes(b"no")
    for name in ("soft", "large", "broken"):
        assert not is_painting(tmp_path / f"{name}.png", PALETTE)


def test_nothing_painted_is_nothing(tmp_path: Path) -> None:
    empty = io.BytesIO()
    Image.new("RGBA", (30, 20), (255, 255, 255, 90)).save(empty, "PNG")
    for text in (None, "", f"data:image/png;base64,{base64.b64encode(empty.getvalue()).decode()}#30x20"):
        assert save_painting(text, tmp_path, "mask", MASK) is None
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "text",
    [
        "hello",
        "data:image/png;base64,AAAA",
        "data:image/svg+xml;base64,AAAA",
        painted()[:-90],
        painted(told="#0x0"),
        painted(told="#60000x40000"),
        painted(told="#400x600"),
        painted((3000, 2000)),
        "data:image/png;base64," + "A" * 10**7,
    ],
    ids=["words", "no PNG", "SVG", "cut", "no size", "huge", "turned", "large", "long"],
)
def test_what_is_no_painting_is_told_in_one_sentence(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match="did not arrive whole; clear it and paint it again"):
        save_painting(text, tmp_path, "mask", MASK)
    assert not list(tmp_path.iterdir())
