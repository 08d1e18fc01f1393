"""Pictures of every kind are opened as they look, the bad ones refused in a sentence; tiles cover; files are whole."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from creative import images
from creative.images import ImageError, open_image, save_image, tiles

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def as_file(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def close(image: Image.Image, expected: Image.Image, tolerance: int = 0) -> bool:
    assert image.size == expected.size
    difference = np.abs(np.asarray(image, int) - np.asarray(expected.convert(image.mode), int))
    return int(difference.max()) <= tolerance


@pytest.fixture
def quarters() -> Image.Image:
    """Red, green, blue and white fields: every turn and mirror of it looks different."""
    image = Image.new("RGB", (48, 32), WHITE)
    image.paste(RED, (0, 0, 24, 16))
    image.paste(GREEN, (24, 0, 48, 16))
    image.paste(BLUE, (0, 16, 24, 32))
    return image


# Opening


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "GIF", "PPM", "TGA", "ICO"])
def test_formats_without_loss_come_out_as_they_went_in(quarters: Image.Image, kind: str) -> None:
    square = quarters.resize((32, 32), Image.Resampling.NEAREST)
    opened = open_image(as_file(square, kind))
    assert opened.mode == "RGB"
    assert close(opened, square)


@pytest.mark.parametrize(("kind", "options"), [("JPEG", {"quality": 95, "subsampling": 0}), ("WEBP", {"quality": 95})])
def test_lossy_formats_come_out_about_as_they_went_in(photo: Image.Image, kind: str, options: dict[str, Any]) -> None:
    error = np.abs(np.asarray(open_image(as_file(photo, kind, **options)), int) - np.asarray(photo, int))
    assert error.mean() < 3


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_pictures_are_turned_upright(quarters: Image.Image, orientation: int, kind: str) -> None:
    # The camera writes the picture lying in some way and says in EXIF how to put it upright.
    lie = {
        1: lambda pixels: pixels,
        2: lambda pixels: pixels[:, ::-1],
        3: lambda pixels: pixels[::-1, ::-1],
        4: lambda pixels: pixels[::-1],
        5: lambda pixels: pixels.transpose(1, 0, 2),
        6: lambda pixels: np.rot90(pixels),
        7: lambda pixels: pixels[::-1, ::-1].transpose(1, 0, 2),
        8: lambda pixels: np.rot90(pixels, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    lying = Image.fromarray(np.ascontiguousarray(lie(np.asarray(quarters))))
    options = {"lossless": True} if kind == "WEBP" else {"quality": 95} if kind == "JPEG" else {}
    opened = open_image(as_file(lying, kind, exif=exif, **options))
    assert opened.size == (48, 32)
    for x, y in ((8, 6), (40, 6), (8, 26), (40, 26)):
        assert np.allclose(opened.getpixel((x, y)), quarters.getpixel((x, y)), atol=6)  # type: ignore[arg-type]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("orientation", [0, 9, 65535, None])
def test_a_broken_orientation_turns_nothing(quarters: Image.Image, orientation: Any) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation if orientation is not None else 6
    data = as_file(quarters, "JPEG", exif=exif if orientation is not None else b"Exif\0\0MM\0\x2a\xff\xff\xff\xff")
    assert open_image(data).size == (48, 32)


def test_transparency_is_shown_over_white() -> None:
    clear = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    half = Image.new("RGBA", (4, 4), (0, 0, 0, 128))
    grey = Image.new("LA", (4, 4), (0, 64))
    assert open_image(as_file(clear, "PNG")).getpixel((0, 0)) == WHITE
    assert open_image(as_file(half, "PNG")).getpixel((0, 0)) == (127, 127, 127)
    assert open_image(as_file(grey, "PNG")).getpixel((0, 0)) == (191, 191, 191)
    assert open_image(as_file(clear, "WEBP", lossless=True, exact=True)).getpixel((0, 0)) == WHITE
    assert open_image(clear).getpixel((0, 0)) == WHITE


def test_palettes_with_and_without_a_clear_colour(quarters: Image.Image) -> None:
    palette = quarters.quantize(4)
    assert close(open_image(as_file(palette, "PNG")), quarters)
    clear = as_file(palette, "PNG", transparency=palette.getpixel((0, 0)))  # red becomes clear
    assert open_image(clear).getpixel((0, 0)) == WHITE
    assert open_image(clear).getpixel((40, 0)) == GREEN
    keyed = as_file(quarters, "PNG", transparency=RED)
    assert open_image(keyed).getpixel((0, 0)) == WHITE
    grey = as_file(Image.new("L", (4, 4), 7), "PNG", transparency=7)
    assert open_image(grey).getpixel((0, 0)) == WHITE
    assert close(open_image(as_file(quarters.convert("1"), "PNG")), quarters.convert("1").convert("RGB"))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_sixteen_bits_are_scaled_to_eight(kind: str) -> None:
    ramp = np.linspace(0, 65535, 256).round().astype(np.uint16).reshape(1, 256)
    opened = open_image(as_file(Image.fromarray(ramp), kind))
    assert np.array_equal(np.asarray(opened)[0, :, 0], np.arange(256))
    half = open_image(as_file(Image.fromarray(ramp // 2), kind))
    assert np.asarray(half).max() in (127, 128)
    dark = open_image(as_file(Image.fromarray(ramp // 256), kind))  # a dark picture stays dark
    assert np.asarray(dark).max() == 1


def test_numbers_with_a_point_are_scaled_and_holes_in_them_black() -> None:
    unit = np.array([[0.0, 0.5, 1.0, np.nan]], np.float32)
    assert np.asarray(open_image(as_file(Image.fromarray(unit), "TIFF")))[0, :, 0].tolist() == [0, 128, 255, 0]
    bytes_ = np.array([[0.0, 128.0, 255.0]], np.float32)
    assert np.asarray(open_image(as_file(Image.fromarray(bytes_), "TIFF")))[0, :, 0].tolist() == [0, 128, 255]
    deep = np.array([[-1000, 0, 1000]], np.int32)
    assert np.asarray(open_image(as_file(Image.fromarray(deep), "TIFF")))[0, :, 0].tolist() == [0, 128, 255]


def test_print_colours_become_screen_colours() -> None:
    ink = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    for kind in ("JPEG", "TIFF"):
        red, green, blue = open_image(as_file(ink, kind)).getpixel((8, 8))  # type: ignore[misc]
        assert red > 250
        assert green < 5
        assert blue < 5
    assert open_image(Image.new("HSV", (2, 2), (0, 255, 255))).getpixel((0, 0)) == RED
    assert min(open_image(Image.new("LAB", (2, 2), (255, 128, 128))).getpixel((0, 0))) >= 254  # type: ignore[arg-type]


def profile_that_swaps_red_and_blue() -> bytes:
    """The sRGB profile with the tags of its red and blue primaries exchanged, under another name."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for old, new in ((b"rXYZ", b"xxxx"), (b"bXYZ", b"rXYZ"), (b"xxxx", b"bXYZ")):
        assert profile.count(old) == 1
        profile = profile.replace(old, new)
    return profile.replace("sRGB".encode("utf-16-be"), "Swap".encode("utf-16-be"))


def test_a_colour_profile_is_followed(quarters: Image.Image) -> None:
    swapped = Image.merge("RGB", quarters.split()[::-1])
    profile = profile_that_swaps_red_and_blue()
    assert close(open_image(as_file(swapped, "PNG", icc_profile=profile)), quarters, tolerance=2)
    assert close(open_image(as_file(swapped.quantize(4), "PNG", icc_profile=profile)), quarters, tolerance=2)
    lying = swapped.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = open_image(as_file(lying, "PNG", icc_profile=profile, exif=exif))
    assert close(turned, quarters, tolerance=2)
    clear = swapped.convert("RGBA")
    clear.putpixel((0, 0), (0, 0, 0, 0))
    opened = open_image(as_file(clear, "PNG", icc_profile=profile))
    assert opened.getpixel((0, 0)) == WHITE
    assert np.allclose(opened.getpixel((1, 0)), RED, atol=2)  # type: ignore[arg-type]


def test_a_profile_of_srgb_changes_nothing_and_a_broken_one_neither(photo: Image.Image) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()  # does not fit an RGB picture
    for profile in (srgb, lab, b"nonsense", b"", profile_that_swaps_red_and_blue()[:200]):
        assert close(open_image(as_file(photo, "PNG", icc_profile=profile)), photo)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_the_first_frame_of_many_is_taken(kind: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, GREEN, BLUE)]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = as_file(frames[0], kind, save_all=True, append_images=frames[1:], duration=100, **options)
    assert open_image(data).getpixel((4, 4)) == RED


@pytest.mark.parametrize("size", [(1, 1), (1, 4000), (4000, 1)])
def test_extreme_shapes_open(size: tuple[int, int]) -> None:
    assert open_image(as_file(Image.new("RGB", size, RED), "PNG")).size == size


def test_a_picture_in_memory_is_not_changed(quarters: Image.Image) -> None:
    clear = quarters.convert("RGBA")
    clear.info["dpi"] = (300, 300)
    opened = open_image(clear)
    assert clear.mode == "RGBA"
    assert clear.info == {"dpi": (300, 300)}
    assert opened is not clear
    again = open_image(opened)
    again.putpixel((0, 0), BLUE)
    assert opened.getpixel((0, 0)) == RED


# Where a picture came from


def test_the_source_is_remembered_and_nothing_else(photo: Image.Image, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x8825] = {1: "N", 2: (52.0, 31.0, 0.0)}
    path = tmp_path / "trip.jpg"
    photo.save(path, exif=exif, comment="secret", dpi=(300, 300))
    opened = open_image(path)
    assert set(opened.info) == {"source"}
    assert opened.info["source"]["file"] == "trip.jpg"
    assert opened.info["source"]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert not opened.getexif()
    assert open_image(str(path)).info == open_image(path).info
    with path.open("rb") as stream:
        assert open_image(stream).info == opened.info
    assert open_image(path.read_bytes()).info["source"]["file"] == ""
    assert open_image(opened).info == opened.info


def test_a_changed_picture_is_no_longer_its_file(photo_file: Path) -> None:
    opened = open_image(photo_file)
    of_file = images.source_of(opened)
    for changed in (opened.crop((0, 0, 9, 9)), opened.resize((20, 20)), opened.rotate(180), opened.convert("L")):
        source = images.source_of(changed)
        assert source["file"] == ""
        assert source["sha256"] == images.pixel_sha256(changed) != of_file["sha256"]
    assert images.source_of(open_image(opened.crop((0, 0, 9, 9))))["file"] == ""
    hostile = opened.copy()
    hostile.info["source"] = "rubbish"
    assert images.source_of(hostile)["file"] == ""
    assert open_image(hostile).info["source"]["file"] == ""


def test_masks_are_luminance_and_keep_their_source(tmp_path: Path) -> None:
    drawn = Image.new("RGBA", (4, 1), (255, 255, 255, 255))
    drawn.putpixel((1, 0), (0, 0, 0, 255))
    drawn.putpixel((2, 0), (0, 0, 0, 0))  # clear: white, as it is seen
    drawn.putpixel((3, 0), (255, 0, 0, 255))
    drawn.save(tmp_path / "mask.png")
    mask = images.open_mask(tmp_path / "mask.png")
    assert mask.mode == "L"
    assert list(np.asarray(mask)[0]) == [255, 0, 255, 76]
    assert images.source_of(mask)["file"] == "mask.png"


def test_masks_go_with_pictures_of_their_shape() -> None:
    def masked(mask: tuple[int, int], picture: tuple[int, int]) -> Image.Image:
        return images.fitting_mask(Image.new("L", mask, 255), Image.new("RGB", picture))

    for mask, picture in (((60, 40), (600, 400)), ((61, 40), (600, 400)), ((500, 2), (1000, 3)), ((2, 500), (3, 1000))):
        assert masked(mask, picture).size == mask
        assert masked(picture, mask).size == picture
    for mask, picture in (((40, 60), (600, 400)), ((70, 40), (600, 400)), ((500, 4), (1000, 3))):
        assert "another shape" in refusal(lambda sizes=(mask, picture): masked(*sizes))  # type: ignore[misc]
    deep = Image.fromarray(np.array([[0, 32768, 65535]], np.uint16))
    assert np.asarray(images.fitting_mask(deep, deep)).tolist() == [[0, 128, 255]]
    assert "black" in refusal(lambda: images.fitting_mask(Image.new("L", (4, 4)), Image.new("RGB", (4, 4))))


# Refusals


def refusal(call: Callable[[], Any]) -> str:
    with pytest.raises(ImageError) as caught:
        call()
    text = str(caught.value)
    assert "\n" not in text
    assert text[-1] in ".)"
    assert "Traceback" not in text
    assert len(text) < 400
    return text


def test_what_is_no_picture_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "notes.jpg").write_text("Dear diary, ...")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "page.png").write_text("<!DOCTYPE html><html></html>")
    os.mkfifo(tmp_path / "pipe.png")
    for name, words in {
        "notes.jpg": "not a picture",
        "page.png": "not a picture",
        "empty.png": "empty",
        "missing.jpg": "no file",
        "pipe.png": "not an ordinary file",
        ".": "folder",
    }.items():
        text = refusal(lambda name=name: open_image(tmp_path / name))  # type: ignore[misc]
        assert words in text
        assert (tmp_path / name).name in text
    assert "no file nul?.png" in refusal(lambda: open_image("nul\0.png"))
    assert "x" * 20 in refusal(lambda: open_image("x" * 5000))
    assert "not int" in refusal(lambda: open_image(3))  # type: ignore[arg-type]
    assert "binary" in refusal(lambda: open_image(io.StringIO("text")))  # type: ignore[arg-type]
    assert "empty" in refusal(lambda: open_image(b""))


def test_programs_are_not_run_to_open_a_picture(tmp_path: Path) -> None:
    (tmp_path / "figure.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n")
    assert "figure.eps is not a picture" in refusal(lambda: open_image(tmp_path / "figure.eps"))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "JPEG2000"])
@pytest.mark.parametrize("part", [0.05, 0.5, 0.9])
def test_truncated_files_are_refused(photo: Image.Image, kind: str, part: float, tmp_path: Path) -> None:
    data = as_file(photo, kind)
    path = tmp_path / "cut.bin"
    path.write_bytes(data[: int(len(data) * part)])
    if kind == "JPEG2000" and part > 0.5:
        pytest.skip("a cut JPEG 2000 file is a coarser picture")
    assert "cut.bin" in refusal(lambda: open_image(path))


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_broken_bytes_never_end_in_another_error(photo: Image.Image) -> None:
    random = np.random.default_rng(0)
    small = photo.resize((24, 16))
    refused = 0
    for kind in ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "TGA", "ICO", "PPM", "PCX", "SGI"):
        original = np.frombuffer(as_file(small, kind), np.uint8)
        for _ in range(40):
            data = original.copy()
            where = random.integers(0, min(len(data), 400), 6)
            data[where] = random.integers(0, 256, 6)
            try:
                opened = open_image(data.tobytes(), max_pixels=10_000_000)
            except ImageError:
                refused += 1
            else:
                assert opened.mode == "RGB"
    assert refused > 50


def test_a_bomb_is_refused_before_it_is_decoded() -> None:
    flat = as_file(Image.new("1", (20_000, 20_000)), "PNG")  # 400 million pixels in 50 kB
    assert len(flat) < 200_000
    start = time.process_time()
    assert "too many" in refusal(lambda: open_image(flat))
    assert time.process_time() - start < 0.5
    small = as_file(Image.new("RGB", (200, 100)), "PNG")
    text = refusal(lambda: open_image(small, max_pixels=19_999))
    assert "200 × 100" in text
    assert open_image(small, max_pixels=20_000).size == (200, 100)


def test_large_files_are_refused_before_they_are_read(photo_file: Path, tmp_path: Path) -> None:
    assert "too large" in refusal(lambda: open_image(photo_file, max_bytes=1000))
    assert "too large" in refusal(lambda: open_image(photo_file.read_bytes(), max_bytes=1000))
    sparse = tmp_path / "sparse.png"
    with sparse.open("wb") as file:
        file.truncate(10**12)
    assert "sparse.png is too large" in refusal(lambda: open_image(sparse))


# Sizes and tensors


@pytest.mark.parametrize(
    ("size", "longest", "expected"),
    [((400, 300), 200, (200, 150)), ((300, 400), 800, (600, 800)), ((4000, 1), 256, (256, 1)), ((1, 1), 64, (64, 64))],
)
def test_fit_keeps_the_shape(size: tuple[int, int], longest: int, expected: tuple[int, int]) -> None:
    assert images.fit(size, longest) == expected


def test_sizes_below_one_are_refused(photo: Image.Image) -> None:
    assert "at least 1" in refusal(lambda: images.fit((10, 10), 0))
    assert "at least 1" in refusal(lambda: images.resize(photo, (0, 10)))
    assert images.resize(photo, (13, 7)).size == (13, 7)
    assert images.resize(photo, photo.size) is not photo


def test_tensors_and_back_lose_nothing(photo: Image.Image) -> None:
    import torch

    tensor = images.to_tensor(photo)
    assert tensor.shape == (1, 3, photo.height, photo.width)
    assert tensor.dtype == torch.float32
    assert tensor.is_contiguous(memory_format=torch.channels_last)
    assert close(images.to_image(tensor), photo)
    grey = photo.convert("L")
    assert images.to_tensor(grey).shape == (1, 1, photo.height, photo.width)
    assert close(images.to_image(images.to_tensor(grey)), grey)
    assert images.to_tensor(photo.convert("RGBA")).shape[1] == 3
    assert close(images.to_image(tensor[0].bfloat16()), photo, tolerance=1)


def test_tensors_are_clamped_and_rounded() -> None:
    import torch

    row = torch.tensor([-1.0, 0.4 / 255, 0.6 / 255, 2.0, float("nan"), float("inf")]).expand(1, 3, 1, 6)
    assert np.asarray(images.to_image(row.requires_grad_()))[0, :, 0].tolist() == [0, 0, 1, 255, 0, 255]
    for shape in ((2, 3, 4, 4), (1, 2, 4, 4), (4, 4), (1, 3, 0, 4)):
        assert "shape" in refusal(lambda shape=shape: images.to_image(torch.zeros(shape)))  # type: ignore[misc]


# Tiles


@pytest.mark.parametrize("multiple", [1, 4, 16])
@pytest.mark.parametrize("halo", [0, 5, 32])
@pytest.mark.parametrize(
    ("height", "width", "size"), [(100, 70, 32), (64, 64, 64), (1, 200, 48), (33, 129, 16), (5, 5, 3)]
)
def test_cores_cover_a_picture_exactly_once(height: int, width: int, size: int, halo: int, multiple: int) -> None:
    covered = np.zeros((height, width), int)
    position = np.arange(height * width).reshape(height, width)
    for tile in tiles(height, width, size, halo, multiple):
        covered[tile.core] += 1
        assert max(tile.height, tile.width) <= max(size, multiple)
        assert np.array_equal(position[tile.outer][tile.inner], position[tile.core])
        for start, length, outer_start, outer_length, end in (
            (tile.top, tile.height, tile.outer_top, tile.outer_height, height),
            (tile.left, tile.width, tile.outer_left, tile.outer_width, width),
        ):
            stop, outer_stop = start + length, outer_start + outer_length
            assert start % multiple == outer_start % multiple == 0
            assert stop % multiple == 0 or stop == end
            assert outer_stop % multiple == 0 or outer_stop == end
            assert outer_start <= max(0, start - halo)
            assert outer_stop >= min(end, stop + halo)
            assert 0 <= outer_start < outer_stop <= end
    assert (covered == 1).all()


def test_tiles_of_a_network_give_the_features_of_the_whole() -> None:
    import torch
    from torch import nn

    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3, padding=1), nn.AvgPool2d(2)
    )
    picture = torch.rand(1, 3, 44, 60)
    whole, pieced = network(picture), torch.zeros(1, 4, 11, 15)
    for tile in tiles(44, 60, 16, halo=8, multiple=4):
        part = network(picture[..., tile.outer[0], tile.outer[1]])
        inside, outside = ([slice(s.start // 4, s.stop // 4) for s in box] for box in (tile.inner, tile.core))
        pieced[..., outside[0], outside[1]] = part[..., inside[0], inside[1]]
    assert torch.allclose(whole, pieced, atol=1e-6)


def test_tiles_of_no_size_are_refused() -> None:
    for arguments in ((0, 5, 4, 1), (5, 5, -1, 1), (5, 5, 4, -1)):
        assert "cannot cover" in refusal(lambda arguments=arguments: tiles(*arguments))  # type: ignore[misc]


# Saving


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".JPEG", ".webp"])
def test_saving_repeats_to_the_byte_and_drops_what_came_along(photo: Image.Image, suffix: str, tmp_path: Path) -> None:
    loaded = photo.copy()
    loaded.info = {
        "comment": b"secret",
        "exif": b"Exif\0\0secret",
        "icc_profile": b"secret",
        "dpi": (7, 7),
        "xmp": b"secret",
    }
    first = save_image(loaded, tmp_path / f"a{suffix}")
    second = save_image(photo, str(tmp_path / f"b{suffix}"))
    assert first.read_bytes() == second.read_bytes()
    assert b"secret" not in first.read_bytes()
    assert loaded.info["comment"] == b"secret"
    assert close(open_image(first), photo, tolerance=0 if suffix == ".png" else 60)
    assert names(tmp_path) == sorted([first.name, second.name])


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F"])
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_every_mode_can_be_saved(mode: str, suffix: str, tmp_path: Path) -> None:
    assert open_image(save_image(Image.new(mode, (5, 4)), tmp_path / f"a{suffix}")).size == (5, 4)


@pytest.mark.parametrize("quality", [1, 50, 89, 90, 95, 100])
@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_noise_can_be_saved_in_any_quality(suffix: str, quality: int, tmp_path: Path) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8))
    assert open_image(save_image(noise, tmp_path / f"a{suffix}", quality=quality)).size == (300, 300)


def test_a_file_gets_the_permissions_of_any_new_file(photo: Image.Image, tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "plain", save_image(photo, tmp_path / "a.png"))]
    assert modes[0] == modes[1]


def test_missing_folders_are_made(photo: Image.Image, tmp_path: Path) -> None:
    assert save_image(photo, tmp_path / "new" / "folder" / "a.png").is_file()


def test_outputs_are_checked_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder.png").mkdir()
    assert images.check_output(tmp_path / "a.PNG") == tmp_path / "a.PNG"
    assert images.check_output(tmp_path / "new" / "a.webp")
    assert not (tmp_path / "new").exists()
    assert ".png, .jpg, .jpeg or .webp, not in .tiff: a.tiff" in refusal(
        lambda: images.check_output(tmp_path / "a.tiff")
    )
    assert "which has none" in refusal(lambda: images.check_output(tmp_path / "a"))
    assert "folder of that name" in refusal(lambda: images.check_output(tmp_path / "folder.png"))
    assert "file is not a folder" in refusal(lambda: images.check_output(tmp_path / "file" / "a.png"))
    assert "too long" in refusal(lambda: images.check_output(tmp_path / ("x" * 300 + ".png")))
    assert "no file name" in refusal(lambda: images.check_output("a\0.png"))
    assert images.check_output(tmp_path / "a.txt", [".txt"])
    assert names(tmp_path) == ["file", "folder.png"]


def test_an_unwritable_folder_is_told_at_once(
    tmp_path: Path, photo: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(**_: Any) -> Any:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("creative.files.tempfile.TemporaryFile", denied)  # root may write anywhere
    assert "no permission" in refusal(lambda: save_image(photo, tmp_path / "a.png"))


@pytest.mark.parametrize("when", ["write", "flush", "rename"])
def test_a_full_disk_leaves_the_old_file(photo: Image.Image, tmp_path: Path, when: str, monkeypatch: Any) -> None:
    path = save_image(photo, tmp_path / "a.png")
    before = path.read_bytes()

    def full(*_: Any, **__: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    target, name = {"write": (Path, "write_bytes"), "flush": (os, "fsync"), "rename": (Path, "replace")}[when]
    monkeypatch.setattr(target, name, full)
    assert "the disk is full" in refusal(lambda: save_image(Image.new("RGB", (9, 9)), path))
    assert path.read_bytes() == before
    assert names(tmp_path) == ["a.png"]


def test_a_really_full_disk_leaves_the_old_file(photo: Image.Image, tmp_path: Path) -> None:
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", tmp_path], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a small disk")
    try:
        path = save_image(Image.new("RGB", (9, 9)), tmp_path / "a.png")
        before = path.read_bytes()
        noise = Image.effect_noise((512, 512), 100)
        assert "the disk is full" in refusal(lambda: save_image(noise, path))
        assert path.read_bytes() == before
        assert names(tmp_path) == ["a.png"]
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_ctrl_c_while_saving_leaves_nothing(photo: Image.Image, tmp_path: Path, monkeypatch: Any) -> None:
    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_image(photo, tmp_path / "a.png")
    assert names(tmp_path) == []


def test_what_a_format_cannot_hold_is_told(tmp_path: Path, photo: Image.Image) -> None:
    wide = Image.new("L", (70_000, 1))
    for suffix in (".jpg", ".webp"):
        assert "70000 × 1" in refusal(lambda suffix=suffix: save_image(wide, tmp_path / f"a{suffix}"))  # type: ignore[misc]
    assert "quality" in refusal(lambda: save_image(photo, tmp_path / "a.jpg", quality=0))
    assert names(tmp_path) == []


def test_folders_stand_for_their_pictures(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in ("b.JPG", "a.png", "notes.txt", ".hidden.png", "c.webp"):
        (folder / name).touch()
    (folder / "sub.png").mkdir()
    single = tmp_path / "single.dat"
    single.touch()
    found = images.picture_files([single, folder, str(folder / "a.png")])
    assert [path.name for path in found] == ["single.dat", "a.png", "b.JPG", "c.webp"]
    assert "no picture in the folder" in refusal(lambda: images.picture_files([folder / "sub.png"]))
    assert "no file" in refusal(lambda: images.picture_files([tmp_path / "none"]))


def test_opening_a_picture_costs_no_torch(photo_file: Path) -> None:
    code = (
        "import sys; from creative.images import open_image; open_image(sys.argv[1]); sys.exit('torch' in sys.modules)"
    )
    root = Path(__file__).resolve().parent.parent
    assert subprocess.run([sys.executable, "-c", code, photo_file], cwd=root, check=False).returncode == 0
