"""Translating: pictures of any size and strength, without seams; there and back; videos; the file taken elsewhere."""

from __future__ import annotations

from itertools import chain, pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from toy_translator import save_published, save_translator, toy_generator

from creative.blocks.gan import GANError, ResNetConfig, ResNetGenerator
from creative.checkpoint import CheckpointError
from creative.device import random_generator
from creative.engines.cyclegan import canvas
from creative.engines.cyclegan.canvas import Canvas, reach, settle
from creative.engines.cyclegan.translating import load_translator, translate
from creative.images import resize, to_tensor
from creative.options.translate import TranslateSettings, TranslateVideoSettings
from creative.progress import run
from creative.weights import WeightsError


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_translator(tmp_path_factory.mktemp("models") / "toy.safetensors")


def drawn(photo: Image.Image, model: Path, **settings: object) -> Image.Image:
    return run(translate(photo, TranslateSettings(**{"stroke_size": 1, **settings}), model=model, device="cpu"))


def levels(image: Image.Image) -> np.ndarray:
    return np.asarray(image, np.float32)


# Any size -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", ["instance", "none"])
@pytest.mark.parametrize("upsampling", ["resize", "transposed"])
def test_tiles_are_what_the_whole_would_be(photo: Image.Image, norm: str, upsampling: str) -> None:
    shape = ResNetConfig(width=6, num_blocks=2, residual=True, norm=norm, upsampling=upsampling)  # type: ignore[arg-type]
    generator, picture = toy_generator(1, shape), to_tensor(photo)[..., :125, :189]
    whole = run_canvas(Canvas(generator, tile=0), picture)
    tiled = run_canvas(Canvas(generator, tile=64), picture)
    assert len(Canvas(generator, tile=64).cut(*picture.shape[-2:])) == 6
    assert (whole - picture).abs().mean() > 0.003, "nothing was changed, so nothing was tried"
    torch.testing.assert_close(tiled, whole, atol=1e-4, rtol=0)


def run_canvas(on: Canvas, picture: torch.Tensor) -> torch.Tensor:
    return run(on.draw(picture))  # type: ignore[arg-type, return-value]


def test_the_reach_of_a_generator_covers_what_a_pixel_changes() -> None:
    generator = toy_generator(2, ResNetConfig(width=6, num_blocks=2, norm="none", residual=True))
    side = 2 * reach(generator) + 41
    picture = torch.full((1, 3, 8, side), 0.5)
    other = picture.clone()
    other[..., side // 2] = 1
    difference = (generator.translate(picture) - generator.translate(other)).abs().amax((0, 1, 2))
    reached = difference.nonzero().flatten() - side // 2
    assert 20 < reached.abs().max() <= reach(generator)


def test_tiles_without_room_for_the_whole_have_no_seams(photo: Image.Image, monkeypatch: pytest.MonkeyPatch) -> None:
    """Statistics from a smaller copy: colours move a little, all over; at the tiles' rims nothing jumps."""
    picture, generator = to_tensor(resize(photo, (384, 256))), toy_generator(3)
    whole = run_canvas(Canvas(generator, tile=0), picture)
    monkeypatch.setattr(canvas, "WHOLE", 384 * 256 * 6 // 4)
    monkeypatch.setattr(canvas, "TILE", 128)
    on = Canvas(generator)
    tiled = run_canvas(on, picture)
    assert len(on.cut(256, 384)) == 6
    own = torch.cat([generator.translate(part) for part in picture.split(128, 3)], 3)
    assert seam(tiled - whole) < 2 * seam(tiled - whole, beside=20)
    assert seam(own - whole) > 2 * seam(tiled - whole), "tiles by themselves have seams; this would not see them"
    assert (tiled - whole).abs().mean() < 0.7 * (own - whole).abs().mean()


def seam(difference: torch.Tensor, beside: int = 0) -> float:
    """How much a picture jumps from one side of a tile's rim to the other, on average over its rows."""
    at = 128 + beside
    return float((difference[..., at].mean((0, 1)) - difference[..., at - 1].mean((0, 1))).abs().mean())


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (7, 5), (33, 18), (130, 67)])
def test_any_size(model: Path, size: tuple[int, int]) -> None:
    odd = Image.effect_noise(size, 90).convert("RGB")
    assert drawn(odd, model).size == size
    assert drawn(odd, model, show="both-ways", stroke_size=3).size == (3 * size[0] + 24, 2 * size[1] + 12)


def test_a_flat_picture_stays_in_range(model: Path) -> None:
    found = levels(drawn(Image.new("RGB", (40, 40), "teal"), model))
    assert np.isfinite(found).all()
    assert found.std((0, 1)).max() < 90


# How ------------------------------------------------------------------------------------------------------------------


def test_a_strength_of_nothing_gives_the_picture_back_exactly(photo: Image.Image, model: Path) -> None:
    assert drawn(photo, model, strength=0).tobytes() == photo.tobytes()
    assert drawn(photo, model, strength=0, size=90).tobytes() == resize(photo, (90, 60)).tobytes()
    pair = drawn(photo, model, strength=0, show="pair")
    assert pair.crop((204, 0, 396, 128)).tobytes() == photo.tobytes()


def test_strength_is_a_mixture(photo: Image.Image, model: Path) -> None:
    before, whole, half = levels(photo), levels(drawn(photo, model)), levels(drawn(photo, model, strength=0.5))
    assert np.abs(whole - before).mean() > 8
    assert np.abs(half - (before + whole) / 2).max() <= 1
    more = levels(drawn(photo, model, strength=1.5))
    free = (more > 0) & (more < 255)
    assert np.abs(more - (1.5 * whole - 0.5 * before))[free].max() <= 2


def test_larger_strokes_change_coarsely(photo: Image.Image, model: Path) -> None:
    fine, coarse = (levels(drawn(photo, model, stroke_size=size)) - levels(photo) for size in (1, 4))
    detail = [np.abs(np.diff(change, axis=1)).mean() / np.abs(change).mean() for change in (fine, coarse)]
    assert detail[1] < 0.6 * detail[0]


def test_strokes_are_as_large_as_in_training(photo: Image.Image, tmp_path: Path) -> None:
    """Trained on pictures of 64 pixels, it draws a photo of 128 in a copy of half the size, one of 60 as it is."""
    from creative.checkpoint import load_checkpoint, save_checkpoint

    known = load_checkpoint(save_translator(tmp_path / "toy.safetensors"))
    small = save_checkpoint(tmp_path / "small.safetensors", known.tensors, {**known.metadata, "settings": {"size": 64}})
    assert drawn(photo, small, stroke_size=None).tobytes() == drawn(photo, small, stroke_size=2).tobytes()
    assert drawn(photo, small, stroke_size=None, size=90).tobytes() == drawn(photo, small, size=90).tobytes()
    assert drawn(photo, known.path, stroke_size=None).tobytes() == drawn(photo, known.path).tobytes()


def test_a_large_photo_is_made_smaller_and_a_small_one_stays(photo: Image.Image, model: Path) -> None:
    assert drawn(photo, model, size=96).size == (96, 64)
    assert drawn(photo, model, size=2000).size == photo.size


def test_there_and_back_side_by_side(photo: Image.Image, model: Path) -> None:
    small = resize(photo, (96, 64))
    there, back = (toy_generator(seed) for seed in (0, 1))
    sheet = drawn(small, model, show="both-ways")
    cells = [[sheet.crop((x, y, x + 96, y + 64)) for x in (0, 108, 216)] for y in (0, 76)]
    first = to_tensor(small)
    with torch.no_grad():
        expected = [[first, there.translate(first), back.translate(there.translate(first))],
                    [first, back.translate(first), there.translate(back.translate(first))]]  # fmt: skip
    for found, wanted in zip(chain(*cells), chain(*expected), strict=True):
        assert (to_tensor(found) - wanted).abs().max() < 2 / 255, "float16 in the file is all that may differ"
    assert drawn(small, model, show="round-trip").tobytes() == sheet.crop((0, 0, 312, 64)).tobytes()
    assert drawn(small, model, show="pair").tobytes() == sheet.crop((0, 0, 204, 64)).tobytes()


def test_the_way_back_comes_with_the_result(photo: Image.Image, model: Path) -> None:
    trip = drawn(photo, model).info["round_trip"]
    assert trip.domains == ("photo", "monet")
    assert [one.size for one in trip.pictures] == [photo.size] * 3
    assert trip.away == pytest.approx(np.abs(levels(trip.pictures[2]) - levels(photo)).mean(), abs=0.7)
    assert drawn(photo, model, direction="b_to_a").info["round_trip"].domains == ("monet", "photo")
    assert "round_trip" not in drawn(photo, model, cycle=False).info


def test_steps_previews_and_the_record(photo: Image.Image, model: Path) -> None:
    engine = translate(photo, TranslateSettings(tile=64), model=model)
    first = next(engine)
    assert (first.done, first.total) == (0, 6)
    assert "6 tiles" in str(first.message)
    second = next(engine)
    assert second.preview is not None
    shown = levels(second.preview())
    assert (shown[:, 128:] == levels(photo)[:, 128:]).all(), "what is not drawn yet is the photo"
    assert (shown[:64, :64] != levels(photo)[:64, :64]).any()
    result = run(engine)
    made = result.info["provenance"]
    assert made.action == "translate"
    assert made.settings["tile"] == 64
    assert list(made.weights) == ["toy.safetensors"]
    assert made.inputs["model"][0].file == "toy.safetensors"
    engine = translate(photo, TranslateSettings(), model=model)
    next(engine), next(engine)
    engine.close()
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()


# Models ---------------------------------------------------------------------------------------------------------------


def test_one_direction_is_enough(photo: Image.Image, tmp_path: Path) -> None:
    """Only its tensors are read; what needs the other one says so."""
    both, one = save_translator(tmp_path / "both.safetensors"), save_translator(tmp_path / "one.safetensors", "b_to_a")
    assert drawn(photo, one, direction="b_to_a").tobytes() == drawn(photo, both, direction="b_to_a").tobytes()
    assert "round_trip" not in drawn(photo, one, direction="b_to_a").info
    with pytest.raises(GANError, match="one direction only"):
        translate(photo, TranslateSettings(direction="b_to_a", show="round-trip"), model=one)
    with pytest.raises(GANError, match="a_to_b"):
        translate(photo, TranslateSettings(), model=one)


def test_a_published_checkpoint_translates(photo: Image.Image, tmp_path: Path) -> None:
    """The layers that its names stand for, computed here by hand."""
    from torch.nn import functional as F

    path = save_published(tmp_path / "latest_net_G_A.pth", num_blocks=6)
    state = torch.load(path, weights_only=True)

    def normed(x: torch.Tensor) -> torch.Tensor:
        return F.instance_norm(x)

    def conv(x: torch.Tensor, name: str, **how: int) -> torch.Tensor:
        return F.conv2d(x, state[f"{name}.weight"], state.get(f"{name}.bias"), **how)

    x = to_tensor(photo) * 2 - 1
    x = F.relu(normed(conv(F.pad(x, (3,) * 4, "reflect"), "model.1")))
    for name in ("model.4", "model.7"):
        x = F.relu(normed(conv(x, name, stride=2, padding=1)))
    for block in range(10, 16):
        y = F.relu(normed(conv(F.pad(x, (1,) * 4, "reflect"), f"model.{block}.conv_block.1")))
        x = x + normed(conv(F.pad(y, (1,) * 4, "reflect"), f"model.{block}.conv_block.5"))
    for name in ("model.16", "model.19"):
        x = F.relu(normed(F.conv_transpose2d(x, state[f"{name}.weight"], stride=2, padding=1, output_padding=1)))
    expected = (torch.tanh(conv(F.pad(x, (3,) * 4, "reflect"), "model.23")) + 1) / 2
    found = to_tensor(drawn(photo, path))
    assert (found - expected).abs().max() < 2 / 255
    assert load_translator(path).both is False


def test_own_models_by_name(photo: Image.Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from creative.trained import list_trained, name_of

    monkeypatch.setenv("CREATIVE_CACHE", str(tmp_path))
    own = tmp_path / "translators" / "horses"
    own.mkdir(parents=True)
    with pytest.raises(WeightsError, match="There is no translator called 'horses'"):
        translate(photo, model="horses")
    save_translator(own / "best.safetensors")
    assert "horses" in list_trained("translator")
    assert run(translate(photo, model="horses")).tobytes() == drawn(photo, own).tobytes()
    with pytest.raises(WeightsError, match="Did you mean 'horses'"):
        translate(photo, model="horse")
    assert name_of("translator", load_translator(own).sha256) == "horses"


def test_files_that_are_no_models(photo: Image.Image, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.safetensors"
    wrong.write_bytes(b"nothing of the kind")
    with pytest.raises(CheckpointError, match="wrong"):
        translate(photo, model=wrong)
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(save_translator(tmp_path / "whole.safetensors").read_bytes()[:9000])
    with pytest.raises(CheckpointError, match="cut"):
        translate(photo, model=cut)
    other = tmp_path / "other.pth"
    torch.save({"fc.weight": torch.zeros(2, 2)}, other)
    with pytest.raises(GANError, match="not a published CycleGAN generator"):
        translate(photo, model=other)
    with pytest.raises(WeightsError, match="There is no file"):
        translate(photo, model=tmp_path / "nowhere.safetensors")
    (tmp_path / "empty").mkdir()
    with pytest.raises(WeightsError, match="No translator has been trained in the folder"):
        translate(photo, model=tmp_path / "empty")


# Videos ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def clip(photo: Image.Image, tmp_path: Path) -> Path:
    pytest.importorskip("av", reason="the extra `video` is not installed")
    pytest.importorskip("cv2", reason="the extra `video` is not installed")
    from creative.video import save_video

    frames = [photo.crop((2 * number, 0, 96 + 2 * number, 80)) for number in range(5)]
    save_video(frames, tmp_path / "walk.mp4", 12)
    return tmp_path / "walk.mp4"


def test_a_video_frame_by_frame(clip: Path, model: Path, tmp_path: Path) -> None:
    from creative.engines.cyclegan.along import translate_video
    from creative.provenance import read_provenance
    from creative.video import open_video

    settings = TranslateVideoSettings(steady=0)
    path = run(translate_video(clip, tmp_path / "painted.mp4", settings, model=model))
    painted, plain = open_video(path), open_video(clip)
    assert (painted.size, painted.frames_per_second, painted.num_frames) == (plain.size, 12, 5)
    for after, before in zip(painted.frames(), plain.frames(), strict=True):
        expected = levels(resize(drawn(before, model), (24, 20)))  # what the encoding does to fine colours aside
        assert np.abs(levels(resize(after, (24, 20))) - expected).mean() < 6
        assert np.abs(levels(resize(before, (24, 20))) - expected).mean() > 8
    made = read_provenance(path)
    assert made is not None
    assert (made.action, made.inputs["video"][0].file) == ("translate-video", "walk.mp4")


def test_steadiness_calms_what_trembles(clip: Path, model: Path, tmp_path: Path) -> None:
    """Things move by two pixels a frame here, and so should their strokes."""
    from creative.engines.cyclegan.along import translate_video
    from creative.video import open_video

    restless = []
    for steady in (0, 0.9):
        path = tmp_path / f"{steady}.mp4"
        run(translate_video(clip, path, TranslateVideoSettings(steady=steady), model=model))
        frames = [levels(frame) for frame in open_video(path).frames()]
        moves = [np.abs(b[:, 4:-12] - a[:, 6:-10]).mean() for a, b in pairwise(frames)]
        restless.append(np.mean(moves))
    assert restless[1] < 0.8 * restless[0]


def test_a_stopped_video_goes_on_to_the_same_bytes(clip: Path, model: Path, tmp_path: Path) -> None:
    from creative.engines.cyclegan.along import translate_video

    settings = TranslateVideoSettings(most_frames=4)
    whole = run(translate_video(clip, tmp_path / "a.mp4", settings, model=model)).read_bytes()
    stopped = translate_video(clip, tmp_path / "b.mp4", settings, model=model)
    for _ in range(3):
        step = next(stopped)
    assert step.done == 2
    stopped.close()
    assert not (tmp_path / "b.mp4").exists()
    again = translate_video(clip, tmp_path / "b.mp4", settings, model=model)
    said = [step.message for step in iter(lambda: next(again, None), None)]  # type: ignore[arg-type, return-value]
    assert "Goes on from frame 2." in said
    assert (tmp_path / "b.mp4").read_bytes() == whole


# Elsewhere ------------------------------------------------------------------------------------------------------------


def test_onnx_runtime_draws_the_same(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript", reason="the extra `onnx` is not installed: no ONNX files are written")
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: no ONNX file can be checked")
    import onnx

    from creative.engines.cyclegan.onnx import export_onnx

    path = save_translator(tmp_path / "toy.safetensors")
    exported = run(export_onnx(tmp_path / "toy.onnx", model=path))
    session = runtime.InferenceSession(str(exported))
    generator = load_translator(path).generator
    for height, width in ((64, 80), (36, 100), (37, 99), (9, 8)):
        picture = torch.rand(1, 3, height, width, generator=random_generator(height))
        (found,) = session.run(None, {"picture": picture.numpy()})
        whole = torch.nn.functional.pad(picture, (0, -width % 4, 0, -height % 4), mode="reflect")
        np.testing.assert_allclose(found, generator.translate(whole)[..., :height, :width].numpy(), atol=2e-4)
    assert [one.name for one in (*session.get_inputs(), *session.get_outputs())] == ["picture", "translation"]
    assert session.get_inputs()[0].shape == session.get_outputs()[0].shape == [1, 3, "height", "width"]
    props = {entry.key: entry.value for entry in onnx.load(exported).metadata_props}
    assert (props["from"], props["to"]) == ("photo", "monet")


def test_onnx_missing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from creative.engines.cyclegan.onnx import export_onnx

    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(GANError, match=r"pip install creative\[onnx\]"):
        export_onnx(tmp_path / "toy.onnx", model=save_translator(tmp_path / "toy.safetensors"))
    assert not (tmp_path / "toy.onnx").exists()


def test_from_a_settled_generator_the_original_is_left_alone(photo: Image.Image) -> None:
    generator, picture = toy_generator(4), to_tensor(photo)
    before = generator.translate(picture)
    settled = settle(generator, picture, 10**9)
    assert isinstance(generator, ResNetGenerator)
    torch.testing.assert_close(settled.translate(picture), before, atol=1e-4, rtol=0)
    torch.testing.assert_close(generator.translate(picture), before, atol=0, rtol=0)
