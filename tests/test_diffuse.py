"""Diffusion with a pipeline of somebody's own: a tiny Stable Diffusion with random weights, in a folder; real code."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from test_cli import Creative, creative  # noqa: F401

from creative.images import fit, resize
from creative.options.diffusion import DiffuseInputs, DiffuseSettings
from creative.pretrained import PretrainedError
from creative.progress import run
from creative.settings import SettingsError

pytest.importorskip("transformers", reason="transformers is not installed: pip install '.[diffusion]'")
pytest.importorskip("peft", reason="peft is not installed: pip install '.[diffusion]'")
pytest.importorskip("cv2", reason="opencv is not installed: pip install '.[diffusion]'")

from creative.engines.diffusion.pipelines import PipelineError, draw_with_pipeline, keeping, memory, place
from creative.engines.diffusion.pipelines.pictures import edges
from creative.engines.diffusion.pipelines.place import fetch_pipeline, find_pipeline

FEW = DiffuseSettings(steps=2)


@pytest.fixture(scope="session")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a pipeline, one like SD-Turbo, a ControlNet, an IP-Adapter and a LoRA file."""
    from toy_pipeline import save_adapter, save_controlnet, save_lora, save_pipeline

    folder = tmp_path_factory.mktemp("pipelines")
    save_pipeline(folder / "toy")
    save_pipeline(folder / "turbo", turbo=True, checker=True)
    save_controlnet(folder / "edges")
    save_adapter(folder / "adapter")
    save_lora(folder / "lora.safetensors")
    return folder


@pytest.fixture
def toy(toys: Path) -> Path:
    return toys / "toy"


@pytest.fixture
def copied(toy: Path, tmp_path: Path) -> Path:
    """A pipeline that a test may spoil."""
    return Path(shutil.copytree(toy, tmp_path / "copied"))


@pytest.fixture
def mask() -> Image.Image:
    found = Image.new("L", (96, 64))
    found.paste(255, (20, 10, 60, 40))
    return found


def drawn(pipeline: Path, prompt: str = "a boat", settings: DiffuseSettings = FEW, **given: Any) -> Image.Image:
    return run(draw_with_pipeline(pipeline, prompt, settings, device="cpu", **given))


def told(pipeline: Path, prompt: str = "a boat", settings: DiffuseSettings = FEW, **given: Any) -> str:
    """What is said on the way."""
    said: list[str] = []
    run(draw_with_pipeline(pipeline, prompt, settings, device="cpu", **given), lambda s: said.append(s.message or ""))
    return " ".join(filter(None, said))


def pixels(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture.convert("RGB"), dtype=np.int16)


def apart(one: Image.Image, other: Image.Image) -> float:
    """Mean difference, in levels of 255."""
    return float(np.abs(pixels(one) - pixels(other)).mean())


def plain(folder: Path, kind: str, **values: Any) -> Image.Image:
    """What diffusers draws by itself."""
    import diffusers

    pipeline = getattr(diffusers, kind).from_pretrained(folder, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline("a boat", generator=torch.Generator().manual_seed(0), **values).images[0]


# Drawing --------------------------------------------------------------------------------------------------------------


def test_what_is_drawn_from_words_is_what_diffusers_draws(toy: Path) -> None:
    ours = drawn(toy, settings=DiffuseSettings(steps=3, guidance=5, size=64))
    assert apart(ours, plain(toy, "StableDiffusionPipeline", num_inference_steps=3, guidance_scale=5)) == 0


def test_a_restyled_photo_is_what_diffusers_draws(toy: Path, photo: Image.Image) -> None:
    ours = drawn(toy, settings=DiffuseSettings(steps=4, strength=0.5, size=96, guidance=7.5), photo=photo)
    same = plain(
        toy, "StableDiffusionImg2ImgPipeline", image=resize(photo, (96, 64)), num_inference_steps=4, strength=0.5,
        guidance_scale=7.5,
    )  # fmt: skip
    assert apart(ours, same) == 0


def test_the_same_seed_draws_the_same_and_the_next_seed_the_next_picture(toy: Path) -> None:
    sheet = drawn(toy, settings=DiffuseSettings(steps=2, seed=4, num=2))
    again = drawn(toy, settings=DiffuseSettings(steps=2, seed=4, num=2))
    second = drawn(toy, settings=DiffuseSettings(steps=2, seed=5))
    assert apart(sheet, again) == 0
    assert sheet.size == (2 * 64 + 4, 64)
    assert apart(sheet.crop((68, 0, 132, 64)), second) == 0
    assert apart(sheet.crop((0, 0, 64, 64)), second) > 1


@pytest.mark.parametrize(("size", "aspect"), [(61, "1:1"), (100, "4:3"), (90, "9:16"), (16, "1:1")])
def test_any_size_comes_out_as_asked(toy: Path, size: int, aspect: str) -> None:
    wide, high = (int(side) for side in aspect.split(":"))
    settings = FEW.changed(size=size, aspect=aspect)
    assert drawn(toy, settings=settings).size == fit((wide, high), size)
    assert ("and cut to size" in told(toy, settings=settings)) == (size != 16)


def test_a_photo_keeps_its_shape_and_its_place(toy: Path, photo: Image.Image) -> None:
    odd = photo.resize((101, 67))
    picture = drawn(toy, settings=DiffuseSettings(steps=20, strength=0.05, size=101), photo=odd)
    assert picture.size == (101, 67)


def test_between_two_seeds_the_ends_are_the_seeds_own(toy: Path) -> None:
    way = drawn(toy, settings=FEW.changed(seed=1, between=2, num=3))
    ends = [drawn(toy, settings=FEW.changed(seed=seed)) for seed in (1, 2)]
    assert apart(way.crop((0, 0, 64, 64)), ends[0]) < 0.5
    assert apart(way.crop((0, 68, 64, 132)), ends[1]) < 0.5
    middle = way.crop((68, 0, 132, 64))
    assert min(apart(middle, end) for end in ends) > 1
    with pytest.raises(PipelineError, match="leave out the photo"):
        drawn(toy, settings=FEW.changed(between=2), photo=ends[0])


def test_a_scheduler_is_chosen_where_it_fits(toys: Path) -> None:
    few = DiffuseSettings(steps=3)
    assert apart(drawn(toys / "toy", settings=few), drawn(toys / "toy", settings=few.changed(sampler="dpm"))) > 0.5
    assert "keeps it" in told(toys / "turbo", settings=few.changed(sampler="dpm"))


# Strength and steps ---------------------------------------------------------------------------------------------------


def test_no_strength_gives_the_photo_back_and_loads_nothing(
    toy: Path, photo: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "load_pipeline", None)
    picture = drawn(toy, settings=DiffuseSettings(strength=0), photo=photo)
    assert apart(picture, photo) == 0
    assert picture.info["provenance"].settings["strength"] == 0


def test_full_strength_keeps_nothing_of_the_photo(toy: Path, photo: Image.Image, painting: Image.Image) -> None:
    shape = (64, 64)
    full = DiffuseSettings(steps=8, strength=1, size=64)
    one, other = (drawn(toy, settings=full, photo=picture.resize(shape)) for picture in (photo, painting))
    half = full.changed(strength=0.3)
    kept, also = (drawn(toy, settings=half, photo=picture.resize(shape)) for picture in (photo, painting))
    assert apart(one, other) < apart(kept, also)


def test_steps_that_come_to_none_are_raised_and_told(toy: Path, photo: Image.Image) -> None:
    weak = DiffuseSettings(steps=1, strength=0.1)
    assert "1 steps at a strength of 0.1 come to none: 10 steps" in told(toy, settings=weak, photo=photo)
    made = drawn(toy, settings=weak, photo=photo).info["provenance"]
    assert made.settings["steps"] == 10
    assert "come to none" not in told(toy, settings=weak.changed(steps=10), photo=photo)


def test_one_step_is_enough(toy: Path) -> None:
    steps = [step.done for step in draw_with_pipeline(toy, "a boat", DiffuseSettings(steps=1), device="cpu")]
    assert steps[0] == 0
    assert max(steps) == 1


def test_turbo_is_known_by_its_scheduler(toys: Path) -> None:
    made = drawn(toys / "turbo", settings=DiffuseSettings()).info["provenance"].settings
    assert (made["steps"], made["guidance"]) == (2, 0)
    assert "without guidance" in told(toys / "turbo", settings=DiffuseSettings(guidance=7))
    usual = drawn(toys / "toy", settings=DiffuseSettings(steps=1)).info["provenance"].settings
    assert usual["guidance"] == 7.5


def test_a_picture_blackened_by_the_safety_checker_is_told(toys: Path) -> None:
    assert "safety checker" in told(toys / "turbo")
    assert not pixels(drawn(toys / "turbo")).any()
    assert "safety checker" not in told(toys / "toy")


# Filling in -----------------------------------------------------------------------------------------------------------


def test_only_what_the_mask_says_is_drawn_anew(toy: Path, photo: Image.Image, mask: Image.Image) -> None:
    picture = drawn(toy, settings=FEW.changed(size=96), photo=photo, mask=mask)
    before, white = pixels(resize(photo, (96, 64))), np.asarray(mask) > 0
    assert (pixels(picture)[~white] == before[~white]).all()
    assert np.abs(pixels(picture) - before)[white].mean() > 5


def test_a_mask_of_another_size_is_stretched_and_told(toy: Path, photo: Image.Image, mask: Image.Image) -> None:
    settings = FEW.changed(size=96)
    said = told(toy, settings=settings, photo=photo, mask=mask)
    assert "The mask of 96 × 64 pixels is stretched to the photo's 192 × 128." in said
    wide = mask.resize((192, 128), Image.Resampling.NEAREST)
    assert "stretched" not in told(toy, settings=settings, photo=photo, mask=wide)
    small = mask.resize((48, 32), Image.Resampling.NEAREST)
    one, other = (drawn(toy, settings=settings, photo=photo, mask=which) for which in (wide, small))
    assert apart(one, other) < 5


def test_a_black_mask_and_a_mask_without_a_photo_are_told(toy: Path, photo: Image.Image, mask: Image.Image) -> None:
    with pytest.raises(PipelineError, match="black everywhere"):
        drawn(toy, photo=photo, mask=Image.new("L", (8, 8), 30))
    with pytest.raises(PipelineError, match="needs a photo"):
        drawn(toy, mask=mask)


# What can be added ----------------------------------------------------------------------------------------------------


def test_a_controlnet_leads_by_the_photos_edges(toys: Path, toy: Path, photo: Image.Image) -> None:
    free = DiffuseSettings(steps=2, strength=1, control_weight=0, size=96)
    led = free.changed(control_weight=1)
    given = {"photo": photo, "controlnet": str(toys / "edges")}
    assert apart(drawn(toy, settings=led, **given), drawn(toy, settings=free, **given)) > 1
    words = drawn(toy, settings=FEW.changed(size=96, aspect="3:2"))
    assert apart(drawn(toy, settings=free, **given), words) == 0, "with no weight only the words count"
    restyled = free.changed(strength=0.5)
    assert drawn(toy, settings=restyled, **given).size == (96, 64)


def test_edges_are_where_light_turns_to_dark() -> None:
    step = Image.new("RGB", (32, 16), "black")
    step.paste("white", (16, 0, 32, 16))
    columns = pixels(edges(step))[:, :, 0].any(0)
    assert columns[14:18].any()
    assert not columns[:13].any()
    assert not columns[19:].any()


def test_an_ip_adapter_takes_the_style_from_a_picture(
    toys: Path, toy: Path, photo: Image.Image, painting: Image.Image
) -> None:
    adapter = str(toys / "adapter")
    some = FEW.changed(style_weight=1)
    one, other = (drawn(toy, settings=some, style=style, ip_adapter=adapter) for style in (photo, painting))
    none = drawn(toy, settings=FEW.changed(style_weight=0), style=photo, ip_adapter=adapter)
    assert apart(one, other) > 0.3
    assert apart(none, drawn(toy)) < 0.1
    assert "ip-adapter_toy" in one.info["provenance"].weights


def test_a_lora_file_counts_by_its_weight(toys: Path, toy: Path) -> None:
    lora = [toys / "lora.safetensors"]
    none, some = (drawn(toy, settings=FEW.changed(lora_weight=weight), lora=lora) for weight in (0, 1))
    assert apart(none, drawn(toy)) < 0.1
    assert apart(some, none) > 0.1
    assert set(some.info["provenance"].weights) == {"toy", "lora"}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"lora": ["adapter/ip-adapter_toy.safetensors"]}, "is no LoRA file"),
        ({"lora": ["nothing.pt"]}, "is no .safetensors file"),
        ({"lora": ["nothing.safetensors"]}, "cannot be read"),
        ({"ip_adapter": "lora.safetensors"}, "is no IP-Adapter"),
        ({"ip_adapter": "toy"}, "holds no IP-Adapter"),
        ({"ip_adapter": "nowhere"}, "There is no IP-Adapter"),
        ({"controlnet": "toy"}, "is no ControlNet"),
        ({"controlnet": "toy/unet"}, "is no ControlNet, but UNet2DConditionModel"),
        ({"controlnet": "nowhere"}, "There is no folder"),
    ],
)
def test_what_is_no_addition_is_told_at_once(
    given: dict[str, Any], sentence: str, toys: Path, photo: Image.Image
) -> None:
    there = {
        name: [toys / one for one in value] if name == "lora" else str(toys / value) for name, value in given.items()
    }
    if "ip_adapter" in given:
        there["style"] = photo
    with pytest.raises(PipelineError, match=sentence):
        draw_with_pipeline(toys / "toy", "a boat", FEW, photo=photo, **there)


# Words ----------------------------------------------------------------------------------------------------------------


def test_a_long_prompt_is_cut_and_told(toy: Path) -> None:
    said = told(toy, "boat " * 50)
    assert "Of the prompt's 202 pieces of words the pipeline reads 77" in said
    assert apart(drawn(toy, "boat " * 50), drawn(toy, "boat " * 49)) == 0
    assert "pieces" not in told(toy, "boat")


def test_a_prompt_of_ten_thousand_characters_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"at most 5,000 characters, but this one has 10,000\.$"):
        DiffuseInputs(pipeline="x/y", prompt="boat " * 2000)


def test_no_prompt_is_told(toy: Path, photo: Image.Image) -> None:
    with pytest.raises(PipelineError, match="say what to draw"):
        draw_with_pipeline(toy, "  ", FEW)
    assert drawn(toy, "", photo=photo).size == fit(photo.size, 64)


def test_a_negative_prompt_counts_with_guidance_only(toy: Path) -> None:
    with_it = drawn(toy, negative_prompt="grey")
    assert apart(with_it, drawn(toy)) > 0
    assert "does nothing here" in told(toy, settings=FEW.changed(guidance=1), negative_prompt="grey")


# Memory ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Makes the decoder run out of memory so many times."""
    from diffusers import AutoencoderKL

    decode = AutoencoderKL.decode

    def fail(times: int) -> None:
        left = [times]

        def failing(self: Any, *values: Any, **more: Any) -> Any:
            if left[0]:
                left[0] -= 1
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB.\nlong story")
            return decode(self, *values, **more)

        monkeypatch.setattr(AutoencoderKL, "decode", failing)

    return fail


def test_out_of_memory_falls_back_a_level_and_says_so(toy: Path, failing: Callable[[int], None]) -> None:
    whole = drawn(toy)
    failing(1)
    assert "The memory did not suffice; going on with the pipeline whole, its pictures decoded in tiles." in told(toy)
    failing(1)
    assert apart(drawn(toy), whole) < 1, "the same picture"


def test_out_of_memory_at_the_last_level_is_one_sentence(toy: Path, failing: Callable[[int], None]) -> None:
    failing(9)
    with pytest.raises(PipelineError, match=r"not enough memory for toy at 64 × 64 pixels: choose a smaller size\.$"):
        drawn(toy)


def test_the_level_is_chosen_by_the_memory_there_is(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gpu, half, size = torch.device("cuda"), torch.float16, (512, 512)
    files = {"unet": [toy / "unet" / "diffusion_pytorch_model.safetensors"]}
    monkeypatch.setattr(memory, "_mb", lambda file, dtype: 4000.0)
    found = []
    for free in (24_000, 6000, 5000, 900):
        monkeypatch.setattr(memory, "free_memory_mb", lambda device, free=free: float(free))
        found.append(memory.choose_level({**files, "text": []}, gpu, half, size))
    assert found == ["whole", "sliced", "sequential", "sequential"]
    two = {"unet": files["unet"], "text_encoder": files["unet"]}
    monkeypatch.setattr(memory, "free_memory_mb", lambda device: 6000.0)
    assert memory.choose_level(two, gpu, half, size) == "offload"
    assert memory.choose_level(two, torch.device("cpu"), half, size) == "sliced"


def test_each_level_puts_the_pipeline_where_it_says() -> None:
    done: list[str] = []
    note = lambda name: lambda *where, **more: done.append(name)  # noqa: E731
    names = ("remove_all_hooks", "enable_model_cpu_offload", "enable_sequential_cpu_offload", "to")
    decoder = SimpleNamespace(enable_slicing=note("slicing"), enable_tiling=note("tiling"))
    pipeline = SimpleNamespace(vae=decoder, **{name: note(name) for name in names})
    tiled = ["remove_all_hooks", "slicing", "tiling"]
    for level, expected in {
        "whole": ["remove_all_hooks", "to"],
        "sliced": [*tiled, "to"],
        "offload": [*tiled, "enable_model_cpu_offload"],
        "sequential": [*tiled, "enable_sequential_cpu_offload"],
    }.items():
        done.clear()
        memory.arrange(pipeline, level, torch.device("cuda"))  # type: ignore[arg-type]
        assert done == expected
    gpu = [memory.next_level(level, torch.device("cuda")) for level in memory.levels(torch.device("cuda"))]
    assert gpu == ["sliced", "offload", "sequential", None]


def test_a_level_for_gpus_is_told_on_a_processor(toy: Path) -> None:
    assert "Offload is for GPUs" in told(toy, settings=FEW.changed(memory="offload"))
    assert "decoded in tiles" in told(toy, settings=FEW.changed(memory="sliced"))


# Steps and stopping ---------------------------------------------------------------------------------------------------


def test_each_step_can_be_seen_and_no_mode_leaks(toy: Path) -> None:
    sizes = []
    for step in draw_with_pipeline(toy, "a boat", DiffuseSettings(steps=3, num=2, size=60), device="cpu"):
        assert torch.is_grad_enabled()
        assert not torch.is_inference_mode_enabled()
        if step.preview is not None:
            assert step.total == 6
            sizes.append(step.preview().size)
    assert sizes == [(60, 60)] * 4 + [(124, 60)] * 4


def test_stopping_ends_the_pipeline_within_a_step(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from diffusers import UNet2DConditionModel

    calls, forward = [0], UNet2DConditionModel.forward

    def counted(self: Any, *values: Any, **more: Any) -> Any:
        calls[0] += 1
        return forward(self, *values, **more)

    monkeypatch.setattr(UNet2DConditionModel, "forward", counted)
    engine = draw_with_pipeline(toy, "a boat", DiffuseSettings(steps=50), device="cpu")
    while next(engine).done < 2:
        pass
    engine.close()
    assert calls[0] == 2
    assert not [thread for thread in threading.enumerate() if thread.name == "pipeline"]
    before = threading.active_count()
    fresh = draw_with_pipeline(toy, "a boat", DiffuseSettings(steps=50), device="cpu")
    assert next(fresh).done == 0
    fresh.close()
    assert threading.active_count() == before


def test_what_a_pipeline_raises_is_one_sentence(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from diffusers import UNet2DConditionModel

    def broken(self: Any, *values: Any, **more: Any) -> Any:
        raise RuntimeError("sizes of tensors must match\nlong story")

    monkeypatch.setattr(UNet2DConditionModel, "forward", broken)
    with pytest.raises(PipelineError, match=r"^toy cannot do this: sizes of tensors must match\.$"):
        drawn(toy)


# What is no pipeline --------------------------------------------------------------------------------------------------


def rewritten(folder: Path, **changes: Any) -> Path:
    """A folder whose index says something else."""
    file = folder / "model_index.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))
    return folder


def _pickled(folder: Path) -> Path:
    file = folder / "unet" / "diffusion_pytorch_model.safetensors"
    file.rename(file.with_suffix(".bin"))
    return folder


def _without_weights(folder: Path) -> Path:
    (folder / "vae" / "diffusion_pytorch_model.safetensors").unlink()
    return folder


def _with_code(folder: Path) -> Path:
    config = folder / "text_encoder" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "auto_map": {"AutoModel": "evil.Evil"}}))
    return folder


def _of_our_own(folder: Path) -> Path:
    (folder / "model_index.json").rename(folder / "best.safetensors")
    return folder


def _bare(folder: Path) -> Path:
    (folder / "model_index.json").unlink()
    return folder


def _one_pickle(folder: Path) -> Path:
    (_bare(folder) / "sd-v1-4.ckpt").write_bytes(b"pickle")
    return folder


def _no_json(folder: Path) -> Path:
    (folder / "model_index.json").write_text("[1, 2")
    return folder


WRONG: dict[str, tuple[Callable[[Path], Path], str]] = {
    "nowhere": (lambda folder: folder / "nowhere", "There is no folder"),
    "one part": (lambda folder: folder / "unet", r"a single network \(UNet2DConditionModel\)"),
    "no index": (_bare, "holds no pipeline: there is no model_index.json"),
    "damaged index": (_no_json, "is not that of a pipeline"),
    "ours": (_of_our_own, "a network of the suite's own kind; give it as the model"),
    "pickle only": (_pickled, r"are pickles \(unet/diffusion_pytorch_model.bin\)"),
    "one pickle": (_one_pickle, "sd-v1-4.ckpt is a pickle"),
    "a pickle": (lambda folder: _one_pickle(folder) / "sd-v1-4.ckpt", "is a pickle, which may run code"),
    "a file": (lambda folder: folder / "vae" / "diffusion_pytorch_model.safetensors", "is a single file"),
    "incomplete": (_without_weights, "the weights of its vae are missing"),
    "own class": (lambda folder: rewritten(folder, _class_name=["pipeline", "Mine"]), "comes with code of its own"),
    "own part": (lambda folder: rewritten(folder, unet=["my_unet", "Mine"]), "comes with code of its own"),
    "code in a part": (_with_code, "comes with code of its own"),
    "sounds": (lambda folder: rewritten(folder, _class_name="StableAudioPipeline"), "which makes sounds"),
    "videos": (lambda folder: rewritten(folder, _class_name="TextToVideoSDPipeline"), "which makes videos"),
    "no words": (lambda folder: rewritten(folder, _class_name="DDPMPipeline"), "which draws no pictures from words"),
    "unknown": (lambda folder: rewritten(folder, _class_name="Whatever"), "is a Whatever, which draws no pictures"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_no_pipeline_is_told_before_anything_is_loaded(
    what: str, copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil, sentence = WRONG[what]
    monkeypatch.setattr(keeping, "load_pipeline", None)
    with pytest.raises(PipelineError, match=sentence) as error:
        draw_with_pipeline(spoil(copied), "a boat", FEW)
    assert len(str(error.value).splitlines()) == 1


def test_a_pipeline_that_cannot_begin_with_a_photo_is_told(copied: Path, photo: Image.Image) -> None:
    rewritten(copied, _class_name="LuminaPipeline")
    with pytest.raises(PipelineError, match="is a LuminaPipeline, which cannot begin with a photo"):
        draw_with_pipeline(copied, "a boat", FEW, photo=photo)


def test_a_pipeline_for_filling_in_is_told(copied: Path, photo: Image.Image, mask: Image.Image) -> None:
    config = copied / "unet" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "in_channels": 9}))
    with pytest.raises(PipelineError, match="made for filling in only: give a photo and a mask"):
        draw_with_pipeline(copied, "a boat", FEW, photo=photo)
    draw_with_pipeline(copied, "a boat", FEW, photo=photo, mask=mask).close()


def test_damaged_and_missing_tensors_are_told(copied: Path) -> None:
    from safetensors.torch import load_file, save_file

    file = copied / "vae" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(file)
    whole = file.read_bytes()
    del tensors["decoder.conv_out.weight"]
    save_file(tensors, file)
    with pytest.raises(PipelineError) as error:
        drawn(copied)
    assert len(str(error.value).splitlines()) == 1
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(PipelineError, match="cannot be read"):
        drawn(copied)


def test_without_the_package_the_command_is_told(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "find_spec", lambda name: None)
    with pytest.raises(PipelineError, match=r"`pip install creative\[diffusion\]`\.$"):
        find_pipeline(toy)


# The hub --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def hub(copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A hub that has one pipeline, and remembers what is fetched."""
    fetched: list[str] = []

    def model_info(repository: str, **more: Any) -> Any:
        files = [path for path in copied.rglob("*") if path.is_file()]
        names = [(path.relative_to(copied).as_posix(), path.stat().st_size) for path in files]
        names.append(("toy.safetensors", 10**9))
        return SimpleNamespace(sha="0" * 40, siblings=[SimpleNamespace(rfilename=n, size=s) for n, s in names])

    def download(repository: str, name: str, **more: Any) -> str:
        fetched.append(name)
        target = tmp_path / "snapshot" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        return str(shutil.copy(copied / name, target))

    monkeypatch.setattr("huggingface_hub.model_info", model_info)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    monkeypatch.setattr(place, "_cached", lambda place: None)
    return iter([fetched])  # type: ignore[return-value]


def test_a_download_is_announced_and_brings_what_is_needed(hub: Iterator[list[str]]) -> None:
    fetched = next(hub)
    said = told("somebody/toy")  # type: ignore[arg-type]
    assert "Downloading somebody/toy from huggingface.co: 0 MB, once." in said
    assert fetched[0] == "model_index.json"
    assert "unet/diffusion_pytorch_model.safetensors" in fetched
    assert "toy.safetensors" not in fetched
    assert not [name for name in fetched if name.startswith("words/")]


def test_pickles_on_the_hub_are_refused_before_they_are_fetched(hub: Iterator[list[str]], copied: Path) -> None:
    fetched = next(hub)
    _pickled(copied)
    with pytest.raises(PretrainedError, match="are pickles"):
        told("somebody/toy")  # type: ignore[arg-type]
    assert fetched == ["model_index.json"]


def test_half_precision_is_preferred() -> None:
    sizes = {"model_index.json": 1, "unet/config.json": 1, "unet/a.safetensors": 8, "unet/a.fp16.safetensors": 4}
    sizes |= {"vae/a.safetensors": 2, "vae/a.bin": 2, "a.safetensors": 99}
    found = place.wanted(sizes, ["unet", "vae"], "toy")
    assert set(found) == {"model_index.json", "unet/config.json", "unet/a.fp16.safetensors", "vae/a.safetensors"}


def test_half_precision_is_read(copied: Path, toy: Path) -> None:
    file = copied / "unet" / "diffusion_pytorch_model.safetensors"
    file.rename(file.with_name("diffusion_pytorch_model.fp16.safetensors"))
    assert apart(drawn(copied), drawn(toy)) == 0


def test_a_name_that_is_not_here_asks_the_network_only_when_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(*words: Any, **more: Any) -> Any:
        raise OSError("no route to host")

    monkeypatch.setattr("huggingface_hub.model_info", nobody)
    engine = draw_with_pipeline("somebody/never-fetched", "a boat", FEW)
    assert next(engine).done == 0
    with pytest.raises(PretrainedError, match=r"could not be fetched from huggingface.co \(no route to host\)"):
        run(engine)
    assert next(fetch_pipeline(find_pipeline("somebody/never-fetched"))).done == 0


# Typed ----------------------------------------------------------------------------------------------------------------


def test_it_is_typed_and_made_again(creative: Creative, toy: Path, photo_file: Path) -> None:  # noqa: F811
    said = creative("diffuse", "photo.jpg", "--pipeline", str(toy), "--prompt", "a boat", "--steps", "2", "-o", "b.png")
    assert said.code == 0, said.err
    again = creative("replay", "b.png")
    assert again.code == 0, again.err
    assert "The same bytes as b.png." in again.err + again.out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--prompt", "a boat"), "Our own network knows no prompt"),
        (("--mask", "photo.jpg"), "A mask needs a photo"),
        (("--pipeline", "nowhere/at/all", "--prompt", "x"), "There is no folder nowhere/at/all"),
        (("--pipeline", "TOY"), "say what to draw"),
        (("--pipeline", "TOY", "--model", "diffusion"), "Give a model or a pipeline, not both"),
        (("--pipeline", "TOY", "--style", "photo.jpg"), "A style picture needs an IP-Adapter"),
        (("--pipeline", "TOY", "--strength", "2"), "--strength must be at most 1"),
    ],
)
def test_what_is_typed_wrong_is_one_sentence(
    words: tuple[str, ...], sentence: str, creative: Creative, toy: Path, photo_file: Path  # noqa: F811
) -> None:  # fmt: skip
    said = creative("diffuse", *(str(toy) if word == "TOY" else word for word in words))
    assert said.code == 2
    assert sentence in said.err
    assert len(said.err.strip().splitlines()) == 1
