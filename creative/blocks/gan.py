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
from creative.blocks.cnn import Norm, Upsampling
from creative.blocks.config import GANError, NetworkConfig
from creative.blocks.contrast import PatchNCE
from creative.blocks.dcgan import DCGANConfig, DCGANDiscriminator, DCGANDiscriminatorConfig, DCGANGenerator
from creative.blocks.discriminators import PatchConfig, PatchDiscriminator, PixelConfig, PixelDiscriminator
from creative.blocks.generators import Generator, ResNetConfig, ResNetGenerator, bounded
from creative.blocks.unet import UNetConfig, UNetGenerator

__all__ = [
    "AdversarialKind",
    "AdversarialLosses",
    "DCGANConfig",
    "DCGANDiscriminator",
    "DCGANDiscriminatorConfig",
    "DCGANGenerator",
    "GANError",
    "Generator",
    "ImagePool",
    "Initialisation",
    "NetworkConfig",
    "Norm",
    "PatchConfig",
    "PatchDiscriminator",
    "PatchNCE",
    "PixelConfig",
    "PixelDiscriminator",
    "ResNetConfig",
    "ResNetGenerator",
    "UNetConfig",
    "UNetGenerator",
    "Upsampling",
    "adversarial_losses",
    "bounded",
    "gradient_penalty",
    "initialise",
]
