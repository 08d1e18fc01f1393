"""The parts of adversarial networks, held against formulas, plain torch and brute force."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from creative.blocks.cnn import TransposedUpsample, Upsample
from creative.blocks.contrast import contrast
from creative.blocks.gan import (
    DCGANConfig,
    DCGANDiscriminator,
    DCGANDiscriminatorConfig,
    DCGANGenerator,
    GANError,
    Generator,
    ImagePool,
    PatchConfig,
    PatchDiscriminator,
    PatchNCE,
    PixelConfig,
    PixelDiscriminator,
    ResNetConfig,
    ResNetGenerator,
    UNetConfig,
    UNetGenerator,
    adversarial_losses,
    bounded,
    gradient_penalty,
    initialise,
)
from creative.blocks.generators import PictureConv
from creative.blocks.normalisation import InstanceNorm2d
from creative.device import random_generator


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=random_generator(seed))


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


# Losses


REAL, FAKE = [0.5, 2.0], [-1.0, 0.25, -3.0]
BY_HAND = {
    "least_squares": ((0.25 + 1) / 2 / 2 + (1 + 0.0625 + 9) / 3 / 2, (4 + 0.5625 + 16) / 3),
    "vanilla": (
        -sum(math.log(sigmoid(x)) for x in REAL) / 2 - sum(math.log(1 - sigmoid(x)) for x in FAKE) / 3,
        -sum(math.log(sigmoid(x)) for x in FAKE) / 3,
    ),
    "hinge": ((0.5 + 0) / 2 + (0 + 1.25 + 0) / 3, 3.75 / 3),
    "wgan_gp": (-3.75 / 3 - 1.25, 3.75 / 3),
}


@pytest.mark.parametrize("kind", BY_HAND)
def test_adversarial_losses_by_hand(kind: str) -> None:
    losses = adversarial_losses(kind)  # type: ignore[arg-type]
    discriminator, generator = BY_HAND[kind]
    assert losses.discriminator(torch.tensor(REAL), torch.tensor(FAKE)).item() == pytest.approx(discriminator)
    assert losses.generator(torch.tensor(FAKE)).item() == pytest.approx(generator)


@pytest.mark.parametrize("kind", BY_HAND)
def test_each_side_of_the_game_wants_what_it_should(kind: str) -> None:
    losses = adversarial_losses(kind)  # type: ignore[arg-type]
    real, fake = torch.zeros(4, requires_grad=True), torch.zeros(4, requires_grad=True)
    losses.discriminator(real, fake).backward()
    assert real.grad is not None
    assert (real.grad < 0).all()  # descending raises the scores of real pictures
    assert fake.grad is not None
    assert (fake.grad >= 0).all()
    scores = torch.zeros(4, requires_grad=True)
    losses.generator(scores).backward()
    assert scores.grad is not None
    assert (scores.grad < 0).all()


def test_losses_are_float32_whatever_the_scores_are() -> None:
    scores = torch.tensor([300.0, 1.0]).bfloat16()
    for kind in BY_HAND:
        assert adversarial_losses(kind).discriminator(scores, scores).dtype == torch.float32  # type: ignore[arg-type]
    assert adversarial_losses("vanilla").generator(torch.tensor([-1e4])).item() == 1e4  # no overflow


def test_no_such_loss() -> None:
    with pytest.raises(GANError, match="hinge"):
        adversarial_losses("wasserstein")  # type: ignore[arg-type]


def test_gradient_penalty_of_a_linear_critic_is_exact() -> None:
    """The slope of w · x is w everywhere, so the penalty is (‖w‖ - 1)², and its gradient 2 (‖w‖ - 1) w / ‖w‖."""
    w = random(3, 4, 4).requires_grad_()
    real, fake = random(5, 3, 4, 4, seed=1), random(5, 3, 4, 4, seed=2)
    penalty = gradient_penalty(lambda x: (x * w).sum((1, 2, 3)), real, fake, generator=random_generator(3))
    penalty.backward()
    norm = w.detach().norm()
    torch.testing.assert_close(penalty.detach(), (norm - 1) ** 2)
    torch.testing.assert_close(w.grad, 2 * (norm - 1) * w.detach() / norm)


def test_gradient_penalty_measures_between_the_two() -> None:
    """The slope of ½ x² is x; between 0 and 1 at part p it is p, so the penalty is the mean of (p - 1)²: about 1/3."""
    seen: list[Tensor] = []

    def critic(x: Tensor) -> Tensor:
        seen.append(x)
        return x.square().sum((1, 2, 3)) / 2

    zeros, ones = torch.zeros(2000, 1, 1, 1), torch.ones(2000, 1, 1, 1)
    penalty = gradient_penalty(critic, zeros, ones, generator=random_generator(0))
    assert seen[0].min() >= 0
    assert seen[0].max() <= 1
    torch.testing.assert_close(penalty, (seen[0] - 1).square().mean())
    assert penalty.item() == pytest.approx(1 / 3, abs=0.02)


@pytest.mark.parametrize("norm", ["instance", "batch", "none"])
def test_gradient_penalty_reaches_the_weights_through_a_normalisation(norm: str) -> None:
    """Its gradient is a derivative of a derivative; held against finite differences."""
    torch.manual_seed(0)
    critic = PatchDiscriminator(PatchConfig(width=2, num_layers=2, norm=norm)).double()  # type: ignore[arg-type]
    real, fake = random(2, 3, 16, 16).double(), random(2, 3, 16, 16, seed=1).double()
    weight = critic.get_parameter("layers.2.weight")

    def penalty() -> Tensor:
        return gradient_penalty(critic, real, fake, generator=random_generator(2))

    penalty().backward()
    assert weight.grad is not None
    place, step = (1, 0, 2, 1), 1e-5
    values = []
    for sign in (1, -1):
        with torch.no_grad():
            weight[place] += sign * step
        values.append(penalty().item())
        with torch.no_grad():
            weight[place] -= sign * step
    assert weight.grad[place].item() == pytest.approx((values[0] - values[1]) / (2 * step), rel=1e-4, abs=1e-7)


def test_a_critic_that_sees_nothing_has_a_finite_penalty() -> None:
    w = torch.zeros(3, requires_grad=True)
    penalty = gradient_penalty(
        lambda x: (x.mean((2, 3)) * w).sum(1), random(2, 3, 4, 4), random(2, 3, 4, 4), generator=random_generator(0)
    )
    penalty.backward()
    assert penalty.item() == 1
    assert w.grad is not None
    assert w.grad.isfinite().all()


def test_gradient_penalty_wants_as_many_pictures_of_both() -> None:
    with pytest.raises(GANError, match="shape"):
        gradient_penalty(lambda x: x, torch.zeros(2, 3, 4, 4), torch.zeros(3, 3, 4, 4), generator=random_generator(0))


# Pool


def numbered(*numbers: int) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float32)[:, None, None, None]


def test_a_pool_fills_up_then_gives_old_and_new_by_the_toss_of_a_coin() -> None:
    pool, random = ImagePool(10), random_generator(0)
    assert pool.exchange(numbered(*range(10)), random).flatten().tolist() == list(range(10))
    came_out = [int(pool.exchange(numbered(i), random)) for i in range(10, 2010)]
    new = sum(out == i for i, out in zip(range(10, 2010), came_out, strict=True))
    assert abs(new - 1000) < 4 * math.sqrt(500)  # four standard deviations
    assert len(pool) == 10
    everything = sorted([*came_out, *(int(picture) for picture in pool.pictures)])
    assert everything == list(range(2010))  # every picture came out once or is still in
    ages = [i - out for i, out in zip(range(10, 2010), came_out, strict=True) if out != i]
    # One that went in waits for a draw of probability 1/2 · 1/10 at each turn.
    assert 16 < sum(ages) / len(ages) < 24


def test_a_pool_of_none_hands_through() -> None:
    pictures = random(3, 3, 2, 2).requires_grad_()
    shown = ImagePool(0).exchange(pictures, random_generator(0))
    assert torch.equal(shown, pictures)
    assert not shown.requires_grad


def test_a_pool_keeps_copies() -> None:
    pool, pictures = ImagePool(2), numbered(1, 2)
    pool.exchange(pictures, random_generator(0))
    pictures.zero_()
    assert [float(picture) for picture in pool.pictures] == [1, 2]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_pool_goes_on_exactly_from_its_state(dtype: torch.dtype) -> None:
    pool = ImagePool(5)
    for seed in range(6):
        pool.exchange(random(2, 3, 4, 4, seed=seed).to(dtype), random_generator(seed))
    copy = ImagePool(5)
    copy.load_state(pool.state())
    for seed in range(6, 20):
        pictures = random(2, 3, 4, 4, seed=seed).to(dtype)
        assert torch.equal(
            pool.exchange(pictures, random_generator(seed)), copy.exchange(pictures, random_generator(seed))
        )


def test_a_pool_too_small_for_a_state() -> None:
    pool = ImagePool(5)
    pool.exchange(random(4, 3, 2, 2), random_generator(0))
    with pytest.raises(GANError, match="4 pictures do not fit into a pool of 3"):
        ImagePool(3).load_state(pool.state())


# Initial weights


def test_normal_initialisation_has_its_statistics() -> None:
    net = [nn.Conv2d(32, 64, 5), nn.BatchNorm2d(4096), nn.Linear(64, 200), nn.ConvTranspose2d(32, 64, 4)]
    for module in net:
        initialise(module, "normal", random_generator(0))
        assert isinstance(module.weight, Tensor)
        assert isinstance(module.bias, Tensor)
        mean = 1.0 if isinstance(module, nn.BatchNorm2d) else 0.0
        count = module.weight.numel()
        assert module.weight.mean().item() == pytest.approx(mean, abs=5 * 0.02 / math.sqrt(count))
        assert module.weight.std().item() == pytest.approx(0.02, rel=5 / math.sqrt(2 * count))
        assert not module.bias.any()


def test_xavier_and_orthogonal_initialisation() -> None:
    conv = nn.Conv2d(32, 64, 3)
    initialise(conv, "xavier", random_generator(0))
    assert conv.weight.var().item() == pytest.approx(2 / (32 * 9 + 64 * 9), rel=0.05)
    initialise(conv, "orthogonal", random_generator(0))
    rows = conv.weight.flatten(1)
    torch.testing.assert_close(rows @ rows.T, torch.eye(64), atol=1e-5, rtol=0)
    with pytest.raises(GANError, match="orthogonal"):
        initialise(conv, "kaiming")  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["normal", "xavier", "orthogonal"])
def test_initialisation_repeats_per_seed_and_ignores_the_global_one(kind: str) -> None:
    nets: list[nn.Module] = []
    for seed in (1, 1, 2):
        torch.manual_seed(len(nets))
        config = PatchConfig(width=4, spectral_norm=True)
        nets.append(initialise(PatchDiscriminator(config), kind, random_generator(seed)).eval())  # type: ignore[arg-type]
    x = random(1, 3, 32, 32)
    assert torch.equal(nets[0](x), nets[1](x))
    assert not torch.equal(nets[0](x), nets[2](x))


def test_a_residual_generator_is_the_identity_to_begin_with_and_stays_so_when_initialised() -> None:
    picture = random(1, 3, 21, 26).clamp(-1, 1)
    nets: list[Generator] = [
        ResNetGenerator(ResNetConfig(width=4, num_blocks=1, residual=True)),
        UNetGenerator(UNetConfig(width=4, depth=3, residual=True)),
    ]
    for net in nets:
        assert torch.equal(initialise(net, "normal", random_generator(0))(picture), picture)
        (0.3 - net(picture)).square().mean().backward()
        drawn = [p for name, p in net.named_parameters() if name.startswith("head")]
        assert all(p.grad is not None and p.grad.any() for p in drawn)  # and learns to leave it


# Spectral normalisation


@pytest.mark.parametrize("make", ["patch", "pixel", "dcgan"])
def test_spectral_norm_makes_the_largest_singular_value_one(make: str) -> None:
    networks: dict[str, Callable[[], nn.Module]] = {
        "patch": lambda: PatchDiscriminator(PatchConfig(width=4, num_layers=1, norm="none", spectral_norm=True)),
        "pixel": lambda: PixelDiscriminator(PixelConfig(width=4, norm="none", spectral_norm=True)),
        "dcgan": lambda: DCGANDiscriminator(DCGANDiscriminatorConfig(16, 4, norm="none", spectral_norm=True)),
    }
    net = initialise(networks[make](), "normal", random_generator(0)).eval()
    convs = [module for module in net.modules() if isinstance(module, nn.Conv2d)]
    assert len(convs) >= 3

    def largest() -> list[float]:
        return [float(torch.linalg.svdvals(conv.weight.detach().flatten(1))[0]) for conv in convs]

    assert largest() == pytest.approx([1] * len(convs), abs=1e-5)  # from the very start
    with torch.no_grad():
        for number, parameter in enumerate(net.parameters()):
            parameter.add_(0.02 * random(*parameter.shape, seed=number))
    net.train()
    for _ in range(60):  # each pass in training makes one step of the power iteration
        net(random(2, 3, 16, 16))
    assert largest() == pytest.approx([1] * len(convs), abs=3e-3)


# Instance normalisation


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_instance_normalisation_is_torchs(affine: bool, batch: int, layout: torch.memory_format) -> None:
    ours, theirs = InstanceNorm2d(5, affine=affine), nn.InstanceNorm2d(5, affine=affine)
    if affine:
        nn.init.normal_(ours.weight)
        nn.init.normal_(ours.bias)
        theirs.load_state_dict(ours.state_dict())
    x = (random(batch, 5, 6, 7) * 3 + 1).contiguous(memory_format=layout)
    gradients = []
    for norm in (ours, theirs):
        given = x.clone().requires_grad_()
        y = norm(given)
        (y * random(batch, 5, 6, 7, seed=1)).sum().backward()
        assert given.grad is not None
        gradients.append([y.detach(), given.grad, *(p.grad for p in norm.parameters())])
    assert gradients[0][0].is_contiguous(memory_format=layout)
    for mine, wanted in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, wanted, atol=1e-5, rtol=1e-5)


def test_instance_normalisation_has_second_derivatives() -> None:
    norm = InstanceNorm2d(2, affine=True).double()
    x = random(2, 2, 3, 3).double().requires_grad_()
    assert torch.autograd.gradcheck(norm, (x,))
    assert torch.autograd.gradgradcheck(norm, (x,))


def test_instance_normalisation_in_bfloat16() -> None:
    norm, x = InstanceNorm2d(4, affine=True), random(2, 4, 16, 16)
    half = x.bfloat16().requires_grad_()
    y = norm(half)
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.float(), norm(x), atol=0.03, rtol=0.03)
    y.float().square().sum().backward()
    assert half.grad is not None
    assert half.grad.dtype == torch.bfloat16


def steepest(net: nn.Module, picture: Tensor) -> float:
    """The largest gradient that anything gets: the picture, or a weight."""
    given = picture.clone().requires_grad_()
    (net(given) * random(*picture.shape)).mean().backward()
    gradients = [p.grad for p in [given, *net.parameters()] if p.grad is not None]
    largest = max(float(gradient.abs().max()) for gradient in gradients)
    return math.inf if any(not gradient.isfinite().all() for gradient in gradients) else largest


def with_torchs_own_norm(net: ResNetGenerator) -> ResNetGenerator:
    for module in list(net.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, InstanceNorm2d):
                plain = nn.InstanceNorm2d(child.num_features, affine=True)
                plain.load_state_dict(child.state_dict())
                setattr(module, name, plain)
    return net


def generator() -> ResNetGenerator:
    return initialise(ResNetGenerator(ResNetConfig(width=8, num_blocks=4)), "xavier", random_generator(0))


def test_a_flat_picture_does_not_make_gradients_explode() -> None:
    flat = torch.full((1, 3, 32, 32), 0.3)
    assert steepest(with_torchs_own_norm(generator()), flat) > 1e9  # what it is guarded against
    usual = steepest(generator(), random(1, 3, 32, 32).clamp(-1, 1))
    for noise in (0, 1e-9, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2):
        nearly = flat + noise * random(1, 3, 32, 32, seed=1)
        assert steepest(generator(), nearly) < 300 * usual  # once 1/√eps at most, not once a layer


# Generators


def generators(**options: object) -> list[Generator]:
    return [
        ResNetGenerator(ResNetConfig(width=4, num_blocks=2, **options)),  # type: ignore[arg-type]
        UNetGenerator(UNetConfig(width=4, depth=3, **options)),  # type: ignore[arg-type]
    ]


@pytest.mark.parametrize("norm", ["instance", "batch", "none"])
@pytest.mark.parametrize("upsampling", ["resize", "transposed"])
@pytest.mark.parametrize("residual", [False, True])
def test_generators_keep_size_and_range(norm: str, upsampling: str, residual: bool) -> None:
    for net in generators(norm=norm, upsampling=upsampling, residual=residual):
        for size in [(8, 8), (17, 22), (31, 64)]:
            y = net(random(2, 3, *size).clamp(-1, 1) * 0.9)
            assert y.shape == (2, 3, *size)
            assert y.min() >= -1
            assert y.max() <= 1


def test_translate_takes_and_gives_pictures() -> None:
    for net in generators():
        picture = random(1, 3, 16, 16).abs().clamp(0, 1)
        translated = net.translate(picture)
        torch.testing.assert_close(translated, (net(picture * 2 - 1).detach() + 1) / 2)
        assert not translated.requires_grad


def test_pictures_are_float32_where_the_network_computes_in_bfloat16() -> None:
    picture = random(1, 3, 16, 16).clamp(-1, 1)
    for net in [*generators(), *generators(residual=True)]:
        initialise(net, "xavier", random_generator(0))
        with torch.autocast("cpu", torch.bfloat16):
            drawn = net(picture)
        assert drawn.dtype == torch.float32
        torch.testing.assert_close(drawn, net(picture), atol=0.15, rtol=0)


def test_a_picture_too_small_is_refused_in_a_sentence() -> None:
    for net in generators():
        with pytest.raises(GANError, match=r"at least 8 pixels a side, but the picture has 9x7"):
            net(torch.zeros(1, 3, 7, 9))


@pytest.mark.parametrize("padding", ["reflect", "zeros", "replicate"])
def test_doubling_in_one_step_is_resizing_then_convolving(padding: str) -> None:
    up = Upsample(5, 7, norm="none", padding=padding).double()  # type: ignore[arg-type]
    x = random(2, 5, 6, 9).double()
    torch.testing.assert_close(up(x), up.body(F.interpolate(x, scale_factor=2, mode="nearest")))


@pytest.mark.parametrize("size", [(10, 14), (7, 12)])
def test_the_last_convolution_in_squares_is_the_plain_one(size: tuple[int, int]) -> None:
    last = PictureConv(6).double()
    x = random(2, 6, *size).double()
    torch.testing.assert_close(last(x), last.conv(F.pad(x, (3, 3, 3, 3), mode="reflect")))


def checkerboard(up: nn.Module) -> float:
    """How much of the answer to a constant map is at the highest frequency, in the middle, relative to its mean."""
    answer = up(torch.ones(1, 8, 16, 16))[..., 4:-4, 4:-4].detach()
    spectrum = torch.fft.fft2(answer).abs()
    n = spectrum.shape[-1] // 2
    highest = spectrum[..., n, 0] + spectrum[..., 0, n] + spectrum[..., n, n]
    return float(highest.sum() / spectrum[..., 0, 0].sum())


def test_resizing_leaves_no_checkerboard_and_transposed_convolutions_do() -> None:
    torch.manual_seed(0)
    kinds: dict[str, list[nn.Module]] = {
        "resize": [Upsample(8, 4, norm="none", activation="none") for _ in range(5)],
        "transposed": [TransposedUpsample(8, 4, 3, norm="none", activation="none") for _ in range(5)],
    }
    parts = {kind: max(checkerboard(up) for up in ups) for kind, ups in kinds.items()}
    assert parts["resize"] < 1e-5
    assert parts["transposed"] > 0.1


@pytest.mark.parametrize(("upsampling", "clean"), [("resize", True), ("transposed", False)])
def test_a_generator_draws_a_checkerboard_on_a_flat_picture_only_with_transposed_convolutions(
    upsampling: str, clean: bool
) -> None:
    net = ResNetGenerator(ResNetConfig(width=4, num_blocks=1, norm="none", upsampling=upsampling))  # type: ignore[arg-type]
    initialise(net, "xavier", random_generator(0))
    middle = net(torch.full((1, 3, 96, 96), 0.5)).detach()[..., 40:56, 40:56]  # out of reach of the rims
    deviation = float(middle.std((2, 3)).max())
    assert deviation < 1e-5 if clean else deviation > 1e-3


@pytest.mark.parametrize("upsampling", ["resize", "transposed"])
def test_a_u_net_uses_all_that_goes_across(upsampling: str) -> None:
    net = UNetGenerator(UNetConfig(width=4, depth=4, upsampling=upsampling))  # type: ignore[arg-type]
    initialise(net, "xavier", random_generator(0))
    picture = random(1, 3, 32, 32).clamp(-1, 1)
    drawn = net(picture).detach()
    # What each layer takes besides what comes from below: 16, 8, 4 maps, and at last the picture's 3 channels.
    for layer, across in zip([*net.up[1:], net.head], [16, 8, 4, 3], strict=True):
        conv = next(module for module in layer.modules() if isinstance(module, nn.Conv2d | nn.ConvTranspose2d))
        before = conv.weight.detach().clone()
        with torch.no_grad():
            (conv.weight if isinstance(conv, nn.Conv2d) else conv.weight.transpose(0, 1))[:, -across:] = 0
            assert (net(picture) - drawn).abs().mean() > 0.01
            conv.weight.copy_(before)
    silence = net.down[-1].register_forward_hook(lambda _module, _input, maps: torch.zeros_like(maps))
    below = net(picture).detach()
    silence.remove()
    assert torch.equal(net(picture), drawn)
    assert 0 < (below - drawn).abs().mean() < 0.3 * drawn.std()  # without the deepest map the picture comes through


def test_bounded_has_a_gradient_where_it_leads_back_inside() -> None:
    x = torch.tensor([-2.0, -2.0, -0.5, 0.5, 2.0, 2.0], requires_grad=True)
    y = bounded(x)
    assert y.tolist() == [-1, -1, -0.5, 0.5, 1, 1]
    y.backward(torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0, -1.0]))
    assert x.grad is not None
    assert x.grad.tolist() == [0, -1, 1, -1, 1, 0]


@pytest.mark.parametrize("upsampling", ["transposed", "resize"])
def test_dcgan_makes_pictures_from_noise_and_judges_them(upsampling: str) -> None:
    for size in (8, 32):
        net = DCGANGenerator(DCGANConfig(size=size, width=4, latent_size=7, upsampling=upsampling))  # type: ignore[arg-type]
        pictures = net(random(3, 7))
        assert pictures.shape == (3, 3, size, size)
        assert pictures.abs().max() <= 1
        assert DCGANDiscriminator(DCGANDiscriminatorConfig(size=size, width=4))(pictures).shape == (3,)
        with pytest.raises(GANError, match="Noise"):
            net(random(3, 8))
    with pytest.raises(GANError, match="power of two"):
        DCGANConfig(size=48)
    with pytest.raises(GANError, match="were expected"):
        DCGANDiscriminator(DCGANDiscriminatorConfig(size=16, width=4))(torch.zeros(1, 3, 32, 32))


# Discriminators


@pytest.mark.parametrize(("layers", "field"), [(1, 16), (2, 34), (3, 70), (4, 142)])
def test_what_a_score_sees(layers: int, field: int) -> None:
    net = PatchDiscriminator(PatchConfig(width=2, num_layers=layers, norm="none"))
    side = 64 + field
    picture = random(1, 3, side, side).requires_grad_()
    scores = net(picture)
    scores[0, 0, scores.shape[2] // 2, scores.shape[3] // 2].backward()
    assert picture.grad is not None
    seen = picture.grad.abs().sum((0, 1)) > 0
    assert [int(seen.any(dim).sum()) for dim in (0, 1)] == [field, field]


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_the_smallest_picture_that_has_a_score(layers: int) -> None:
    net = PatchDiscriminator(PatchConfig(width=2, num_layers=layers, norm="none"))
    least = 3 * 2**layers
    assert net(torch.zeros(1, 3, least, least)).shape == (1, 1, 1, 1)
    with pytest.raises(GANError, match=f"need pictures of {least} pixels a side, but this has {least + 5}x{least - 1}"):
        net(torch.zeros(1, 3, least - 1, least + 5))


def test_a_pixel_discriminator_sees_one_pixel() -> None:
    net = PixelDiscriminator(PixelConfig(width=4, norm="none"))
    picture = random(1, 3, 9, 8).requires_grad_()
    scores = net(picture)
    assert scores.shape == (1, 1, 9, 8)
    scores[0, 0, 4, 5].backward()
    assert picture.grad is not None
    assert (picture.grad.abs().sum(1) > 0).nonzero().tolist() == [[0, 4, 5]]


@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_nothing_before_a_normalisation_has_a_bias(norm: str) -> None:
    nets: list[nn.Module] = [*generators(norm=norm), *generators(norm=norm, upsampling="transposed")]
    nets += [
        PatchDiscriminator(PatchConfig(width=4, norm=norm)),  # type: ignore[arg-type]
        DCGANDiscriminator(DCGANDiscriminatorConfig(16, 4, norm=norm)),  # type: ignore[arg-type]
        DCGANGenerator(DCGANConfig(16, 4, norm=norm)),  # type: ignore[arg-type]
    ]
    for net in nets:
        steps = [
            m for m in net.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d | nn.BatchNorm2d | InstanceNorm2d)
        ]
        for before, after in pairwise(steps):
            if isinstance(after, nn.BatchNorm2d | InstanceNorm2d):
                assert before.bias is None


# Shapes as JSON


def test_configs_go_through_json_and_refuse_what_is_not_theirs() -> None:
    for config in (
        ResNetConfig(32, 6, residual=True),
        UNetConfig(8, 5),
        PatchConfig(16, 2),
        PixelConfig(),
        DCGANConfig(),
    ):
        assert type(config).from_json(config.to_json()) == config
    with pytest.raises(GANError, match="A unet network was expected, but this is of kind 'resnet'"):
        UNetConfig.from_json(ResNetConfig().to_json())
    with pytest.raises(GANError, match="has no wdth"):
        ResNetConfig.from_json({"kind": "resnet", "wdth": 3})
    for wrong in ({"width": 0}, {"num_blocks": -1}, {"norm": "layer"}, {"upsampling": "bilinear"}):
        with pytest.raises(GANError, match="must be"):
            ResNetConfig(**wrong)


# PatchNCE


def test_contrast_is_the_brute_force_cross_entropy() -> None:
    query, key = (F.normalize(random(2, 5, 8, seed=seed), dim=-1) for seed in (0, 1))
    expected = []
    for b in range(2):
        for i in range(5):
            likenesses = [
                math.exp(sum(float(q * k) for q, k in zip(query[b, i], key[b, j], strict=True)) / 0.07)
                for j in range(5)
            ]
            expected.append(-math.log(likenesses[i] / sum(likenesses)))
    assert contrast(query, key, 0.07).item() == pytest.approx(sum(expected) / 10, rel=1e-5)


def test_patch_nce_is_least_for_the_picture_itself() -> None:
    net = initialise(ResNetGenerator(ResNetConfig(width=4, num_blocks=4)), "xavier", random_generator(0))
    torch.manual_seed(0)
    nce = PatchNCE(net.encoded_channels, embedding_size=16, num_patches=32)
    picture, other = random(2, 3, 32, 32).clamp(-1, 1), random(2, 3, 32, 32, seed=1).clamp(-1, 1)
    maps = net.encode(picture)
    assert [m.shape[1] for m in maps] == net.encoded_channels
    same = nce(maps, maps, random_generator(0)).item()
    different = nce(net.encode(other), maps, random_generator(0)).item()
    assert same < 0.8 * different
    assert different > math.log(32) - 0.5  # no better than guessing
    flat = [torch.ones(1, width, 8, 8) for width in net.encoded_channels]
    assert nce(flat, flat, random_generator(0)).item() == pytest.approx(math.log(32), rel=1e-4)


def test_patch_nce_teaches_the_translation_not_the_original() -> None:
    nce = PatchNCE([3], embedding_size=8, num_patches=9)
    translated, original = random(1, 3, 4, 4).requires_grad_(), random(1, 3, 4, 4, seed=1).requires_grad_()
    nce([translated], [original], random_generator(0)).backward()
    assert translated.grad is not None
    assert (translated.grad.abs().sum(1) > 0).sum() == 9  # the places drawn
    assert original.grad is None
    assert all(p.grad is not None for p in nce.parameters())
    with pytest.raises(GANError, match="1 maps were expected, but 2 and 1"):
        nce([translated, translated], [original], random_generator(0))
    with pytest.raises(GANError, match="no maps"):
        UNetGenerator(UNetConfig(4, 2)).encode(translated)
