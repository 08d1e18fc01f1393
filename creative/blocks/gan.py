"""All that adversarial networks are built of: generators, discriminators, losses, initial weights, a pool of pictures.

generator = initialise(ResNetGenerator(ResNetConfig(width=48)), "normal", random_generator(0))
discriminator = initialise(PatchDiscriminator(PatchConfig(width=48)), "normal", random_generator(1))
losses = adversarial_losses("least_squares")
fake = generator(photos)                                              # (B, 3, H, W) in [-1, 1]
losses.generator(discriminator(fake)).backward()
losses.discriminator(discriminator(paintings), discriminator(pool.exchange(fake, random))).backward()
"""

from creative.blocks.adversarial import (
    AdversarialKind,
    AdversarialLosses,
    ImagePool,
    Initialisation,
    adversarial_losses,
    gradient_penalty,
    initialise,
)
from creative.blocks.config import GANError, NetworkConfig
from creative.blocks.discriminators import PatchConfig, PatchDiscriminator
from creative.blocks.generators import Generator, ResNetConfig, ResNetGenerator, Upsampling, bounded

__all__ = [
    "AdversarialKind",
    "AdversarialLosses",
    "GANError",
    "Generator",
    "ImagePool",
    "Initialisation",
    "NetworkConfig",
    "PatchConfig",
    "PatchDiscriminator",
    "ResNetConfig",
    "ResNetGenerator",
    "Upsampling",
    "adversarial_losses",
    "bounded",
    "gradient_penalty",
    "initialise",
]
