"""What pipelines were made for: few steps without guidance for those that were distilled, many with guidance else.

SD-Turbo: Sauer, Lorenz, Blattmann, Rombach, Adversarial Diffusion Distillation (2023), arXiv:2311.17042; one to four
steps, no guidance, trailing timesteps. LCM: Luo et al., Latent Consistency Models (2023), arXiv:2310.04378.
"""

from __future__ import annotations

import contextlib
import inspect
from dataclasses import dataclass
from typing import Any

from creative.engines.diffusion.pipelines.loading import quiet
from creative.options.diffusion import Sampler

USUAL_STEPS = 30


@dataclass(frozen=True, slots=True)
class Habits:
    """How a pipeline wants to be used.

    Attributes:
        steps: what it was made for.
        guidance: classifier-free guidance; None where it has no such thing.
        distilled: made for few steps without guidance.
        trailing: its timesteps are counted from the end.
    """

    steps: int
    guidance: float | None
    distilled: bool = False
    trailing: bool = False


def habits_of(label: str, pipeline: Any) -> Habits:
    """How a loaded pipeline wants to be used, by its scheduler's configuration and by its name.

    Args:
        label: the folder's name, or that on huggingface.co.
        pipeline: of diffusers.
    """
    config = pipeline.scheduler.config
    kind = type(pipeline.scheduler).__name__
    name = label.lower().rsplit("/", 1)[-1]
    call = inspect.signature(pipeline.__call__).parameters
    if "guidance_scale" not in call:
        return Habits(USUAL_STEPS, None)
    if kind.startswith("LCM") or "lcm" in name:
        return Habits(4, 1.0, distilled=True)
    if "lightning" in name or "hyper" in name:
        return Habits(4, 0.0, distilled=True, trailing=True)
    euler = kind in {"EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler"}
    if "turbo" in name or (euler and config.get("timestep_spacing") == "trailing"):
        return Habits(2, 0.0, distilled=True, trailing="timestep_spacing" in config)
    if "schnell" in name:
        return Habits(4, 0.0, distilled=True)
    default = call["guidance_scale"].default
    return Habits(USUAL_STEPS, float(default) if isinstance(default, int | float) else 7.5)


def set_sampler(pipeline: Any, sampler: Sampler, habits: Habits) -> str | None:
    """Give a pipeline its scheduler: its own, or another one that fits; what there is to tell."""
    from diffusers import DDIMScheduler, DPMSolverMultistepScheduler

    wanted = {"dpm": DPMSolverMultistepScheduler, "ddim": DDIMScheduler}.get(sampler)
    own = pipeline.scheduler
    changes = {"timestep_spacing": "trailing"} if habits.trailing else {}
    if wanted is not None:
        if wanted not in own.compatibles and not isinstance(own, wanted):
            return f"{sampler} does not fit this pipeline, which keeps its own {type(own).__name__}."
        if habits.distilled:
            return f"This pipeline was made for few steps with its own {type(own).__name__}, and keeps it."
        pipeline.scheduler = wanted.from_config(own.config, **changes)
    elif changes and own.config.get("timestep_spacing") != "trailing":
        pipeline.scheduler = type(own).from_config(own.config, **changes)
    return None


def native_size(pipeline: Any) -> int:
    """Side in pixels of the pictures that a pipeline was trained on; 512 where it does not say."""
    network = getattr(pipeline, "unet", None) or getattr(pipeline, "transformer", None)
    with contextlib.suppress(AttributeError, TypeError, ValueError):
        side = network.config.sample_size  # type: ignore[union-attr]
        return int(side[0] if isinstance(side, list | tuple) else side) * int(pipeline.vae_scale_factor)
    return 512


def granularity(pipeline: Any) -> int:
    """What the sides of its pictures must be multiples of, pixels."""
    scale = int(getattr(pipeline, "vae_scale_factor", 8))
    return max(8, scale if getattr(pipeline, "unet", None) is not None else 2 * scale)


def too_long(pipeline: Any, prompt: str) -> str | None:
    """What to tell of a prompt that is longer than a pipeline reads."""
    readers = [one for name in ("tokenizer", "tokenizer_2", "tokenizer_3") if (one := getattr(pipeline, name, None))]
    reader = max(readers, key=lambda one: one.model_max_length, default=None)
    if reader is None or not prompt:
        return None
    with quiet():
        ids = reader(prompt, truncation=False).input_ids
    limit = int(reader.model_max_length)
    if len(ids) <= limit:
        return None
    last = reader.decode(ids[1 : limit - 1], skip_special_tokens=True).strip()[-30:]
    return f"Of the prompt's {len(ids)} pieces of words the pipeline reads {limit}; what follows “…{last}” is left out."
