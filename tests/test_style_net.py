"""The network that paints in one pass: identity at code 0, mixing, masks, tiles, any size, files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from creative.checkpoint import CheckpointError, save_checkpoint
from creative.models.features import load_features
from creative.models.style_net import (
    EXTRA,
    STYLE_LAYERS,
    StyleNet,
    StyleNetConfig,
    StyleNetError,
    load_style_net,
    mixed,
    packed,
    predictor_channels,
    style_moments,
)
from creative.style_presets import load_preset

SMALL = {"widths": (6, 8, 8), "fine": 4, "blocks": (1, 1), "projections": 2}


@pytest.fixture(scope="module")
def network() -> StyleNet:
    return make(hidden=0)


def make(**values: object) -> StyleNet:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return StyleNet(StyleNetConfig(**{**SMALL, **values})).eval().requires_grad_(False)  # type: ignore[arg-type]


def some_code(network: StyleNet, seed: int = 0) -> torch.Tensor:
    code = 0.3 * torch.randn(1, network.length, generator=torch.Generator().manual_seed(seed))
    code[:, EXTRA - 9 : EXTRA] = 0.3 * torch.eye(3).flatten()  # what is drawn is to be seen
    return code


def picture(height: int = 64, width: int = 72, seed: int = 1) -> torch.Tensor:
    small = torch.rand(1, 3, 9, 9, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(small, (height, width), mode="bicubic", align_corners=False).clamp(0, 1)


def test_code_0_is_the_photo_to_the_bit_and_strength_moves_away_from_it(network: StyleNet) -> None:
    photo, code = picture(), some_code(network)
    assert torch.equal(network(photo, 0 * code), photo)
    moved = [float((network(photo, s * code) - photo).abs().mean()) for s in (0.1, 0.4, 1.0)]
    assert 0 < moved[0] < moved[1] < moved[2]


@pytest.mark.parametrize(("height", "width"), [(16, 16), (17, 33), (50, 121), (64, 72)])
def test_any_size_comes_back_as_it_went_in(network: StyleNet, height: int, width: int) -> None:
    painted = network(picture(height, width), some_code(network))
    assert painted.shape == (1, 3, height, width)
    assert float(painted.min()) >= 0
    assert float(painted.max()) <= 1
    assert painted.std() > 0.01


def test_each_picture_of_a_batch_has_its_own_style_and_statistics(network: StyleNet) -> None:
    photos, codes = torch.cat([picture(), picture(seed=2)]), torch.cat([some_code(network), some_code(network, 1)])
    alone = torch.cat([network(photos[:1], codes[:1]), network(photos[1:], codes[1:])])
    assert torch.allclose(network(photos, codes), alone, atol=1e-5)
    assert not torch.allclose(alone[:1], network(photos[:1], codes[1:]), atol=1e-2)


def test_masks_give_each_style_its_place(network: StyleNet) -> None:
    photo, codes = picture(), torch.cat([some_code(network), some_code(network, 1)])
    all_of_one = torch.stack([torch.ones(64, 72), torch.zeros(64, 72)])[None]
    assert torch.allclose(network(photo, codes, all_of_one), network(photo, codes[:1]), atol=1e-5)
    left = (torch.arange(72) < 36).float().expand(1, 64, 72)
    half = network(photo, codes, torch.stack([left, 1 - left], 1))
    nearer = [(half - network(photo, code[None])).abs().mean((0, 1, 2)) for code in codes]
    assert nearer[0][:20].mean() < nearer[1][:20].mean()
    assert nearer[1][-20:].mean() < nearer[0][-20:].mean()


def test_tiles_with_the_statistics_of_the_whole_show_no_seam(network: StyleNet) -> None:
    photo, code = picture(40, 400), some_code(network)
    whole, statistics = network(photo, code), network.measure(photo, code)
    assert len(statistics) == len(network.layers) + 1
    edge, halo = 200, network.halo
    left = network(photo[..., : edge + halo], code, statistics=statistics)[..., :edge]
    start = edge - halo
    right = network(photo[..., start:], code, statistics=statistics, origin=(0, start))[..., halo:]
    assert torch.allclose(torch.cat([left, right], 3), whole, atol=1e-4)
    own = network(photo[..., : edge + halo], code)[..., :edge]
    assert not torch.allclose(own, whole[..., :edge], atol=1e-2)  # which is what the statistics are for


def test_a_flat_sky_is_painted_too_and_the_same_each_time(network: StyleNet) -> None:
    flat, code = torch.full((1, 3, 64, 64), 0.5), some_code(network)
    painted = network(flat, code)
    assert painted.std() > 0.01
    assert torch.equal(painted, network(flat, code))


def test_a_flat_picture_stays_finite_also_in_its_gradient(network: StyleNet) -> None:
    photo = torch.full((1, 3, 32, 32), 0.5, requires_grad=True)
    network(photo, some_code(network)).sum().backward()
    assert photo.grad is not None
    assert photo.grad.isfinite().all()
    assert photo.grad.abs().max() < 1e4


def test_a_preset_and_its_own_moments_mixed_give_mixed_sketches() -> None:
    features = load_features(layers=STYLE_LAYERS)
    network = make(hidden=8, channels=predictor_channels(features))
    assert network.predictor is not None
    one, other = (load_preset(name).moments(256) for name in ("udnie", "great-wave"))
    both = {layer: one[layer] * 0.25 + other[layer] * 0.75 for layer in one}
    sketch = network.predictor.sketch
    assert torch.allclose(sketch(both), 0.25 * sketch(one) + 0.75 * sketch(other), atol=1e-4)
    assert not torch.allclose(network.predict(one), network.predict(other), atol=1e-3)
    codes = [network.predict(one), network.predict(other)]
    assert torch.allclose(mixed(codes, (1, 3)), 0.25 * codes[0] + 0.75 * codes[1], atol=1e-6)


def test_the_predictor_begins_with_the_paintings_own_colours() -> None:
    features = load_features(layers=STYLE_LAYERS)
    network = make(hidden=8, channels=predictor_channels(features))
    painting = picture(96, 96)
    code = network.predict(style_moments(features, painting))[0]
    pixels = F.pad(painting, (24,) * 4, mode="reflect").flatten(2)[0].double()
    assert torch.allclose(code[:9], -torch.eye(3).flatten())
    assert torch.allclose(code[9:12].double(), pixels.mean(1) - 0.5, atol=1e-3)
    root = code[12:21].view(3, 3).double()
    assert torch.allclose(root @ root, torch.cov(pixels, correction=0), atol=1e-3)


def test_styles_have_codes_of_their_own_however_far_the_predictor_is_pushed() -> None:
    """Its layers cannot fall silent: once all were below zero, and every style was painted with the same strokes."""
    features = load_features(layers=STYLE_LAYERS)
    network = make(hidden=16, channels=predictor_channels(features))
    assert network.predictor is not None
    for layer in network.predictor.body:
        if isinstance(layer, torch.nn.Linear) and layer.out_features == 16:
            layer.bias.fill_(-200.0)
    codes = torch.cat([network.predict(load_preset(name).moments(256)) for name in ("udnie", "great-wave")])
    assert codes[:, EXTRA:].std(0).mean() > 0.01


def test_what_the_predictor_sees_are_means_deviations_and_covariances() -> None:
    """Against the same computed from all positions of the maps."""
    features = load_features(layers=("relu1_1",))
    channels = (("pixels", 3), ("relu1_1", features(torch.zeros(1, 3, 64, 64))["relu1_1"].shape[1]))
    network = make(hidden=8, channels=channels)
    assert network.predictor is not None
    painting = picture(80, 80)
    seen = network.predictor.seen(network.predictor.sketch(style_moments(features, painting))[None])[0]
    pixels = F.pad(painting, (24,) * 4, mode="reflect").flatten(2)[0].double()
    axes = network.predictor.get_buffer("axes_pixels").double()
    along = torch.cov((axes.T @ pixels), correction=0)
    rows, columns = torch.triu_indices(len(along), len(along))
    expected = along[rows, columns]
    assert torch.allclose(seen[:3].double(), pixels.mean(1), atol=1e-4)
    assert torch.allclose(seen[3:6].double(), pixels.std(1, correction=0), atol=1e-3)
    found = seen[6 : 6 + len(rows)].double()
    assert torch.allclose(found.sign() * found.square(), expected, atol=1e-3)


def test_a_file_gives_the_network_back_up_to_its_precision(tmp_path: Path) -> None:
    features = load_features(layers=STYLE_LAYERS)
    for values in ({"hidden": 0}, {"hidden": 8, "channels": predictor_channels(features)}):
        network = make(**values)
        if network.code is not None:
            network.code.copy_(some_code(network))
        path = save_checkpoint(tmp_path / "net.safetensors", packed(network), {"config": network.config.to_json()})
        loaded = load_style_net(path)
        assert loaded.config == network.config
        code = some_code(network) if loaded.code is None else loaded.code
        assert torch.allclose(loaded(picture(), code), network(picture(), code), atol=0.02)
        if loaded.predictor is not None:
            seen = load_preset("udnie").moments(256)
            assert torch.allclose(loaded.predict(seen), network.predict(seen), atol=0.05)


def test_says_what_is_wrong(tmp_path: Path, network: StyleNet) -> None:
    other = save_checkpoint(tmp_path / "other.safetensors", {"x": torch.zeros(1)}, {"config": {"network": "vgg"}})
    with pytest.raises(StyleNetError, match="holds no network that paints in one pass"):
        load_style_net(other)
    config = network.config.to_json()
    part = save_checkpoint(tmp_path / "part.safetensors", {"stem.conv.weight": torch.zeros(1)}, {"config": config})
    with pytest.raises(StyleNetError, match="missing are"):
        load_style_net(part)
    broken = save_checkpoint(tmp_path / "x.safetensors", packed(network), {"config": {"network": "style-net"}})
    with pytest.raises(StyleNetError, match="of its shape is missing or wrong"):
        load_style_net(broken)
    with pytest.raises(CheckpointError):
        load_style_net(tmp_path / "nowhere.safetensors")
    with pytest.raises(StyleNetError, match="8 × 64 pixels"):
        network(picture(64, 8), some_code(network))
    with pytest.raises(StyleNetError, match=f"A code of {network.length} numbers"):
        network(picture(), torch.zeros(1, 3))
    with pytest.raises(StyleNetError, match="one painting only"):
        network.predict({})
    with pytest.raises(StyleNetError, match="missing the layers pixels"):
        make(hidden=8, channels=(("pixels", 3),)).predict({})
