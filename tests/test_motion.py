"""What moves between two frames: found, carried along, and measured as flicker."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from creative.motion import blended, follow, optical_flow, steadied, still_visible, warp_error, warped

pytest.importorskip("cv2", reason="the extra `video` is not installed")


def texture(width: int = 140, height: int = 100, seed: int = 0) -> Image.Image:
    noise = np.random.default_rng(seed).integers(0, 256, (height // 4, width // 4, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)


def test_flow_finds_a_shift() -> None:
    large = texture(200, 140)
    frame, other = large.crop((20, 20, 160, 120)), large.crop((15, 23, 155, 123))
    inside = optical_flow(frame, other)[15:-15, 15:-15]
    assert np.abs(inside - (5, -3)).mean() < 0.3


def test_warping_follows_the_flow() -> None:
    pixels = np.arange(12 * 15, dtype=np.float32).reshape(12, 15)
    flow = np.zeros((12, 15, 2), np.float32)
    flow[..., 0], flow[..., 1] = 2, 1
    np.testing.assert_allclose(warped(pixels, flow)[:-1, :-2], pixels[1:, 2:])
    flow[..., 0] = 0.5
    np.testing.assert_allclose(warped(pixels, flow)[:-1, :-1], pixels[1:, :-1] + 0.5)


def test_what_leaves_or_comes_into_view_is_not_visible() -> None:
    flow = np.zeros((20, 30, 2), np.float32)
    flow[..., 0] = 4
    seen = still_visible(flow, -flow)
    assert seen[:, :26].all()
    assert not seen[:, 27:].any()
    back = -flow
    back[5:10, 10:20] = 3  # whatever is there comes from somewhere else
    assert not still_visible(flow, back)[5:10, 6:16].any()


@pytest.mark.parametrize("longest", [640, 70])
def test_a_frame_is_followed(longest: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large frames are searched smaller, and the flow is in pixels of the frame all the same."""
    monkeypatch.setattr("creative.motion.LONGEST", longest)
    large = texture(400, 280).resize((200, 140))
    motion = follow(large.crop((20, 20, 160, 120)), large.crop((15, 23, 155, 123)))
    assert motion.flow.shape == (100, 140, 2)
    assert np.abs(np.median(motion.flow, axis=(0, 1)) - (5, -3)).max() < 0.3
    assert motion.trust[20:-20, 20:-20].mean() > 0.4
    assert not motion.cut
    carried = motion.carried(np.asarray(large.crop((15, 23, 155, 123)), np.float32))
    assert np.abs(carried - np.asarray(large.crop((20, 20, 160, 120))))[15:-15, 15:-15].mean() < 10


def test_a_cut_is_found() -> None:
    assert follow(texture(seed=1), texture(seed=2)).cut
    assert follow(Image.new("RGB", (64, 48), "black"), Image.new("RGB", (64, 48), "white")).cut
    assert not follow(Image.new("RGB", (64, 48), "black"), Image.new("RGB", (64, 48), "black")).cut


def test_blending_goes_by_trust() -> None:
    drawn, carried = np.full((4, 6, 3), 100.0), np.full((4, 6, 3), 200.0)
    trust = np.zeros((4, 6))
    trust[:, 3:] = 1
    found = blended(drawn, carried, trust, 0.7)
    np.testing.assert_allclose(found[:, :3], 100)
    np.testing.assert_allclose(found[:, 3:], 170)
    np.testing.assert_allclose(steadied(drawn, carried, trust * 0, 0.7), drawn)


def test_strokes_that_do_not_agree_stay_crisp() -> None:
    random = np.random.default_rng(0)
    drawn, carried = (128 + 30 * random.standard_normal((48, 64, 3)) for _ in range(2))
    plain = blended(drawn, carried, np.ones((48, 64)), 0.5)
    crisp = steadied(drawn, carried, np.ones((48, 64)), 0.5)
    assert plain.std() < 0.75 * drawn.std()
    assert crisp.std() == pytest.approx(drawn.std(), rel=0.08)


def test_warp_error_is_what_moving_along_does_not_explain() -> None:
    pixels = np.random.default_rng(0).random((20, 30, 3)).astype(np.float32)
    flow = np.zeros((20, 30, 2), np.float32)
    flow[..., 0] = 3
    after = np.roll(pixels, -3, 1)
    seen = np.ones((20, 30))
    seen[:, -3:] = 0
    assert warp_error(after, pixels, flow, seen) == pytest.approx(0, abs=1e-6)
    assert warp_error(after + 0.5, pixels, flow, seen) == pytest.approx(0.5, rel=1e-5)
    assert warp_error(after, pixels, 0 * flow, seen) > 0.3
