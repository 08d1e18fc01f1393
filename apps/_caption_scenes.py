"""Drawn scenes to try captions on, as files that know which scene they are; is what is said of them true?"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from PIL import Image, PngImagePlugin

from creative.data.scenes import Scene, SentenceError, draw_scene
from creative.engines.captioning import Captions
from creative.engines.captioning.describing import names_of

SIDE = 384
"""Of a drawn scene, pixels."""
PART = "test"
"""Scenes of this part are never trained on."""
_KEY = "creative scene"


@dataclass(frozen=True)
class Checked(Captions):
    """Captions with the checker's verdicts.

    Attributes:
        verdicts: of drawn scenes, by the description's name: for each sentence whether it is true of the scene.
    """

    verdicts: Mapping[str, Sequence[bool]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """With ``true`` of each sentence about a drawn scene."""
        told = super().to_json()
        for found in told["captions"]:
            for sentence, true in zip(found["sentences"], self.verdicts.get(found["file"], ()), strict=False):
                sentence["true"] = true
        return told


def save_scene(seed: int, folder: Path) -> Path:
    """A scene as a file that says which one it is."""
    about = PngImagePlugin.PngInfo()
    about.add_text(_KEY, str(seed))
    path = folder / f"scene-{seed}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    draw_scene(seed, part=PART).picture(SIDE).save(path, pnginfo=about)
    return path


def scene_of(path: Path) -> Scene | None:
    """The scene that a file holds, if it is one of ``save_scene`` and nobody has drawn on it since."""
    with contextlib.suppress(OSError, ValueError, SyntaxError), Image.open(path, formats=["PNG"]) as picture:
        if picture.size != (SIDE, SIDE):
            return None
        seed = str(picture.info.get(_KEY, ""))
        if seed.isdecimal() and len(seed) < 19:
            scene = draw_scene(int(seed), part=PART)
            return scene if scene.picture(SIDE).tobytes() == picture.convert("RGB").tobytes() else None
    return None


def check(captions: Captions, files: Sequence[Path]) -> Checked:
    """The captions with verdicts on those of drawn scenes."""
    names = zip(names_of(files), files, strict=True)
    scenes = {name: scene for name, path in names if (scene := scene_of(path)) is not None}
    verdicts = {
        found.name: tuple(_is_true(scenes[found.name], one.text) for one in found.sentences)
        for found in captions.descriptions
        if found.name in scenes and found.sentences
    }
    return Checked(**{one.name: getattr(captions, one.name) for one in fields(Captions)}, verdicts=verdicts)


def told(checked: Checked) -> str | None:
    """The verdicts on the best sentences, in a sentence."""
    best = [of[0] for of in checked.verdicts.values()]
    if not best:
        return None
    if len(best) == 1:
        return f"The checker of scenes says: {'true' if best[0] else 'not true'} of this scene."
    return f"The checker of scenes says: true of {sum(best)} of {len(best)} scenes."


def _is_true(scene: Scene, sentence: str) -> bool:
    try:
        return scene.is_true(sentence)
    except SentenceError:
        return False
