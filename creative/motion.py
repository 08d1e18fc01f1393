"""What moved where between two frames of a video, and what that is good for: carrying pictures along, telling flicker.

    motion = follow(frame, before)               # where each pixel of the frame was, and how far that can be trusted
    drawn = steadied(drawn, motion.carried(drawn_before), motion.trust, share=0.6)

Needs the extra ``video`` (OpenCV), which is loaded where it is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from creative.video import VideoError

ALIKE = 32.0
"""Levels of 255 by which a pixel may differ after warping before it is trusted no more."""
CUT_SHARE = 0.1
"""Where less of a frame than this can be trusted, it is of another scene. Of 132 cuts between twelve photos of
256 pixels .00 to .04 was; after a pan by 10 % of the width .11 to .95, after a zoom by 15 % .30 to .96."""
DETAIL, MOST_GAIN = 1.5, 1.5
"""Pixels below which a picture's strokes are fine; how much they are strengthened at most where they were blurred."""
LONGEST = 640
"""Longest side, pixels, of the frames that motion is searched in; larger ones are searched smaller."""
_SMALLEST = 16


@dataclass(frozen=True, slots=True)
class Motion:
    """How a frame follows from another one.

    Attributes:
        flow: where each pixel was, (H, W, 2) float32, pixels to the right and down.
        trust: how sure it is that it is the same thing there, (H, W) float32, 0 to 1.
        cut: whether it is another scene, from which nothing is to be carried.
    """

    flow: np.ndarray
    trust: np.ndarray
    cut: bool

    def carried(self, pixels: np.ndarray) -> np.ndarray:
        """A picture (H, W) or (H, W, C) of the other frame, as it looks when it moves along.

        Interpolated cubically: what is carried from frame to frame to frame would be blurred by linear interpolation.
        """
        return warped(pixels, self.flow, cubic=True)


def follow(frame: Image.Image, before: Image.Image) -> Motion:
    """How a frame follows from the one before it, of the same size.

    A pixel is trusted where the flow there and back leads home, and where the frames look alike after it: where it is
    wrong, or the light has changed, they do not.
    """
    size = frame.size
    small = _searched(size)
    one, other = (image if small == size else image.resize(small, Image.Resampling.BOX) for image in (frame, before))
    flow, back = optical_flow(one, other), optical_flow(other, one)
    seen = warped(np.asarray(other, np.float32), flow, cubic=True)
    alike = np.exp(-(((seen - np.asarray(one, np.float32)) / ALIKE) ** 2).mean(-1))
    trust = still_visible(flow, back) * alike
    cut = bool(trust.mean() < CUT_SHARE)
    return Motion(_enlarged(flow, size, small), _enlarged(trust, size), cut)


def _searched(size: tuple[int, int]) -> tuple[int, int]:
    scale = min(1.0, LONGEST / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _enlarged(field: np.ndarray, size: tuple[int, int], small: tuple[int, int] | None = None) -> np.ndarray:
    """A field (h, w) or (h, w, 2) at (width, height); a flow, of which ``small`` is the size, in pixels of that."""
    if field.shape[1::-1] == size:
        return field
    large = np.asarray(_cv2().resize(field, size, interpolation=_cv2().INTER_LINEAR), np.float32)
    return large if small is None else large * np.array([size[0] / small[0], size[1] / small[1]], np.float32)


def blended(drawn: np.ndarray, carried: np.ndarray, trust: np.ndarray, share: float) -> np.ndarray:
    """What is drawn with as much of what is carried as can be trusted, (H, W, C) float32.

    Args:
        drawn: the frame's own result, (H, W, C).
        carried: the result of the frame before, moved along.
        trust: (H, W), 0 to 1.
        share: of what is carried where it is trusted, 0 to 1.
    """
    weight = share * trust[..., None]
    return drawn * (1 - weight) + carried * weight


def steadied(drawn: np.ndarray, carried: np.ndarray, trust: np.ndarray, share: float) -> np.ndarray:
    """What is drawn blended with what is carried, as crisp as what is drawn; the arguments are those of ``blended``.

    Where the two do not agree their strokes blur each other. So what is finer than ``DETAIL`` pixels is made as strong
    again, within ``MOST_GAIN``, as it is around there in what is drawn. On scenes of photos a share of .75 with this
    flickers less, at .41 to .51 of frame by frame, and is crisper, at .82 to .84, than .4 without: .59 to .63, at .75
    to .80.
    """
    mixed = np.asarray(blended(drawn, carried, trust, share), np.float32)
    cv2 = _cv2()

    def detail(levels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        fine = levels - cv2.GaussianBlur(levels, (0, 0), DETAIL)
        return fine, cv2.GaussianBlur((fine**2).mean(-1), (0, 0), 4 * DETAIL)

    fine, strength = detail(mixed)
    _, wanted = detail(np.asarray(drawn, np.float32))
    gain = np.sqrt((wanted + 1) / (strength + 1)).clip(1, MOST_GAIN)
    return mixed + fine * (gain - 1)[..., None]


def warp_error(picture: np.ndarray, before: np.ndarray, flow: np.ndarray, seen: np.ndarray) -> float:
    """Flicker: how much a picture differs from the one before it, moved along; the root mean square over what is seen.

    After Lai et al., "Learning Blind Video Temporal Consistency" (2018, arXiv:1808.00449), whose measure is its square.
    Even a video that was filmed is not at 0: its noise and the warping's own smoothing count as well, so it is to be
    compared with the input's.

    Args:
        picture, before: (H, W, C), of any range; the result is in its units.
        flow: where each pixel of the picture was, (H, W, 2).
        seen: (H, W), 1 where it was in view, else 0; not 0 everywhere.
    """
    differences = ((np.asarray(picture, np.float32) - warped(np.asarray(before, np.float32), flow)) ** 2).mean(-1)
    return float(np.sqrt((differences * seen).sum() / seen.sum()))


# Optical flow ---------------------------------------------------------------------------------------------------------


def optical_flow(frame: Image.Image, other: Image.Image) -> np.ndarray:
    """Where each pixel of a frame is in another of the same size: (H, W, 2) float32, pixels to the right and down.

    Kroeger et al., "Fast Optical Flow using Dense Inverse Search" (2016, arXiv:1603.03590).
    """
    cv2 = _cv2()
    greys = [np.asarray(image.convert("L")) for image in (frame, other)]
    if min(frame.size) < _SMALLEST:  # too small to search in
        return np.zeros((frame.height, frame.width, 2), np.float32)
    search = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    search.setFinestScale(0)  # at 256 pixels half the error, for 15 ms: what is carried far has to be moved precisely
    return np.asarray(search.calc(*greys, None), np.float32)


def warped(pixels: np.ndarray, flow: np.ndarray, *, cubic: bool = False) -> np.ndarray:
    """What ``pixels`` (H, W) or (H, W, C) show where the flow (H, W, 2) points, linearly or cubically interpolated."""
    cv2 = _cv2()
    rows, columns = np.mgrid[: flow.shape[0], : flow.shape[1]].astype(np.float32)
    places = columns + flow[..., 0], rows + flow[..., 1]
    kind = cv2.INTER_CUBIC if cubic else cv2.INTER_LINEAR
    return np.asarray(cv2.remap(pixels, *places, kind, borderMode=cv2.BORDER_REPLICATE))


def still_visible(flow: np.ndarray, back: np.ndarray) -> np.ndarray:
    """Which pixels of a frame are seen in the other one too: (H, W) float32, 1 or 0.

    Following the flow there and back must lead home, and within the picture (Sundaram et al., "Dense point trajectories
    by GPU-accelerated large displacement optical flow", 2010).

    Args:
        flow: from the frame to the other, (H, W, 2).
        back: from the other to the frame.
    """
    height, width = flow.shape[:2]
    home = warped(back, flow)
    away = ((flow + home) ** 2).sum(-1)
    size = (flow**2).sum(-1) + (home**2).sum(-1)
    rows, columns = np.mgrid[:height, :width]
    x, y = columns + flow[..., 0], rows + flow[..., 1]
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    return ((away < 0.01 * size + 0.5) & inside).astype(np.float32)


def _cv2() -> Any:
    try:
        import cv2
    except ImportError:
        raise VideoError("Optical flow needs OpenCV: install it with `pip install creative[video]`.") from None
    return cv2
