"""A small denoising diffusion network for pictures of several kinds, each seen from far and from near.

    network = load_diffusion("diffusion.safetensors")
    velocity = network(noisy, timesteps, network.config.labels("monet", level=0, count=len(noisy)))

Ho et al. (2020), Denoising Diffusion Probabilistic Models, arXiv:2006.11239. It is diffusers' ``UNet2DModel``, which
sees patches of pixels as channels (Hoogeboom et al., 2023, Simple diffusion, arXiv:2301.11093) and is told a label: the
kind of picture and how much of a picture the square shows. A file holds the tensors ``network.*`` and, as JSON, the
shape.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from creative.checkpoint import CheckpointError, load_checkpoint, load_into, read_metadata
from creative.files import shown

Prediction = Literal["v_prediction", "epsilon"]


class DiffusionError(ValueError):
    """A diffusion network cannot be built, read or used like this. The message is one sentence for a person."""


@dataclass(frozen=True, slots=True)
class DiffusionConfig:
    """What a diffusion network is made of.

    Attributes:
        size: side of the squares that it was trained on, pixels.
        patch: pixels along the side of a patch, which is one position to the network; 1 for pixels.
        channels: of the levels of the U-Net, each half as large as the one before.
        num_layers: residual blocks of each level on the way down; one more on the way up.
        num_attention: levels with self-attention, counted from the smallest.
        num_groups: of group normalisation.
        domains: what the kinds of pictures are called.
        num_levels: how near the squares are: level 0 is a whole picture, each further one shows half as much of its
            side.
        num_timesteps: of the noise schedule, which is Nichol and Dhariwal's cosine (2021, arXiv:2102.09672).
        prediction: what comes out: the velocity (Salimans and Ho, 2022, arXiv:2202.00512) or the noise.
    """

    size: int = 64
    patch: int = 2
    channels: tuple[int, ...] = (40, 64, 88)
    num_layers: int = 1
    num_attention: int = 1
    num_groups: int = 8
    domains: tuple[str, ...] = ("a", "b")
    num_levels: int = 3
    num_timesteps: int = 1000
    prediction: Prediction = "v_prediction"

    def __post_init__(self) -> None:
        if any(width % self.num_groups for width in self.channels) or not self.channels:
            raise DiffusionError(
                f"The channels {', '.join(map(str, self.channels))} must be multiples of {self.num_groups}, the groups."
            )
        if self.size % self.multiple:
            raise DiffusionError(
                f"A size of {self.size} pixels cannot be halved {len(self.channels) - 1} times in patches of "
                f"{self.patch}: use a multiple of {self.multiple}."
            )

    @property
    def multiple(self) -> int:
        """Sides of pictures must be multiples of this."""
        return self.patch * 2 ** (len(self.channels) - 1)

    @property
    def num_labels(self) -> int:
        """Every domain, and none in particular, on every level."""
        return (len(self.domains) + 1) * self.num_levels

    def label(self, domain: str | None, level: int) -> int:
        """The number of a domain (None: of no particular one) on a level.

        Raises:
            DiffusionError: there is no such domain or level.
        """
        if domain is not None and domain not in self.domains:
            raise DiffusionError(f"There is no domain {domain!r}; there are {', '.join(self.domains)}.")
        if not 0 <= level < self.num_levels:
            raise DiffusionError(f"There is no level {level}; they go from 0 to {self.num_levels - 1}.")
        place = len(self.domains) if domain is None else self.domains.index(domain)
        return place * self.num_levels + level

    def to_json(self) -> dict[str, Any]:
        """For the checkpoint."""
        found = asdict(self)
        return {"network": "diffusion", **found, "channels": list(self.channels), "domains": list(self.domains)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> DiffusionConfig:
        """From the checkpoint.

        Raises:
            DiffusionError: these are not the values of a diffusion network.
        """
        try:
            given = {name: values[name] for name in cls.__slots__}
            given |= {"channels": tuple(map(int, given["channels"])), "domains": tuple(map(str, given["domains"]))}
            return cls(**given)
        except DiffusionError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DiffusionError(
                f"A diffusion network was expected, but of its shape is missing or wrong: {error}."
            ) from None


class Diffusion(nn.Module):
    """The network: noisy pictures in [-1, 1], how noisy they are and what they show -> velocity or noise.

    Args:
        config: its shape.
    """

    def __init__(self, config: DiffusionConfig) -> None:
        from diffusers import UNet2DModel

        super().__init__()
        self.config = config
        levels = len(config.channels)
        attends = [levels - place <= config.num_attention for place in range(levels)]
        self.unet = UNet2DModel(
            sample_size=config.size // config.patch,
            in_channels=3 * config.patch**2,
            out_channels=3 * config.patch**2,
            block_out_channels=config.channels,
            layers_per_block=config.num_layers,
            down_block_types=tuple("AttnDownBlock2D" if attend else "DownBlock2D" for attend in attends),
            up_block_types=tuple("AttnUpBlock2D" if attend else "UpBlock2D" for attend in reversed(attends)),
            attention_head_dim=None,
            norm_num_groups=config.num_groups,
            resnet_time_scale_shift="scale_shift",
            num_class_embeds=config.num_labels,
        )

    def forward(self, noisy: Tensor, timesteps: Tensor, labels: Tensor) -> Tensor:
        """(B, 3, H, W) with (B,) timesteps and (B,) labels -> (B, 3, H, W) in float32."""
        patch = self.config.patch
        x = F.pixel_unshuffle(noisy, patch).contiguous(memory_format=torch.channels_last)
        found = self.unet(x, timesteps, class_labels=labels, return_dict=False)[0]
        return F.pixel_shuffle(found, patch).float()


def read_config(path: str | os.PathLike[str]) -> DiffusionConfig:
    """The shape of the diffusion network in a file; no tensor is read.

    Raises:
        CheckpointError: there is no such file, or it is damaged.
        DiffusionError: it holds something else.
    """
    config = read_metadata(path).get("config")
    if not isinstance(config, Mapping) or config.get("network") != "diffusion":
        raise DiffusionError(
            f"{shown(Path(path))} holds no diffusion network of ours; `creative train diffusion` makes one."
        )
    return DiffusionConfig.from_json(config)


def load_diffusion(path: str | os.PathLike[str], *, device: str | torch.device = "cpu") -> Diffusion:
    """The network in a file, frozen, in evaluation mode.

    Raises:
        CheckpointError: there is no such file, or it is damaged.
        DiffusionError: it holds something else.
    """
    network = Diffusion(read_config(path))
    try:
        load_into(network, load_checkpoint(path, prefix="network.").tensors)
    except CheckpointError as error:
        raise DiffusionError(f"{shown(Path(path))}: {error}") from None
    network.float()
    return network.to(device).to(memory_format=torch.channels_last).eval().requires_grad_(False)
