"""Style presets: small, repeatable, as good as the painting, and honest about which network they are for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from creative.engines.style_transfer import make_preset, stylize
from creative.losses import Moments
from creative.models.features import load_features
from creative.options.style_transfer import PresetSettings, StylizeSettings
from creative.progress import Step, run
from creative.style_presets import Preset, PresetError, load_preset, read_preset_card, save_preset
from creative.weights import WeightsError, bundled_folder, list_presets

pytestmark = pytest.mark.skipif(
    not (bundled_folder() / "features.safetensors").is_file(), reason="the bundled network has not been trained yet"
)
BUNDLED = sorted((bundled_folder() / "presets").glob("*.safetensors"))


def painting(width: int = 200, height: int = 160) -> Image.Image:
    y, x = np.mgrid[0:height, 0:width].astype(float)
    noise = np.random.default_rng(0).normal(size=(height, width))
    stripes = np.sin((x + 2 * y + 3 * noise) / 5) > 0
    colours = np.where(stripes[..., None], (220, 150, 40), (40, 60, 150))
    return Image.fromarray(colours.astype(np.uint8))


def photo() -> Image.Image:
    y, x = np.mgrid[0:120, 0:160].astype(float)
    return Image.fromarray(np.stack([x, y * 2, 255 - x], 2).clip(0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def preset() -> Preset:
    return run(make_preset(painting(), PresetSettings(name="stripes", painter="A. Test", year=2026, swatch=0)))


@pytest.fixture(scope="module")
def saved(preset: Preset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_preset(preset, tmp_path_factory.mktemp("presets") / "stripes.safetensors")


def test_a_preset_comes_back_from_its_file(preset: Preset, saved: Path) -> None:
    loaded = load_preset(saved)
    assert (loaded.name, loaded.title, loaded.painter, loaded.year) == ("stripes", "Stripes", "A. Test", 2026)
    assert loaded.credit == "Stripes, A. Test, 2026"
    assert loaded.network == preset.network
    assert len(loaded.sha256) == 64
    assert sorted(loaded.statistics) == sorted(preset.statistics) == [128, 181, 200]
    for size, layers in preset.statistics.items():
        for layer, values in layers.items():
            found = loaded.statistics[size][layer]
            assert (found.gram - values.gram).norm() < 0.05 * values.gram.norm()
            assert (found.mean - values.mean).norm() < 0.01 * values.mean.norm()
            torch.testing.assert_close(found.gram.diagonal(), values.gram.diagonal(), rtol=0.1, atol=0.01)


def test_the_same_preset_makes_the_same_bytes(preset: Preset, saved: Path, tmp_path: Path) -> None:
    assert save_preset(preset, tmp_path / "again.safetensors").read_bytes() == saved.read_bytes()


def test_painting_with_a_preset_is_like_painting_with_the_picture(saved: Path) -> None:
    settings = StylizeSettings(size=160, iterations=(12,), precision="float32")
    from_picture = run(stylize(photo(), painting(), settings))
    from_preset = run(stylize(photo(), load_preset(saved), settings))
    features = load_features("bundled", layers=("relu1_2", "relu2_2", "relu3_3"))

    def grams(image: Image.Image) -> list[torch.Tensor]:
        from creative.images import to_tensor
        from creative.losses import gram

        return [gram(values) for values in features(to_tensor(image)).values()]

    for one, other, plain in zip(
        grams(from_picture), grams(from_preset), grams(photo().resize((160, 120))), strict=True
    ):
        assert (one - other).norm() < 0.25 * (one - plain).norm()


def test_a_preset_is_named_in_the_provenance_by_its_file(saved: Path) -> None:
    made = run(stylize(photo(), load_preset(saved), StylizeSettings(size=64, iterations=(1,), scales=1)))
    source = made.info["provenance"].inputs["style"][0]
    assert (source.file, source.sha256) == (saved.name, load_preset(saved).sha256)


def test_a_swatch_is_a_small_picture_in_the_painting_s_colours(tmp_path: Path) -> None:
    steps: list[Step] = []
    made = run(make_preset(painting(), PresetSettings(name="stripes", swatch=64)), steps.append)
    swatch = load_preset(save_preset(made, tmp_path / "stripes.safetensors")).swatch
    assert swatch is not None
    assert swatch.size == (64, 64)
    means = [np.asarray(image, float).mean((0, 1)) for image in (swatch, painting())]
    assert np.abs(means[0] - means[1]).max() < 25
    assert steps[0].done == 0
    assert steps[-1].total == len(made.statistics) + 1


def test_sizes_between_are_mixed_and_sizes_beyond_are_the_nearest(preset: Preset) -> None:
    def first(longest: float) -> torch.Tensor:
        return preset.moments(longest)["relu1_1"].gram

    torch.testing.assert_close(first(128), preset.statistics[128]["relu1_1"].gram)
    torch.testing.assert_close(first(10), first(128))
    torch.testing.assert_close(first(9999), first(200))
    middle = (128 * 181) ** 0.5
    torch.testing.assert_close(first(middle), (first(128) + first(181)) / 2)


REFUSED = [
    ({"network": "squeezenet1_0"}, "for squeezenet1_0, give the picture"),
    ({"style_loss": "sliced"}, "needs the picture itself"),
    ({"init": "style"}, "no picture to start from"),
    ({"pooling": "average"}, "give the picture itself"),
    ({"style_layers": ("relu3_2",)}, "does not hold relu3_2"),
]


@pytest.mark.parametrize(("values", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_what_a_preset_cannot_do_asks_for_the_picture(preset: Preset, values: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        stylize(photo(), preset, StylizeSettings(**values))


def test_a_preset_for_other_weights_is_refused(preset: Preset) -> None:
    other = Preset("old", "Old", "", None, "0" * 64, preset.statistics)
    with pytest.raises(ValueError, match=r"The preset old was made for other weights .*creative preset PICTURE"):
        stylize(photo(), other)


def test_a_picture_too_small_is_refused() -> None:
    with pytest.raises(ValueError, match="2 × 300 pixels"):
        make_preset(Image.new("RGB", (2, 300)), PresetSettings(name="thin"))


def test_unknown_presets_and_other_files_are_told(tmp_path: Path, saved: Path) -> None:
    with pytest.raises(WeightsError, match="no preset called 'stary-nigth'"):
        load_preset("stary-nigth")
    with pytest.raises(WeightsError, match="no preset file"):
        load_preset(tmp_path / "none.safetensors")
    (tmp_path / "cut.safetensors").write_bytes(saved.read_bytes()[:500])
    (tmp_path / "text.safetensors").write_text("hello")
    for name in ("cut", "text"):
        with pytest.raises(PresetError):
            load_preset(tmp_path / f"{name}.safetensors")
    with pytest.raises(PresetError, match="is not a style preset"):
        load_preset(bundled_folder() / "features.safetensors")


@pytest.mark.parametrize("path", BUNDLED, ids=lambda path: path.stem)
def test_bundled_presets_are_small_complete_and_for_the_bundled_network(path: Path) -> None:
    preset = load_preset(path.stem)
    assert path.stem in list_presets()
    assert path.stat().st_size <= 210_000
    assert preset.title
    assert preset.painter
    assert preset.year
    assert preset.swatch is not None
    assert preset.network == load_features("bundled", layers=("relu1_1",)).sha256
    assert read_preset_card(path.stem)["title"] == preset.title


def test_moments_of_a_mixture_stay_positive(preset: Preset) -> None:
    mixed: Moments = preset.moments(150)["relu2_1"]
    assert torch.linalg.eigvalsh(mixed.gram.double()).min() > -1e-3
