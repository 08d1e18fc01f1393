"""perform(): saves what an engine makes, keeps what was there when stopped, treads on nobody's feet."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest
from PIL import Image

from apps._app import Action, perform
from creative.images import open_image
from creative.progress import Step, run
from creative.provenance import read_provenance
from creative.settings import Field, Inputs, PictureFile, Settings


class TintInputs(Inputs):
    photo: tuple[PictureFile, ...] = Field(title="Photo", description="A picture", positional=True, min_length=1)


class TintSettings(Settings):
    steps: int = Field(3, ge=1, le=100, title="Steps", description="How many")


def tint(inputs: TintInputs, settings: TintSettings, device: str) -> Generator[Step, None, Image.Image]:
    photo = open_image(inputs.photo[0])

    def engine() -> Generator[Step, None, Image.Image]:
        yield Step(0, settings.steps)
        image = photo
        for done in range(1, settings.steps + 1):
            image = image.point(lambda level: level // 2)
            yield Step(done, settings.steps, metrics={"left": 0.5**done}, preview=image.copy)
        return image

    return engine()


TINT = Action("tint", "Tint", "Darken a picture.", TintInputs, TintSettings, tint, batch="photo")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "cat.png"
    Image.radial_gradient("L").resize((24, 16)).convert("RGB").save(path)
    return path


def test_saves_with_provenance(photo: Path, tmp_path: Path) -> None:
    saved = run(perform(TINT, TintInputs(photo=(photo,)), TintSettings(), out=tmp_path / "out"))
    assert saved.path == tmp_path / "out" / "cat-tint.png"
    made = read_provenance(saved.path)
    assert made is not None
    assert made.settings["steps"] == 3
    assert saved.metrics == {"left": 0.125}
    assert saved.complete
    assert saved.peak_memory_mb > 1


def test_stopped_keeps_the_last_preview(photo: Path, tmp_path: Path) -> None:
    job = perform(TINT, TintInputs(photo=(photo,)), TintSettings(), out=tmp_path / "out")
    next(job), next(job)
    with pytest.raises(StopIteration) as stop:
        job.throw(KeyboardInterrupt)
    saved = stop.value.value
    assert saved.path.name == "cat-tint-stopped.png"
    assert not saved.complete
