"""A small untrained painter for tests: what it paints is no picture to hang, but it depends on photo and style."""

from __future__ import annotations

from pathlib import Path

import torch

from creative.checkpoint import save_checkpoint
from creative.models.features import load_features
from creative.models.style_net import STYLE_LAYERS, StyleNet, StyleNetConfig, packed, predictor_channels


def save_toy_painter(path: Path, *, seed: int = 0, of_one: bool = False) -> Path:
    """Write a painter of any painting, or of one painting, with random weights; the same seed, the same bytes."""
    features = load_features(layers=STYLE_LAYERS)
    config = StyleNetConfig(
        widths=(6, 8, 8),
        fine=4,
        blocks=(1, 1),
        hidden=0 if of_one else 8,
        channels=() if of_one else predictor_channels(features),
        projections=2,
        features="" if of_one else features.sha256,
    )
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        network = StyleNet(config)
        if network.code is not None:
            network.code.copy_(0.3 * torch.randn(1, network.length))
    return save_checkpoint(path, packed(network), {"config": config.to_json()})
