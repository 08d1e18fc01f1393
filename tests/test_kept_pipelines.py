"""A pipeline is loaded once for jobs that follow one another, and what a job does to it does not reach the next."""

from __future__ import annotations

import shutil
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from creative.options.diffusion import DiffuseSettings
from creative.progress import Step, run

pytest.importorskip("transformers", reason="transformers is not installed: pip install '.[diffusion]'")
pytest.importorskip("peft", reason="peft is not installed: pip install '.[diffusion]'")

from creative.engines.diffusion.pipelines import PipelineError, draw_with_pipeline, keeping, loading

FEW = DiffuseSettings(steps=2)


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from toy_pipeline import save_lora, save_pipeline

    folder = tmp_path_factory.mktemp("kept")
    save_lora(folder / "lora.safetensors")
    return save_pipeline(folder / "toy")


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The names of the folders in the order in which they are loaded; nothing is kept before or after."""
    names: list[str] = []
    load = loading.load_pipeline

    def counted(folder: Path, *values: Any) -> Any:
        names.append(folder.name)
        return load(folder, *values)

    monkeypatch.setattr(keeping, "load_pipeline", counted)
    keeping.forget()
    yield names
    keeping.forget()


def job(pipeline: Path, settings: DiffuseSettings = FEW, **given: Any) -> Generator[Step, None, Image.Image]:
    return draw_with_pipeline(pipeline, "a boat", settings, device="cpu", **given)


def alone(pipeline: Path, settings: DiffuseSettings = FEW, **given: Any) -> bytes:
    """What is drawn by a pipeline that nobody had before."""
    keeping.forget()
    made = run(job(pipeline, settings, **given))
    keeping.forget()
    return made.tobytes()


def test_jobs_after_one_another_load_once_and_draw_as_if_each_had_loaded(toy: Path, loaded: list[str]) -> None:
    asked: list[tuple[DiffuseSettings, dict[str, Any]]] = [
        (FEW, {}),
        (FEW.changed(sampler="dpm", seed=3, memory="sliced", size=80), {}),
        (FEW, {"negative_prompt": "a dog"}),
    ]
    fresh = [alone(toy, settings, **given) for settings, given in asked]
    loaded.clear()
    said: list[str | None] = []
    made = [run(job(toy, settings, **given), lambda step: said.append(step.message)) for settings, given in asked]
    assert loaded == ["toy"]
    assert said.count("Loading toy.") == 1
    assert [one.tobytes() for one in made] == fresh


def test_a_lora_file_is_loaded_once_and_counts_as_each_job_says(toy: Path, loaded: list[str]) -> None:
    lora = [toy.parent / "lora.safetensors"]
    weights = [FEW.changed(lora_weight=weight) for weight in (1.0, 0.5)]
    fresh = [alone(toy, settings, lora=lora) for settings in weights]
    assert len(set(fresh)) == 2
    loaded.clear()
    made = [run(job(toy, settings, lora=lora)) for settings in weights]
    assert len(loaded) == 1
    assert [one.tobytes() for one in made] == fresh
    assert set(made[-1].info["provenance"].weights) == {"toy", "lora"}
    run(job(toy))
    assert len(loaded) == 2, "a pipeline with a LoRA file is another one"


def test_one_is_kept_and_it_is_what_its_files_are_now(
    toy: Path, tmp_path: Path, loaded: list[str], photo: Image.Image
) -> None:
    other = Path(shutil.copytree(toy, tmp_path / "other"))
    for pipeline in (toy, other, toy):
        run(job(pipeline))
    assert loaded == ["toy", "other", "toy"]
    run(job(toy, DiffuseSettings(steps=2, size=64), photo=photo))
    assert loaded[3:] == ["toy"], "another class of diffusers"
    run(job(other))
    (other / "unet" / "config.json").touch()
    run(job(other))
    assert loaded[4:] == ["other", "other"]


def test_two_jobs_at_a_time_have_one_each(toy: Path, loaded: list[str]) -> None:
    settings = [FEW.changed(steps=3, seed=seed) for seed in (1, 2)]
    fresh = [alone(toy, one) for one in settings]
    run(job(toy))
    loaded.clear()
    engines = dict(enumerate(job(toy, one) for one in settings))
    made: dict[int, bytes] = {}
    while engines:
        for number, engine in list(engines.items()):
            try:
                next(engine)
            except StopIteration as end:
                made[number] = end.value.tobytes()
                del engines[number]
    assert [made[0], made[1]] == fresh
    assert loaded == ["toy"], "one had what was kept, the other its own"


def test_what_was_stopped_is_kept_and_what_failed_is_not(
    toy: Path, loaded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from diffusers import UNet2DConditionModel

    fresh = alone(toy)
    loaded.clear()
    engine = job(toy, DiffuseSettings(steps=50))
    while next(engine).done < 2:
        pass
    engine.close()
    assert run(job(toy)).tobytes() == fresh
    assert loaded == ["toy"]

    def broken(self: Any, *values: Any, **more: Any) -> Any:
        raise RuntimeError("sizes of tensors must match")

    with monkeypatch.context() as patch:
        patch.setattr(UNet2DConditionModel, "forward", broken)
        with pytest.raises(PipelineError):
            run(job(toy))
    assert run(job(toy)).tobytes() == fresh
    assert loaded == ["toy", "toy"]


def test_none_is_kept_where_memory_is_short_or_nobody_asks(
    toy: Path, loaded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(keeping, "free_memory_mb", lambda device: 0.01)
        run(job(toy))
    recipe = keeping.Recipe(toy.resolve(), "text", torch.float32)
    assert not keeping.is_kept(recipe)
    run(job(toy))
    assert keeping.is_kept(recipe)
    monkeypatch.setattr(keeping, "KEPT_FOR", 0.05)
    run(job(toy))
    assert loaded == ["toy", "toy"]
    end = time.monotonic() + 30
    while keeping.is_kept(recipe) and time.monotonic() < end:
        time.sleep(0.02)
    assert not keeping.is_kept(recipe)
