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


def _common(config: DiffusionConfig) -> dict[str, Any]:
    return {
        "num_train_timesteps": config.num_timesteps,
        "beta_schedule": "squaredcos_cap_v2",
        "prediction_type": config.prediction,
    }


def loss_weights(scheduler: Any, prediction: str, timesteps: Tensor, limit: float) -> Tensor:
    """Min-SNR weights (Hang et al., 2023, Efficient Diffusion Training via Min-SNR Weighting, arXiv:2303.09556): (B,).

    Args:
        scheduler: whose signal-to-noise ratios these are.
        prediction: ``v_prediction`` or ``epsilon``.
        timesteps: (B,).
        limit: of the ratio; 0: all weights are 1.
    """
    if not limit:
        return torch.ones_like(timesteps, dtype=torch.float32)
    from diffusers.training_utils import compute_snr

    ratio = compute_snr(scheduler, timesteps)
    return ratio.clamp(max=limit) / (ratio + 1 if prediction == "v_prediction" else ratio.clamp(min=1e-8))
