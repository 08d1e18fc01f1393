"""A picture by a text-to-image pipeline: from words, from a photo, or where a mask is white.

Latent diffusion: Rombach et al., High-Resolution Image Synthesis with Latent Diffusion Models (2022), arXiv:2112.10752;
restyling: Meng et al., SDEdit (2022), arXiv:2108.01073.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from creative.device import choose_device, fast_dtype, random_generator
from creative.engines.diffusion.pipelines import keeping, memory
from creative.engines.diffusion.pipelines.calling import Moment, call
from creative.engines.diffusion.pipelines.known import (
    Habits,
    granularity,
    habits_of,
    native_size,
    set_sampler,
    too_long,
)
from creative.engines.diffusion.pipelines.loading import (
    Adapter,
    check_controlnet,
    check_lora,
    find_adapter,
    set_weights,
)
from creative.engines.diffusion.pipelines.pictures import Frame, edges, noise_between, roughly, sheet
from creative.engines.diffusion.pipelines.place import (
    PipelineError,
    Task,
    check_packages,
    check_task,
    fetch_pipeline,
    fills_in_only,
    find_pipeline,
    read_index,
    weight_files,
    weights_sha256,
)
from creative.images import fit, resize
from creative.options.diffusion import DiffuseSettings, Memory
from creative.pretrained import Place
from creative.progress import Step
from creative.provenance import describe_run

BETWEEN = 7
"""Pictures between two seeds, both ends among them, where nobody says how many."""


@dataclass(frozen=True)
class _Job:
    """All that is asked of a pipeline."""

    place: Place
    task: Task
    prompt: str
    negative_prompt: str
    settings: DiffuseSettings
    photo: Image.Image | None
    mask: Image.Image | None
    style: Image.Image | None
    adapter: Adapter | None
    controlnet: Path | None
    lora: tuple[Path, ...]
    device: torch.device


def draw_with_pipeline(
    pipeline: str | os.PathLike[str],
    prompt: str = "",
    settings: DiffuseSettings = DiffuseSettings(),  # noqa: B008 (frozen)
    *,
    photo: Image.Image | None = None,
    mask: Image.Image | None = None,
    negative_prompt: str = "",
    style: Image.Image | None = None,
    ip_adapter: str | None = None,
    controlnet: str | None = None,
    lora: Sequence[str | os.PathLike[str]] = (),
    device: str | torch.device | None = None,
) -> Generator[Step, None, Image.Image]:
    """Draw with a text-to-image pipeline: from words, from a photo, or where a mask is white.

    Args:
        pipeline: its folder, or its name on huggingface.co, from where it is fetched after saying how large it is.
        prompt: what to draw.
        settings: how. What is None is as the pipeline was made for; ``domain`` is of no use here.
        photo: to begin with; with a ControlNet and a strength of 1, only its edges count.
        mask: mode L, white where the photo is filled in; of another size it is stretched to the photo's.
        negative_prompt: what it should not look like, where the guidance is above 1.
        style: a picture to take the style from, through an IP-Adapter.
        ip_adapter: its file or folder, with its ``image_encoder`` beside it.
        controlnet: the folder of one for canny edges.
        lora: files to add, all with ``settings.lora_weight``.
        device: where to compute; None chooses.

    Returns:
        The engine; its result is the picture, or a sheet of several, with its provenance in ``info``.

    Raises:
        PipelineError: at the call: no such pipeline, a pickle, code of its own, or a kind that cannot do this.
    """
    place = find_pipeline(pipeline)
    task: Task = "inpaint" if mask is not None else "image" if photo is not None else "text"
    if task == "image" and controlnet is not None and settings.strength == 1:
        task = "text"  # nothing of the photo is kept but its edges
    if mask is not None and photo is None:
        raise PipelineError("A mask needs a photo to be filled in.")
    if mask is not None and mask.convert("L").point(lambda level: 255 * (level >= 128)).getbbox() is None:
        raise PipelineError("The mask is black everywhere, so there is nothing to fill in: paint white what to draw.")
    if task == "text" and not prompt.strip() and style is None:
        raise PipelineError("A pipeline needs a prompt: say what to draw.")
    if settings.between is not None and photo is not None:
        raise PipelineError("Between two seeds new pictures are drawn: leave out the photo, or the second seed.")
    if (style is None) != (ip_adapter is None) or (controlnet is not None and photo is None):
        raise PipelineError("A style picture needs an IP-Adapter and the other way round; a ControlNet needs a photo.")
    if controlnet is not None:
        check_packages("cv2")
    check_lora([Path(file) for file in lora])
    job = _Job(
        place=place,
        task=task,
        prompt=prompt,
        negative_prompt=negative_prompt,
        settings=settings,
        photo=photo,
        mask=mask,
        style=style,
        adapter=find_adapter(ip_adapter) if ip_adapter is not None else None,
        controlnet=check_controlnet(controlnet) if controlnet is not None else None,
        lora=tuple(Path(file) for file in lora),
        device=choose_device(device or "auto"),
    )
    if place.folder is not None:
        _check_kind(job, place.folder)
    return _drawing(job)


def _check_kind(job: _Job, folder: Path) -> None:
    kind = read_index(folder, job.place.name).kind
    check_task(kind, job.task, job.place.label, controlled=job.controlnet is not None)
    if job.task != "inpaint" and fills_in_only(folder):
        raise PipelineError(f"{job.place.label} was made for filling in only: give a photo and a mask.")


def _drawing(job: _Job) -> Generator[Step, None, Image.Image]:
    yield Step(0)
    folder = job.place.folder
    if folder is None:
        folder = yield from fetch_pipeline(job.place)
        _check_kind(job, folder)
    if job.photo is not None and job.settings.strength == 0:
        return (yield from _as_it_was(job, folder))
    dtype = (fast_dtype(job.device) if job.device.type == "cuda" else None) or torch.float32
    recipe = keeping.Recipe(folder.resolve(), job.task, dtype, job.controlnet, job.lora, job.adapter)
    if not keeping.is_kept(recipe):
        yield Step(0, message=f"Loading {job.place.label}.")
    with keeping.borrowed(recipe, job.device) as loaded:
        settings, pictures = yield from _drawn(job, folder, loaded)
    result = sheet(pictures)
    inputs = {"photo": job.photo, "mask": job.mask, "style": job.style}
    weights = {job.place.label: weights_sha256(folder, read_index(folder).parts), **loaded.added}
    result.info["provenance"] = describe_run("diffuse", settings, inputs=inputs, weights=weights, device=job.device)
    return result


def _drawn(
    job: _Job, folder: Path, loaded: keeping.Loaded
) -> Generator[Step, None, tuple[DiffuseSettings, list[Image.Image]]]:
    """The pictures, and the settings as they took effect."""
    pipeline, dtype = loaded.pipeline, loaded.recipe.dtype
    style_weight = job.settings.style_weight if job.adapter is not None else None
    set_weights(pipeline, num_lora=len(job.lora), lora=job.settings.lora_weight, style=style_weight)
    habits = habits_of(job.place.label, pipeline)
    settings, told = _suited(job, pipeline, habits)
    frame = Frame.of(job.photo, job.mask, settings, granularity(pipeline))
    told += frame.told
    level: Memory = settings.memory
    if level == "auto":
        files = weight_files(folder, read_index(folder).parts)
        held = keeping.held_mb(pipeline) if loaded.used and job.device.type == "cpu" else 0.0
        level = memory.choose_level(files, job.device, dtype, frame.drawn, held_mb=held)
    elif level not in memory.levels(job.device):
        told.append(f"{level.capitalize()} is for GPUs; here the pipeline is whole.")
        level = "whole"
    if level != "whole":
        told.append(f"The pipeline is {memory.TOLD[level]}.")
    for sentence in told:
        yield Step(0, message=sentence)
    return settings, (yield from _pictures(job, pipeline, settings, frame, level))


def _as_it_was(job: _Job, folder: Path) -> Generator[Step, None, Image.Image]:
    """A strength of 0 keeps all of the photo, so nothing is loaded."""
    assert job.photo is not None
    longest = job.settings.size or max(job.photo.size)
    result = resize(job.photo, fit(job.photo.size, longest))
    result.info.clear()
    yield Step(1, 1, preview=result.copy, message="A strength of 0 keeps the photo as it is.")
    weights = {job.place.label: weights_sha256(folder, read_index(folder).parts)}
    inputs = {"photo": job.photo, "mask": job.mask, "style": job.style}
    made = describe_run("diffuse", job.settings, inputs=inputs, weights=weights, device=job.device)
    result.info["provenance"] = made
    return result


def _suited(job: _Job, pipeline: Any, habits: Habits) -> tuple[DiffuseSettings, list[str]]:
    """The settings as they take effect, nothing in them left open that matters, and what there is to tell of it."""
    settings, told = job.settings, []
    if (sentence := set_sampler(pipeline, settings.sampler, habits)) is not None:
        told.append(sentence)
    steps = settings.steps or habits.steps
    guidance = habits.guidance if settings.guidance is None else settings.guidance
    strength = settings.strength
    if job.task == "text":
        strength = settings.strength
    elif strength is None:
        strength = 0.5 if job.task == "image" else 1.0
    if job.task != "text" and strength and int(steps * strength) < 1:
        raised = next(count for count in range(steps, 10**6) if int(count * strength) >= 1)
        told.append(f"{steps} steps at a strength of {strength:g} come to none: {raised} steps, of which one is made.")
        steps = raised
    if habits.distilled and guidance is not None and guidance > 1:
        told.append("This pipeline was made to draw without guidance; with it, pictures come out harsh.")
    if job.negative_prompt and (guidance or 0) <= 1:
        told.append("The negative prompt does nothing here: it takes a guidance above 1.")
    told += [sentence for text in (job.prompt, job.negative_prompt) if (sentence := too_long(pipeline, text))]
    if settings.between is not None and getattr(pipeline, "unet", None) is None:
        raise PipelineError(f"{job.place.label} cannot draw between two seeds: it has no U-Net.")
    num = settings.num or (BETWEEN if settings.between is not None else 1)
    values = {"steps": steps, "guidance": guidance, "strength": strength, "num": num}
    return settings.changed(**values, size=settings.size or native_size(pipeline)), told


def _pictures(
    job: _Job, pipeline: Any, settings: DiffuseSettings, frame: Frame, level: Memory
) -> Generator[Step, None, list[Image.Image]]:
    """The pictures one after the other; where the memory does not suffice, once more with less of it at once."""
    assert settings.steps is not None
    num = settings.num or 1
    per_picture = settings.steps
    if job.task != "text":
        per_picture = max(1, min(settings.steps, int(settings.steps * (settings.strength or 1.0))))
    total, pictures, arranged = num * per_picture, list[Image.Image](), False
    while len(pictures) < num:
        number = len(pictures)
        try:
            if not arranged:
                memory.arrange(pipeline, level, job.device)
                arranged = True
            drawing = call(pipeline, **_values(job, pipeline, settings, frame, number))
            made = yield from _watched(drawing, frame, pictures, number * per_picture, per_picture, total)
        except Exception as error:
            if not memory.is_out_of_memory(error):
                raise _refused(job, error) from None
            level = _less(job, level, frame)
            keeping.forget()
            memory.make_room(pipeline, job.device)
            arranged = False
            yield Step(
                number * per_picture, total,
                message=f"The memory did not suffice; going on with the pipeline {memory.TOLD[level]}.",
            )  # fmt: skip
            continue
        pictures.append(frame.framed(made.images[0]))
        told = None
        if any(getattr(made, "nsfw_content_detected", None) or ()):
            which = f"Picture {number + 1}" if num > 1 else "The picture"
            told = f"{which} was blackened by the pipeline's own safety checker; another seed or prompt may do."
        yield Step((number + 1) * per_picture, total, preview=partial(sheet, list(pictures)), message=told)
    return pictures


def _less(job: _Job, level: Memory, frame: Frame) -> Memory:
    lower = memory.next_level(level, job.device)
    if lower is None:
        width, height = frame.drawn
        raise PipelineError(
            f"There is not enough memory for {job.place.label} at {width} × {height} pixels: choose a smaller size."
        ) from None
    return lower


def _refused(job: _Job, error: Exception) -> Exception:
    """What a pipeline raises on its own, in one sentence."""
    if isinstance(error, PipelineError):
        return error
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return PipelineError(f"{job.place.label} cannot do this: {lines[0].rstrip('.')[:200]}.")


def _watched(
    drawing: Generator[Moment, None, Any], frame: Frame, before: list[Image.Image], done: int, most: int, total: int
) -> Generator[Step, None, Any]:
    try:
        while True:
            moment = next(drawing)
            latents = moment.latents

            def preview(latents: Any = latents) -> Image.Image:
                return sheet([*before, frame.framed(roughly(latents, frame.drawn))])

            seen = latents is not None and latents.ndim == 4  # some pack them in ways of their own
            yield Step(done + min(moment.step, most), total, preview=preview if seen else None)
    except StopIteration as end:
        return end.value
    finally:
        drawing.close()


def _values(job: _Job, pipeline: Any, settings: DiffuseSettings, frame: Frame, number: int) -> dict[str, Any]:
    """What the pipeline is called with for one picture."""
    import inspect

    width, height = frame.drawn
    seed = settings.seed if settings.between is not None else (settings.seed + number) % 2**32
    values: dict[str, Any] = {
        "prompt": job.prompt,
        "negative_prompt": job.negative_prompt or None,
        "num_inference_steps": settings.steps,
        "guidance_scale": settings.guidance,
        "width": width,
        "height": height,
        "generator": random_generator(seed),
        "eta": settings.eta,
    }
    if job.task != "text":
        values |= {"image": frame.photo, "strength": settings.strength}
    if job.task == "inpaint":
        values["mask_image"] = frame.mask
    if job.controlnet is not None:
        assert frame.photo is not None
        values["image" if job.task == "text" else "control_image"] = edges(frame.photo)
        values["controlnet_conditioning_scale"] = settings.control_weight
    if job.style is not None:
        values["ip_adapter_image"] = job.style
    if settings.between is not None:
        share = number / (settings.num - 1) if settings.num and settings.num > 1 else 0.5
        values["latents"] = noise_between(pipeline, settings.seed, settings.between, share, frame.drawn)
    taken = inspect.signature(pipeline.__call__).parameters
    return {name: value for name, value in values.items() if name in taken and value is not None}
