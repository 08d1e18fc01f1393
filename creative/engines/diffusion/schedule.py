"""The noise schedule of our diffusion networks, and what takes the noise away: diffusers' schedulers, set up."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from creative.models.diffusion import DiffusionConfig

Sampler = Literal["dpm", "ddim"]


def make_noiser(config: DiffusionConfig) -> Any:
    """diffusers' ``DDPMScheduler`` with the network's schedule, to add noise with."""
    from diffusers import DDPMScheduler

    return DDPMScheduler(**_common(config))


def make_sampler(config: DiffusionConfig, sampler: Sampler, steps: int, device: torch.device) -> Any:
    """A scheduler of diffusers that takes the noise away in so many steps.

    The cosine schedule ends with a signal-to-noise ratio of 2·10⁻⁹, and the steps begin there (trailing), as Lin et al.
    ask for (2023, Common Diffusion Noise Schedules and Sample Steps Are Flawed, arXiv:2305.08891): what is drawn from
    pure noise can be as dark or as bright as it should be.
    """
    from diffusers import DDIMScheduler, DPMSolverMultistepScheduler

    if sampler == "ddim":
        made: Any = DDIMScheduler(**_common(config), timestep_spacing="trailing", clip_sample=True)
    else:
        made = DPMSolverMultistepScheduler(
            **_common(config), timestep_spacing="trailing", thresholding=True, sample_max_value=1.0
        )
    made.set_timesteps(steps, device=device)
    return made


def make_repainter(config: DiffusionConfig | None, steps: int, device: torch.device | None = None) -> Any:
    """diffusers' ``RePaintScheduler``: it goes back four steps, twice, after each four.

    Args:
        config: of the network; None where only its timesteps are asked for.
        steps: times that noise is taken away, goings back left out.
        device: of the timesteps.
    """
    from diffusers import RePaintScheduler

    count = {} if config is None else {"num_train_timesteps": config.num_timesteps}
    made: Any = RePaintScheduler(beta_schedule="squaredcos_cap_v2", **count)
    made.set_timesteps(steps, jump_length=4, jump_n_sample=3, device=device)
    return made


def _common(config: DiffusionConfig) -> dict[str, Any]:
    return {
        "num_train_timesteps": config.num_timesteps,
        "beta_schedule": "squaredcos_cap_v2",
        "prediction_type": config.prediction,
    }


FLOOR = 0.5
"""What a signal-to-noise ratio is taken to be at least, when velocities are weighed by it."""


def loss_weights(scheduler: Any, prediction: str, timesteps: Tensor, limit: float) -> Tensor:
    """Weights of the squared errors at some timesteps, (B,), by their signal-to-noise ratios.

    Hang et al. (2023), Efficient Diffusion Training via Min-SNR Weighting, arXiv:2303.09556.

    Args:
        scheduler: whose signal-to-noise ratios these are.
        prediction: ``v_prediction`` or ``epsilon``.
        timesteps: (B,).
        limit: of the ratio; 0: all weights are 1.
    """
    if not limit:
        return torch.ones_like(timesteps, dtype=torch.float32)
    kept = scheduler.alphas_cumprod.to(timesteps.device)[timesteps]
    ratio = kept / (1 - kept)  # not by diffusers.training_utils, which takes seconds to import
    if prediction == "epsilon":
        return ratio.clamp(max=limit) / ratio
    # Differs from Hang et al.: in nearly pure noise their weights come to nothing. What is learned there is which
    # colours a kind of picture has, and after 1,000 steps these were further off than with no network at all.
    return ratio.clamp(FLOOR, limit) / (ratio + 1)
