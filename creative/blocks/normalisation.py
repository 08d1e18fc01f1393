"""Instance normalisation that keeps channels-last memory and is fast on CPUs.

Ulyanov et al. (2016), Instance Normalization: The Missing Ingredient for Fast Stylization, arXiv:1607.08022.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class InstanceNorm2d(nn.InstanceNorm2d):
    """``torch.nn.InstanceNorm2d``, computed one sample at a time by the kernel of batch normalisation.

    Torch's own copies a channels-last map into another layout, and the next convolution copies it back; on a CPU that
    takes four times as long, forward and backward together. A map of a single pixel becomes zero instead of an error.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (torch's name)
        """(B, C, H, W) -> the same shape."""
        elsewhere = input.device.type != "cpu" or self.track_running_stats or input.dim() != 4
        if elsewhere or torch._C._is_tracing() or torch.compiler.is_compiling():
            return super().forward(input)
        if len(input) == 1:
            return self._normalised(input)
        return torch.cat([self._normalised(sample) for sample in input.split(1)])

    def _normalised(self, sample: Tensor) -> Tensor:
        """A sample's statistics are those of a batch of one."""
        return torch.batch_norm(sample, self.weight, self.bias, None, None, True, 0.0, self.eps, False)
