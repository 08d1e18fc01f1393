"""Loading a pipeline and what is added to it: a ControlNet for structure, an IP-Adapter for style, LoRA files.

ControlNet: Zhang, Rao, Agrawala, Adding Conditional Control to Text-to-Image Diffusion Models (2023), arXiv:2302.05543.
IP-Adapter: Ye et al., IP-Adapter: Text Compatible Image Prompt Adapter (2023), arXiv:2308.06721. LoRA: Hu et al.,
LoRA: Low-Rank Adaptation of Large Language Models (2021), arXiv:2106.09685.
"""

from __future__ import annotations

import contextlib
import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from creative.engines.diffusion.pipelines.place import (
    PipelineError,
    Task,
    check_packages,
    read_index,
    variant_of,
    weight_files,
)
from creative.files import file_sha256, shown

_SAFE = ".safetensors"
_TASKS = {
    "text": "AutoPipelineForText2Image",
    "image": "AutoPipelineForImage2Image",
    "inpaint": "AutoPipelineForInpainting",
}


@dataclass(frozen=True, slots=True)
class Adapter:
    """An IP-Adapter's files.

    Attributes:
        weights: the adapter's.
        encoder: folder of the network that looks at the picture; None where the pipeline has one.
    """

    weights: Path
    encoder: Path | None


def find_adapter(given: str) -> Adapter:
    """An IP-Adapter in a folder, or by its file; its picture encoder is in ``image_encoder`` beside it.

    Raises:
        PipelineError: there is none, several, or a pickle.
    """
    path = Path(given).expanduser()
    if not path.exists():
        raise PipelineError(f"There is no IP-Adapter {shown(path)}: give a folder with its {_SAFE}.")
    if path.is_file() and path.suffix != _SAFE:
        raise PipelineError(f"{shown(path)} is no {_SAFE} file, and others may run code, so they are not read.")
    files = [path] if path.is_file() else sorted(path.glob(f"*{_SAFE}"))
    if not files:
        raise PipelineError(f"{shown(path)} holds no IP-Adapter: there is no {_SAFE} file in it.")
    if len(files) > 1:
        raise PipelineError(f"There are {len(files)} IP-Adapters in {shown(path)}; give the file of one, {files[0]}.")
    if not any(name.startswith("image_proj.") for name in _names(files[0])):
        raise PipelineError(f"{shown(files[0])} is no IP-Adapter.")
    encoder = files[0].parent / "image_encoder"
    if not encoder.is_dir():
        return Adapter(files[0], None)
    if not list(encoder.glob(f"*{_SAFE}")):
        raise PipelineError(f"{shown(encoder)} has no {_SAFE} file, and pickles may run code, so they are not read.")
    return Adapter(files[0], encoder)


def check_controlnet(given: str) -> Path:
    """The folder of a ControlNet.

    Raises:
        PipelineError: it is none, or a pickle.
    """
    folder = Path(given).expanduser()
    if not folder.is_dir():
        raise PipelineError(f"There is no folder {shown(folder)}, where a ControlNet is expected.")
    try:
        kind = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("_class_name")
    except (OSError, ValueError, AttributeError):
        kind = None
    if kind != "ControlNetModel":
        raise PipelineError(f"{shown(folder)} is no ControlNet, but {kind or 'something else'}.")
    if not list(folder.glob(f"*{_SAFE}")):
        raise PipelineError(f"{shown(folder)} has no {_SAFE} file, and pickles may run code, so they are not read.")
    return folder


def check_lora(files: Sequence[Path]) -> None:
    """Whether LoRA files are some.

    Raises:
        PipelineError: peft is missing; a file is none, or a pickle.
    """
    if files:
        check_packages("peft")
    for file in files:
        if file.suffix != _SAFE:
            raise PipelineError(f"{shown(file)} is no {_SAFE} file, and others may run code, so they are not read.")
        if not any("lora" in name.lower() for name in _names(file)):
            raise PipelineError(f"{shown(file)} is no LoRA file.")


def _names(file: Path) -> list[str]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="pt") as opened:
            return list(opened.keys())
    except (OSError, SafetensorError) as error:
        raise PipelineError(f"{shown(file)} cannot be read: {_first_line(error)}.") from None


def load_pipeline(folder: Path, task: Task, dtype: torch.dtype, controlnet: Path | None = None) -> Any:
    """The pipeline in a folder for a task, on the CPU; nothing is asked of the network and no code of its own is run.

    Raises:
        PipelineError: it cannot be read, or tensors are missing.
    """
    index = read_index(folder)
    offline: dict[str, Any] = {"local_files_only": True, "use_safetensors": True, "torch_dtype": dtype}
    with quiet(), _explained(folder), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # names of arguments change from one version of diffusers to the next
        import diffusers

        if controlnet is not None:
            offline["controlnet"] = diffusers.ControlNetModel.from_pretrained(controlnet, **offline)
        pipeline = getattr(diffusers, _TASKS[task]).from_pretrained(
            folder, variant=variant_of(folder, index.parts), trust_remote_code=False, **offline
        )
    for part, files in weight_files(folder, index.parts).items():
        _check_complete(getattr(pipeline, part, None), files, f"{part} of {shown(folder)}")
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _check_complete(network: Any, files: Sequence[Path], told: str) -> None:
    """diffusers goes on with random weights where some are missing."""
    if not isinstance(network, torch.nn.Module):
        return
    if any(parameter.is_meta for parameter in network.parameters()):
        raise PipelineError(f"The weights of the {told} are not complete.")
    there = sum(len(_names(file)) for file in files)
    needed = {id(parameter) for parameter in network.parameters()}
    if there < len(needed):
        raise PipelineError(f"The weights of the {told} lack {len(needed) - there} tensors of {len(needed)}.")


def add_lora(pipeline: Any, files: Sequence[Path]) -> dict[str, str]:
    """Add LoRA files; SHA-256 by name.

    Raises:
        PipelineError: one does not fit.
    """
    for name, file in zip(_lora_names(len(files)), files, strict=True):
        with quiet(), _explained(file, "does not fit the pipeline"):
            pipeline.load_lora_weights(file.parent, weight_name=file.name, adapter_name=name, local_files_only=True)
        if not any(name in found for found in pipeline.get_list_adapters().values()):
            raise PipelineError(f"{shown(file)} does not fit the pipeline: none of its tensors has a place there.")
    return {file.stem: file_sha256(file) for file in files}


def _lora_names(num: int) -> list[str]:
    return [f"lora{number}" for number in range(num)]


def add_adapter(pipeline: Any, adapter: Adapter) -> dict[str, str]:
    """Add an IP-Adapter; SHA-256 by name.

    Raises:
        PipelineError: it does not fit.
    """
    if not hasattr(pipeline, "load_ip_adapter"):
        raise PipelineError(f"A {type(pipeline).__name__} takes no IP-Adapter.")
    if adapter.encoder is None and pipeline.image_encoder is None:
        raise PipelineError(f"Beside {shown(adapter.weights)} there is no folder image_encoder, which it needs.")
    with quiet(), _explained(adapter.weights, "does not fit the pipeline"):
        if adapter.encoder is not None:
            from transformers import CLIPImageProcessor, CLIPVisionModelWithProjection

            encoder = CLIPVisionModelWithProjection.from_pretrained(
                adapter.encoder, local_files_only=True, use_safetensors=True, dtype=pipeline.dtype
            )
            side = encoder.config.image_size
            pipeline.register_modules(
                image_encoder=encoder, feature_extractor=CLIPImageProcessor(size=side, crop_size=side)
            )
        folder, name = adapter.weights.parent, adapter.weights.name
        pipeline.load_ip_adapter(
            str(folder), subfolder="", weight_name=name, image_encoder_folder=None, local_files_only=True
        )
    return {adapter.weights.stem: file_sha256(adapter.weights)}


def set_weights(pipeline: Any, *, num_lora: int, lora: float, style: float | None) -> None:
    """How much what was added counts.

    Args:
        pipeline: with so many LoRA files, and an IP-Adapter where there is a weight for it.
        num_lora: how many files.
        lora: the weight of each.
        style: that of the IP-Adapter; None where there is none.
    """
    if num_lora:
        pipeline.set_adapters(_lora_names(num_lora), [lora] * num_lora)
    if style is not None:
        pipeline.set_ip_adapter_scale(style)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """What the packages would print is not printed: errors are raised, and what matters is told."""
    from diffusers.utils import logging as of_diffusers
    from transformers.utils import logging as of_transformers

    both = (of_diffusers, of_transformers)
    before = [one.get_verbosity() for one in both]
    for one in both:
        one.set_verbosity(logging.CRITICAL)
        one.disable_progress_bar()
    try:
        yield
    finally:
        for one, level in zip(both, before, strict=True):
            one.set_verbosity(level)
            one.enable_progress_bar()


@contextlib.contextmanager
def _explained(path: Path, what: str = "cannot be read") -> Iterator[None]:
    """What the packages raise, in one sentence."""
    try:
        yield
    except PipelineError:
        raise
    except Exception as error:  # each package has errors of its own
        from creative.engines.diffusion.pipelines.memory import is_out_of_memory

        if is_out_of_memory(error):
            raise
        raise PipelineError(f"{shown(path)} {what}: {_first_line(error)}.") from None


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".:")[:200] if lines else type(error).__name__
