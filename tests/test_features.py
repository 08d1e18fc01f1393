"""Feature networks: the right maps, nothing more than is needed, and wrong names told."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from creative.checkpoint import save_checkpoint
from creative.models.features import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Features,
    FeaturesError,
    check_layers,
    layer_names,
    load_classifier,
    load_features,
    untrained_features,
)
from creative.models.vgg import VGG, VGGConfig, fold_norms, rescale_layers, unfold_norms
from creative.options.features import LAYERS
from creative.options.style_transfer import Network

SHARED = Path(__file__).resolve().parent.parent / "../shared/data/weights"
REAL = {name: SHARED / f"{name}_imagenet.safetensors" for name in ("squeezenet1_0", "mobilenet_v2")}

# Where torchvision has what we call by another name.
PLACES = {
    "vgg16": {"relu1_1": "features.1", "relu3_1": "features.11", "relu4_3": "features.22", "conv5_2": "features.26"},
    "vgg19": {"conv1_1": "features.0", "pool2": "features.9", "relu3_1": "features.11", "relu5_1": "features.29"},
    "squeezenet1_0": {"relu1": "features.1", "fire3": "features.4", "fire5": "features.7", "fire9": "features.12"},
    "squeezenet1_1": {"relu1": "features.1", "pool3": "features.5", "fire5": "features.7", "fire9": "features.12"},
    "googlenet": {"conv1": "conv1", "inception3b": "inception3b", "pool4": "maxpool4", "inception4c": "inception4c"},
    "inception_v3": {"conv2a": "Conv2d_2a_3x3", "mixed5d": "Mixed_5d", "mixed6e": "Mixed_6e", "mixed7c": "Mixed_7c"},
    "resnet50": {"conv1": "conv1", "relu1": "relu", "layer1": "layer1", "layer2_1": "layer2.0", "layer4": "layer4"},
    "mobilenet_v2": {"relu1": "features.0", "block1": "features.1", "block13": "features.13", "relu18": "features.18"},
}


def torchvision_network(name: str) -> Any:
    """torchvision's own, with random weights, its statistics too; VGG's huge classifier stays empty."""
    from torchvision import models

    lean = {"init_weights": False, "aux_logits": False} if name in ("googlenet", "inception_v3") else {}
    with torch.device("meta"):
        network = getattr(models, name)(weights=None, **lean)
    if name.startswith("vgg"):
        network.classifier = nn.Identity()
    network.to_empty(device="cpu")
    generator = torch.Generator().manual_seed(1)
    for key, tensor in network.state_dict().items():
        if tensor.dim() > 1:
            nn.init.kaiming_normal_(tensor, generator=generator)
        elif key.endswith("running_var") or (key.endswith("weight") and tensor.dim() == 1):
            tensor.uniform_(0.5, 1.5, generator=generator)
        elif tensor.is_floating_point():
            tensor.uniform_(-0.1, 0.1, generator=generator)
        else:
            tensor.zero_()
    if name in ("googlenet", "inception_v3"):
        network.transform_input = True  # as with torchvision's own weights
    return network.eval()


def reference_maps(network: Any, places: dict[str, str], picture: Tensor) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for layer, place in places.items():
        network.get_submodule(place).register_forward_hook(
            lambda module, given, map_, layer=layer: found.__setitem__(layer, map_.detach().clone())
        )
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    with torch.no_grad():
        (network.features if hasattr(network, "features") else network)((picture - mean) / std)
    return found


def test_the_choice_of_networks_is_the_same_everywhere() -> None:
    assert set(LAYERS) == set(Network.__args__)  # type: ignore[attr-defined]


@pytest.mark.parametrize("network", list(PLACES))
def test_maps_are_torchvisions_own(network: str, tmp_path: Path) -> None:
    theirs = torchvision_network(network)
    file = tmp_path / "weights.safetensors"
    save_file({k: v for k, v in theirs.state_dict().items() if not k.startswith(("classifier", "fc"))}, file)
    picture = torch.rand(1, 3, 96, 80, generator=torch.Generator().manual_seed(2))
    expected = reference_maps(theirs, PLACES[network], picture)
    features = load_features(network, layers=list(PLACES[network]), weights=file)
    found = features(picture)
    assert list(found) == [name for name in LAYERS[network] if name in PLACES[network]]
    for layer, map_ in expected.items():
        assert (found[layer] - map_).norm() < 1e-4 * map_.norm(), layer
        assert found[layer].shape[-1] in range((80 // features.strides[layer]) - 4, 80 // features.strides[layer] + 2)


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "before 1.6"])
def test_torch_files_load_like_safetensors(legacy: bool, tmp_path: Path) -> None:
    theirs = torchvision_network("squeezenet1_1")
    torch.save(theirs.state_dict(), tmp_path / "w.pth", _use_new_zipfile_serialization=not legacy)
    save_file(theirs.state_dict(), tmp_path / "w.safetensors")
    a, b = (
        load_features("squeezenet1_1", layers=["fire4"], weights=tmp_path / f"w.{kind}")
        for kind in ("pth", "safetensors")
    )
    picture = torch.rand(1, 3, 64, 64)
    assert torch.equal(a(picture)["fire4"], b(picture)["fire4"])


def test_nothing_behind_the_last_layer_is_kept() -> None:
    features = untrained_features("vgg19", layers=["relu2_1", "relu1_2"])
    assert features.layers == ("relu1_2", "relu2_1")
    assert list(features.chain) == list(LAYERS["vgg19"][: LAYERS["vgg19"].index("relu2_1") + 1])
    assert sum(p.numel() for p in features.parameters()) == 3 * 64 * 9 + 64 + 64 * 64 * 9 + 64 + 64 * 128 * 9 + 128


def test_returned_maps_are_not_overwritten() -> None:
    features = untrained_features("vgg16", layers=["conv1_1", "relu1_1", "conv1_2"])
    maps = features(torch.rand(1, 3, 32, 32))
    assert maps["conv1_1"].min() < 0
    assert torch.equal(maps["relu1_1"], maps["conv1_1"].relu())


def test_frozen_and_channels_last_and_gradients_reach_the_picture() -> None:
    features = untrained_features("squeezenet1_0", layers=["relu1", "fire5"])
    assert not features.training
    assert not any(parameter.requires_grad for parameter in features.parameters())
    picture = torch.rand(1, 3, 64, 64, requires_grad=True)
    maps = features(picture)
    assert maps["fire5"].is_contiguous(memory_format=torch.channels_last)
    maps["fire5"].sum().backward()
    assert picture.grad is not None
    assert picture.grad.abs().sum() > 0


def test_average_pooling_replaces_max_pooling() -> None:
    kinds = [type(m) for m in untrained_features("vgg16", layers=["relu3_1"], pooling="average").modules()]
    assert nn.AvgPool2d in kinds
    assert nn.MaxPool2d not in kinds
    features = untrained_features("resnet50", layers=["pool1"], pooling="average")
    flat = features(torch.full((1, 3, 64, 64), 0.3))["pool1"]
    assert torch.isfinite(flat).all()


# Geometry: with positive weights and average pooling, every pixel a value can see has a gradient.


def positive(features: Features) -> Features:
    for name, tensor in features.double().state_dict().items():
        if tensor.dim() > 1:
            tensor.abs_().div_(tensor.sum((1, 2, 3), keepdim=True))
        elif name.endswith("bias"):
            tensor.zero_()
    return features


@pytest.mark.parametrize(
    ("network", "layer"),
    [
        ("bundled", "relu3_3"),
        ("bundled", "relu5_2"),
        ("vgg16", "relu3_3"),
        ("squeezenet1_0", "fire9"),
        ("squeezenet1_1", "fire5"),
        ("googlenet", "inception3b"),
        ("inception_v3", "mixed5b"),
        ("inception_v3", "mixed6b"),
        ("resnet50", "layer2"),
        ("mobilenet_v2", "block5"),
    ],
)
def test_receptive_field_and_stride(network: str, layer: str) -> None:
    features = positive(untrained_features(network, layers=[layer], pooling="average"))
    field, stride = features.receptive_fields[layer], features.strides[layer]
    height, width = features.min_size + 2 * stride, field + 5 * stride
    picture = torch.full((1, 3, height, width), 1.0, dtype=torch.float64, requires_grad=True)
    map_ = features(picture)[layer]
    row, middle = map_.shape[-2] // 2, map_.shape[-1] // 2

    def seen(column: int) -> list[int]:
        (gradient,) = torch.autograd.grad(map_[0, :, row, column].sum(), picture, retain_graph=True)
        return gradient[0].abs().sum((0, 1)).nonzero().flatten().tolist()

    first, second = seen(middle), seen(middle + 1)
    assert first[-1] - first[0] + 1 == field
    assert second[0] - first[0] == stride


@pytest.mark.parametrize("network", ["bundled", "squeezenet1_0", "vgg16", "inception_v3"])
def test_smallest_picture(network: str) -> None:
    features = untrained_features(network, layers=[LAYERS[network][-1]])
    least = features.min_size
    assert features(torch.rand(1, 3, least, least + 3))[LAYERS[network][-1]].numel() > 0
    with pytest.raises(FeaturesError, match=rf"at least {least} pixels .* has {least + 9}x{least - 1}"):
        features(torch.rand(1, 3, least - 1, least + 9))


# Errors


@pytest.mark.parametrize(
    ("network", "layers", "message"),
    [
        ("vgg20", ["relu1_1"], r"no network 'vgg20' \(did you mean vgg"),
        ("vgg19", ["relu3_9"], r"vgg19 has no layer 'relu3_9' \(did you mean relu3_"),
        ("bundled", [], "No layer of bundled"),
    ],
)
def test_wrong_names_are_told_at_the_call(network: str, layers: list[str], message: str) -> None:
    with pytest.raises(FeaturesError, match=message):
        check_layers(network, layers)
    with pytest.raises(FeaturesError, match=message):
        load_features(network, layers=layers)


def test_wrong_files_are_told(tmp_path: Path) -> None:
    cut, other, narrow = tmp_path / "cut.safetensors", tmp_path / "other.safetensors", tmp_path / "narrow.safetensors"
    cut.write_bytes(b"\x00" * 50)
    save_file({"something.else": torch.zeros(1)}, other)
    save_file({"features.0.weight": torch.zeros(1, 3, 3, 3), "features.0.bias": torch.zeros(64)}, narrow)
    for path, message in ((cut, "cannot be read"), (other, "features.0"), (narrow, "has the shape")):
        with pytest.raises(FeaturesError, match=message):
            load_features("vgg19", layers=["relu1_1"], weights=path)
    with pytest.raises(ValueError, match="not made by creative"):
        load_features("bundled", layers=["relu1_1"], weights=other)


# Our own network


def test_bundled_network_needs_no_torchvision() -> None:
    code = (
        "import sys, torch; from creative.models.features import load_features;"
        "maps = load_features(layers=['relu1_1', 'relu5_2'])(torch.rand(1, 3, 64, 64));"
        "assert torch.isfinite(maps['relu5_2']).all(); assert 'torchvision' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_network_is_known_by_its_maps_whatever_its_classifier(tmp_path: Path) -> None:
    shape = VGGConfig((4, 6), (1, 1), 2)
    config = {"config": {"network": shape.to_json(), "classes": ["a", "b"]}}
    tensors = VGG(shape).state_dict()
    changes = {
        "same": {},
        "classes": {"classifier.weight": torch.zeros(2, 6), "classifier.bias": torch.ones(2)},
        "maps": {"features.conv1_1.bias": torch.ones(4)},
    }
    found = {}
    for name, changed in changes.items():
        path = save_checkpoint(tmp_path / f"{name}.safetensors", {**tensors, **changed}, {**config, "by": name})
        found[name] = load_features(layers=["relu1_1"], weights=path).sha256
    assert found["classes"] == found["same"] != found["maps"]


def test_bundled_network_keeps_its_promises() -> None:
    features = load_features(layers=[name for name in layer_names() if name.startswith("relu")])
    assert features.weights is not None
    assert features.weights.stat().st_size <= 4_000_000
    assert re.fullmatch(r"[0-9a-f]{64}", features.sha256)
    assert features.weights_name == "features.safetensors"
    skimage = pytest.importorskip("skimage.data")
    photo = torch.from_numpy(skimage.chelsea()).permute(2, 0, 1)[None] / 255
    for name, map_ in features(photo).items():  # scaled to 1 on the photos it was trained on
        assert 0.2 < map_.mean() < 5, name
    assert tuple(dict(features.chain.items())) == layer_names()


def trained_like(config: VGGConfig) -> VGG:
    torch.manual_seed(0)
    network = VGG(config, norm=True).train()
    for _ in range(3):
        network(torch.randn(8, 3, 32, 32) * 2 + 1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.uniform_(module.bias, -0.5, 0.5)
    return network.eval()


def test_folding_and_rescaling_keep_the_logits() -> None:
    network = trained_like(VGGConfig((8, 12), (2, 1), 7))
    folded = fold_norms(network)
    x = torch.randn(4, 3, 32, 32)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    torch.testing.assert_close(folded(x), network(x), rtol=1e-4, atol=1e-5)
    rescale_layers(folded, x)
    torch.testing.assert_close(folded(x), network(x), rtol=1e-4, atol=1e-5)
    for map_ in folded.maps(x, ["relu1_1", "relu1_2", "relu2_1"]).values():
        assert float(map_.detach().mean()) == pytest.approx(1, abs=1e-4)


def test_unfolding_keeps_the_outputs_and_folds_back() -> None:
    network = fold_norms(trained_like(VGGConfig((8, 12), (2, 1), 7)))
    with torch.no_grad():
        network.features.get_submodule("conv1_2").weight[3] = 0  # a dead channel
    x = torch.randn(16, 3, 32, 32) * 2 + 1
    unfolded, layers = unfold_norms(network, x), ["relu1_1", "relu1_2", "relu2_1"]
    for other in (unfolded.eval(), fold_norms(unfolded)):
        torch.testing.assert_close(other(x[:4]), network(x[:4]), rtol=1e-3, atol=1e-5)
        for name, map_ in other.maps(x[:4], layers).items():
            torch.testing.assert_close(map_, network.maps(x[:4], [name])[name], rtol=1e-3, atol=1e-4)
    # Training begins where evaluation was: the batch has the statistics that the normalisations were given.
    torch.testing.assert_close(unfolded.train()(x), network(x), rtol=1e-2, atol=1e-3)
    behind = network.maps(network.maps(x, ["pool1"])["pool1"], ["relu2_1"], after="pool1")
    torch.testing.assert_close(behind["relu2_1"], network.maps(x, ["relu2_1"])["relu2_1"])


def test_a_network_of_another_shape_loads_from_its_file(tmp_path: Path) -> None:
    network = fold_norms(trained_like(VGGConfig((8, 12), (2, 2), 3)))
    config = {"network": network.config.to_json(), "classes": ["cat", "dog", "cup"]}
    path = save_checkpoint(tmp_path / "small.safetensors", network.state_dict(), {"config": config})
    picture = torch.rand(1, 3, 32, 32)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    found = load_features("bundled", layers=["relu2_1"], weights=path)(picture)["relu2_1"]
    torch.testing.assert_close(
        found, network.maps((picture - mean) / std, ["relu2_1"])["relu2_1"], rtol=1e-4, atol=1e-5
    )
    classifier = load_classifier("bundled", weights=path)
    assert classifier.classes == ("cat", "dog", "cup")
    torch.testing.assert_close(classifier(picture), network((picture - mean) / std), rtol=1e-4, atol=1e-5)
    with pytest.raises(FeaturesError, match="relu5_2"):
        load_features("bundled", layers=["relu5_2"], weights=path)


# Classifiers


@pytest.mark.parametrize("network", ["squeezenet1_1", "mobilenet_v2", "googlenet", "resnet50"])
def test_logits_are_torchvisions_own(network: str, tmp_path: Path) -> None:
    theirs = torchvision_network(network)
    save_file(theirs.state_dict(), tmp_path / "w.safetensors")
    ours = load_classifier(network, weights=tmp_path / "w.safetensors")
    picture = torch.rand(2, 3, 72, 64)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    with torch.no_grad():
        expected = theirs((picture - mean) / std)
    assert (ours(picture) - expected).norm() < 1e-4 * expected.norm()
    assert len(ours.classes) == 1000


@pytest.mark.parametrize("network", list(REAL))
def test_real_weights_see_a_cat(network: str) -> None:
    if not REAL[network].exists():
        pytest.skip(f"the real weights of {network} are not in ../shared/data/weights")
    skimage = pytest.importorskip("skimage.data")
    photo = torch.from_numpy(skimage.chelsea()).permute(2, 0, 1)[None, :, :, 75:375] / 255
    classifier = load_classifier(network, weights=REAL[network])
    best = [classifier.classes[i] for i in classifier(photo)[0].topk(3).indices]
    assert {"tabby", "Egyptian cat", "tiger cat"} & set(best)


@pytest.mark.parametrize("network", list(REAL))
def test_maps_of_real_weights_are_torchvisions_own(network: str) -> None:
    if not REAL[network].exists():
        pytest.skip(f"the real weights of {network} are not in ../shared/data/weights")
    from safetensors.torch import load_file
    from torchvision import models

    theirs = getattr(models, network)(weights=None).eval()
    theirs.load_state_dict(load_file(REAL[network]))
    picture = torch.rand(1, 3, 96, 80, generator=torch.Generator().manual_seed(3))
    expected = reference_maps(theirs, PLACES[network], picture)
    found = load_features(network, layers=list(PLACES[network]), weights=REAL[network])(picture)
    for layer, map_ in expected.items():
        assert (found[layer] - map_).norm() < 1e-4 * map_.norm(), layer
