"""Our own feature network: shaped like VGG, but small enough to be bundled.

3×3 convolutions and ReLUs in stages with pooling in between, as in Simonyan and Zisserman (2014, Very Deep
Convolutional Networks, arXiv:1409.1556), so that its layers have the names that the literature on style transfer uses.
Differs from them: far fewer channels, batch normalisation while it is trained (folded into the convolutions
afterwards), and a classifier of one layer on the mean of the last map.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from creative.blocks.cnn import fold_norm


@dataclass(frozen=True, slots=True)
class VGGConfig:
    """The network's shape.

    Attributes:
        widths: channels of each stage.
        depths: convolutions of each stage; a pooling stands between stages.
        num_classes: outputs of the classifier; 0 for none.
    """

    # Not multiples of 64: on CPUs with AMX, convolutions in bfloat16 with 64, 128 or 192 channels were measured to
    # take three times as long as with 48, 96, 160 or 224.
    widths: tuple[int, ...] = (24, 48, 96, 160, 224)
    depths: tuple[int, ...] = (2, 2, 3, 3, 2)
    num_classes: int = 1000

    def to_json(self) -> dict[str, Any]:
        """For the checkpoint."""
        return {"widths": [*self.widths], "depths": [*self.depths], "num_classes": self.num_classes}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> VGGConfig:
        """From the checkpoint."""
        return cls(tuple(values["widths"]), tuple(values["depths"]), int(values["num_classes"]))


class VGG(nn.Module):
    """The network; layers are named ``conv1_1``, ``norm1_1`` (while training), ``relu1_1``, ..., ``pool1``, ...

    ``features`` is an ``nn.Sequential`` of them; ``classifier`` goes from the mean of the last map to the logits.
    Takes (B, 3, H, W) normalised with ImageNet's mean and standard deviation.
    """

    def __init__(self, config: VGGConfig = VGGConfig(), *, norm: bool = False) -> None:
        super().__init__()
        self.config = config
        self.features = nn.Sequential()
        channels = 3
        for stage, (width, depth) in enumerate(zip(config.widths, config.depths, strict=True), 1):
            for number in range(1, depth + 1):
                self.features.add_module(f"conv{stage}_{number}", nn.Conv2d(channels, width, 3, 1, 1, bias=not norm))
                if norm:
                    self.features.add_module(f"norm{stage}_{number}", nn.BatchNorm2d(width))
                self.features.add_module(f"relu{stage}_{number}", nn.ReLU())
                channels = width
            if stage < len(config.widths):
                self.features.add_module(f"pool{stage}", nn.MaxPool2d(2))
        self.classifier = nn.Linear(channels, config.num_classes) if config.num_classes else None
        for module in self.features:
            if isinstance(module, nn.Conv2d) and not module.weight.is_meta:
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def maps(self, x: Tensor, layers: Iterable[str], *, after: str | None = None) -> dict[str, Tensor]:
        """The maps of some layers by name, each (B, C, H / 2ˢ, W / 2ˢ) after s poolings.

        With ``after``, ``x`` is the map of that layer, and only what comes behind it is computed.
        """
        wanted, found = set(layers), {}
        names = [name for name, _ in self.features.named_children()]
        for name in names[names.index(after) + 1 if after else 0 :]:
            x = self.features.get_submodule(name)(x)
            if name in wanted:
                found[name] = x
        return found

    @property
    def last(self) -> str:
        """The name of the last layer before the classifier."""
        return f"relu{len(self.config.depths)}_{self.config.depths[-1]}"

    def classify(self, last_map: Tensor) -> Tensor:
        """Logits (B, num_classes) from the map of ``last``."""
        if self.classifier is None:
            raise ValueError("This network was made without a classifier (num_classes is 0).")
        return self.classifier(last_map.mean((2, 3)))

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, num_classes)."""
        return self.classify(self.features(x))


def fold_norms(network: VGG) -> VGG:
    """The same network without batch normalisation: equal outputs in evaluation mode, up to rounding."""
    folded = VGG(network.config)
    for name, module in network.features.named_children():
        if isinstance(module, nn.Conv2d):
            norm = network.features.get_submodule(name.replace("conv", "norm"))
            assert isinstance(norm, nn.BatchNorm2d)
            folded.features.set_submodule(name, fold_norm(module, norm))
    if network.classifier is not None and folded.classifier is not None:
        folded.classifier.load_state_dict(network.classifier.state_dict())
    return folded.eval()


@torch.no_grad()
def unfold_norms(network: VGG, pictures: Tensor) -> VGG:
    """The opposite of ``fold_norms``, to go on training: equal outputs in evaluation mode, up to rounding.

    Each normalisation is given the mean and deviation that its layer has over the pictures, and takes away what it then
    does by its own scale and shift. Filters get the length that He's initialisation gives them (2015, Delving Deep into
    Rectifiers, arXiv:1502.01852), which a normalisation undoes and on which the size of an optimiser's steps depends.

    Args:
        network: folded.
        pictures: (B, 3, H, W), normalised; the more, the nearer is training mode to evaluation mode at first.
    """
    unfolded = VGG(network.config, norm=True).to(pictures.device)
    x = pictures
    for name, module in network.features.named_children():
        x = module(x)
        if not isinstance(module, nn.Conv2d):
            continue
        assert module.bias is not None
        conv, norm = (unfolded.features.get_submodule(name.replace("conv", kind)) for kind in ("conv", "norm"))
        assert isinstance(conv, nn.Conv2d)
        assert isinstance(norm, nn.BatchNorm2d)
        length = module.weight.flatten(1).norm(dim=1)
        factor = math.sqrt(2) / length.clamp_min(1e-6 * float(length.max()))
        variance, mean = torch.var_mean(x, (0, 2, 3))
        conv.weight.copy_(module.weight * factor.view(-1, 1, 1, 1))
        norm.running_mean = (mean - module.bias) * factor
        norm.running_var = variance * factor**2
        norm.weight.copy_((norm.running_var + norm.eps).sqrt() / factor)
        norm.bias.copy_(mean)
    if network.classifier is not None and unfolded.classifier is not None:
        unfolded.classifier.load_state_dict(network.classifier.state_dict())
    return unfolded


@torch.no_grad()
def rescale_layers(network: VGG, pictures: Tensor) -> None:
    """Scale each layer, in place, to a mean activation of 1 over the pictures, without changing the logits.

    Gatys et al. (2016) did so for VGG-19, which makes one set of layer weights fit all layers. It is exact because ReLU
    and max-pooling commute with positive factors. Differs from them: one factor for a layer, not for each channel,
    which would blow up channels that hardly ever fire.

    Args:
        network: folded, see ``fold_norms``.
        pictures: (B, 3, H, W), normalised.
    """
    names = [name for name, module in network.features.named_children() if isinstance(module, nn.ReLU)]
    means = {name: map_.mean() for name, map_ in network.maps(pictures, names).items()}
    before = torch.ones(())
    for name in names:
        conv = network.features.get_submodule(name.replace("relu", "conv"))
        assert isinstance(conv, nn.Conv2d)
        assert conv.bias is not None
        conv.weight.mul_(before / means[name])
        conv.bias.div_(means[name])
        before = means[name]
    if network.classifier is not None:
        network.classifier.weight.mul_(before)
