"""Pictures that no camera makes, for the feature network to learn from; and what its teachers are shown beside it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from creative.device import random_generator
from creative.engines.features import HINTS, Hint
from creative.engines.features.hints import hint_layers, teach
from creative.engines.features.unnatural import (
    AT_ONCE,
    EVERY,
    KEPT_AT,
    SIZE,
    PaintedPool,
    cutmix,
    normalised,
    paint,
    unnatural,
)
from creative.losses import gram
from creative.models.features import Features, untrained_features
from creative.models.vgg import VGG, VGGConfig


def smooth_pictures(count: int, size: int = 32) -> Tensor:
    coarse = torch.rand(count, 3, 5, 5, generator=random_generator(0))
    return F.interpolate(coarse, size, mode="bicubic").clamp(0, 1)


def small_network() -> VGG:
    torch.manual_seed(0)
    return VGG(VGGConfig((6, 8, 10), (1, 2, 2), 0)).eval().requires_grad_(False)


# What teachers are shown


def evenly_weighted(network: str, layers: list[str]) -> Features:
    """A network whose maps are averages of what they see, so that a gradient shows where each position looks."""
    features = untrained_features(network, layers=layers, pooling="average").double()
    for parameter in features.parameters():
        parameter.data.fill_(1 / parameter[0].numel() if parameter.dim() > 1 else 0.0)
    return features


@pytest.mark.parametrize("hint", [hint for hint in HINTS if hint.teacher == "squeezenet1_0"], ids=lambda h: h.name)
def test_positions_of_teacher_and_student_lie_over_one_another(hint: Hint) -> None:
    teacher = evenly_weighted(hint.teacher, [hint.layer])
    student = evenly_weighted("bundled", [hint.student])
    centres = []
    for taught in (True, False):
        # Bright, so that no ReLU cuts anything off.
        picture = torch.ones(1, 3, 256, 256, dtype=torch.double, requires_grad=True)
        target = teach(teacher, [hint], picture)[hint.name]
        map_ = target if taught else hint.over(student(picture)[hint.student], target)
        middle = target.shape[-1] // 2
        (seen,) = torch.autograd.grad(map_[0, :, middle, middle].sum(), picture)
        rows, columns = (seen[0].abs().sum((0, axis)) for axis in (2, 1))
        centres.append([float((line * torch.arange(256)).sum() / line.sum()) for line in (rows, columns)])
    assert centres[0] == pytest.approx(centres[1], abs=0.6)


def test_each_hint_is_given_its_own_map() -> None:
    teacher = untrained_features("mobilenet_v2", layers=hint_layers("mobilenet_v2"))
    pictures = smooth_pictures(1, 96)
    own = [hint for hint in HINTS if hint.teacher == "mobilenet_v2"]
    found = teach(teacher, HINTS, pictures)
    assert set(found) == {hint.name for hint in own}
    plain = teacher(pictures)
    for hint in own:
        if not hint.shift:
            torch.testing.assert_close(found[hint.name], plain[hint.layer])
    shifted = {hint.name for hint in own if hint.shift and not torch.equal(found[hint.name], plain[hint.layer])}
    assert shifted == {hint.name for hint in own if hint.shift}
    assert list(teacher(pictures, {"block3"})) == ["block3"]


# Unnatural pictures


def test_cutmix_puts_a_rectangle_of_another_picture_into_some() -> None:
    numbers = torch.arange(64.0).view(-1, 1, 1, 1).expand(64, 3, 20, 24)
    mixed = cutmix(numbers, 0.5, random_generator(0))
    assert torch.equal(mixed, cutmix(numbers, 0.5, random_generator(0)))
    assert not torch.equal(mixed, cutmix(numbers, 0.5, random_generator(1)))
    assert torch.equal(cutmix(numbers, 0.0, random_generator(0)), numbers)
    strange = mixed != numbers
    assert 16 <= strange.any(3).any(2).any(1).sum() <= 48
    assert strange.float().mean() == pytest.approx(0.25, abs=0.08)
    for own, one, inside in zip(numbers[:, 0, 0, 0], mixed[:, 0], strange[:, 0], strict=True):
        assert set(one[inside].tolist()) <= {float((own - 1) % 64)}  # rolled by one
        assert torch.equal(inside, inside.any(1, keepdim=True) & inside.any(0, keepdim=True))


def test_a_share_of_the_pictures_becomes_unnatural() -> None:
    pictures = smooth_pictures(200)
    made = unnatural(pictures, 0.4, random_generator(1))
    assert torch.equal(made, unnatural(pictures, 0.4, random_generator(1)))
    assert torch.equal(unnatural(pictures, 0.0, random_generator(1)), pictures)
    assert 0 <= made.min() <= made.max() <= 1
    changed = (made != pictures).flatten(1).any(1)
    assert changed.float().mean() == pytest.approx(0.4, abs=0.1)
    # A quarter of them lie on the line between their own picture and the one before.
    apart, moved = (other.flatten(1) for other in (pictures.roll(1, 0) - pictures, made - pictures))
    amount = (moved * apart).sum(1) / apart.square().sum(1)
    mixed = changed & ((moved - amount[:, None] * apart).abs().amax(1) < 1e-5)
    assert mixed.sum() / changed.sum() == pytest.approx(0.25, abs=0.12)
    # Half of them keep their own coarse colours and have the details of another.
    coarse = (F.avg_pool2d(made - pictures, 16).abs().amax((1, 2, 3)) < 0.1) & changed & ~mixed
    assert coarse.sum() / changed.sum() > 0.3


# Painted pictures


def test_painting_comes_nearer_to_the_style() -> None:
    network, pictures = small_network(), smooth_pictures(8)
    photos, paintings = pictures[:4], pictures[4:].flip(-1) * 0.5
    made = paint(network, photos, paintings, random_generator(0))
    assert made.shape == (len(KEPT_AT) * 4, 3, 32, 32)
    assert 0 <= made.min() <= made.max() <= 1
    assert torch.equal(made, paint(network, photos, paintings, random_generator(0)))

    def distance(shown: Tensor) -> float:
        layers = ["relu1_1", "relu2_1", "relu3_1"]
        shown_maps, wanted = (network.maps(normalised(x), layers) for x in (shown, paintings))
        return sum(float((gram(shown_maps[n]) - gram(wanted[n])).norm() / gram(wanted[n]).norm()) for n in layers)

    first, *_, last = made.split(4)
    assert distance(last) < 0.5 * distance(photos)
    assert distance(last) < distance(first)


def test_the_pool_is_renewed_and_remembered() -> None:
    network, pictures, made = small_network(), smooth_pictures(16), 0

    def count() -> VGG:
        nonlocal made
        made += 1
        return network

    pool = PaintedPool()
    assert pool.mix_in(pictures, 0, 0, count, random_generator(0)) is pictures
    assert made == 0
    first = pool.mix_in(pictures, 4, 7, count, random_generator(0))  # the pool was empty
    assert torch.equal(first[:-4], pictures[:-4])
    assert (first[-4:] != pictures[-4:]).flatten(1).any(1).all()
    pool.mix_in(pictures, 4, EVERY + 1, count, random_generator(1))
    assert made == 1
    for round_ in range(10):
        pool.mix_in(pictures, 4, round_ * EVERY, count, random_generator(round_))
    assert made == 11
    assert len(pool.pictures) == min(SIZE, 11 * AT_ONCE * len(KEPT_AT))
    again = PaintedPool()
    again.load_state(pool.state(), torch.device("cpu"))
    both = [one.mix_in(pictures, 4, 1, count, random_generator(3)) for one in (pool, again)]
    assert torch.equal(*both)
