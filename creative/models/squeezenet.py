"""SqueezeNet in torchvision's layout, so that its weights load without importing torchvision (a second, 170 MB).

Iandola et al., "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters" (2016, arXiv:1602.07360).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn


class Fire(nn.Module):
    """Few channels, then many by 1×1 and 3×3 convolutions side by side: (B, C, H, W) -> (B, 2 * expand, H, W)."""

    def __init__(self, channels: int, squeeze: int, expand: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, squeeze, 1)
        self.expand1x1 = nn.Conv2d(squeeze, expand, 1)
        self.expand3x3 = nn.Conv2d(squeeze, expand, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Maps of the same size."""
        x = torch.relu_(self.squeeze(x))
        return torch.relu_(torch.cat([self.expand1x1(x), self.expand3x3(x)], 1))


class SqueezeNet(nn.Module):
    """``features`` and ``classifier`` of torchvision's network of that version, with the same names.

    Args:
        version: 1_0 begins with 7×7 convolutions, 1_1 with 3×3 ones and shrinks the maps earlier.
    """

    def __init__(self, version: Literal["1_0", "1_1"] = "1_0", num_classes: int = 1000) -> None:
        super().__init__()
        width, kernel, pools = (96, 7, (4, 8)) if version == "1_0" else (64, 3, (3, 5))
        parts: list[nn.Module] = [nn.Conv2d(3, width, kernel, 2), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True)]
        for number in range(2, 10):
            squeeze = 16 * (number // 2)
            parts.append(Fire(width, squeeze, 4 * squeeze))
            width = 8 * squeeze
            if number in pools:
                parts.append(nn.MaxPool2d(3, 2, ceil_mode=True))
        self.features = nn.Sequential(*parts)
        self.classifier = nn.Sequential(
            nn.Dropout(), nn.Conv2d(width, num_classes, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, num_classes) of pictures (B, 3, H, W), normalised."""
        return self.classifier(self.features(x)).flatten(1)
