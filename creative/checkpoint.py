"""One safetensors file: tensors, and JSON on what they are (configuration, vocabulary, settings, provenance).

    save_checkpoint("model.safetensors", model.state_dict(), {"config": {"channels": 32}})
    checkpoint = load_checkpoint("model.safetensors")
    load_into(model, checkpoint.tensors)

Only tensors and JSON are ever read: no pickle is executed, whatever a file says it is.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from creative.files import explain, file_sha256, replacing

if TYPE_CHECKING:
    import torch
    from torch import nn

MAX_HEADER = 32_000_000
"""Most bytes of a file's header (names, shapes and JSON) that are read."""

_KEY = "creative"  # one key: several would be written in a random order, and the bytes would not repeat

_SCALE = ".scale"  # after the name of a matrix of int8


class CheckpointError(ValueError):
    """A checkpoint cannot be read, written or loaded into a network. The message is one sentence for a person."""


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint's file holds."""

    tensors: dict[str, torch.Tensor]
    metadata: dict[str, Any]
    path: Path = field(default=Path(), compare=False)

    @cached_property
    def sha256(self) -> str:
        """Of the file; worked out when asked for."""
        return file_sha256(self.path)


def save_checkpoint(
    path: str | os.PathLike[str], tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, Any]
) -> Path:
    """Write tensors and JSON as one file; the same content makes the same bytes.

    Tensors may be on any device, not contiguous or views of each other; one that appears under two names is stored once
    and shared again when loaded. The file is written beside and then renamed: when the disk is full, what was there
    before is still there.

    Raises:
        CheckpointError: something is not a tensor or not JSON, or the file cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    path = Path(path)
    stored, same_as = _apart(tensors)
    try:
        text = json.dumps({"metadata": metadata, "same_as": same_as}, sort_keys=True)
    except (TypeError, ValueError, RecursionError) as error:
        raise CheckpointError(f"The metadata of {path.name} is not JSON: {error}.") from None
    if len(text) > MAX_HEADER // 2:
        raise CheckpointError(
            f"The metadata of {path.name} has {len(text) / 1e6:.0f} MB, which is too much for a header."
        )
    try:
        with replacing(path) as beside:
            save_file(stored, beside, metadata={_KEY: text})
    except OSError as error:
        raise CheckpointError(explain(error, path)) from error
    except SafetensorError as error:
        number = re.search(r"os error (\d+)", str(error))  # a full disk, told by Rust
        reason = OSError(int(number[1]), os.strerror(int(number[1]))) if number else OSError(str(error))
        raise CheckpointError(explain(reason, path)) from error
    return path


def _apart(tensors: Mapping[str, torch.Tensor]) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Contiguous tensors that share no memory, and which further names stand for which of them."""
    import torch

    stored: dict[str, torch.Tensor] = {}
    same_as: dict[str, str] = {}
    seen: dict[tuple[Any, ...], str] = {}
    memory: set[int] = set()
    for name, tensor in tensors.items():
        if not isinstance(tensor, torch.Tensor):
            raise CheckpointError(f"{name!r} is to be saved as a tensor, but is of type {type(tensor).__name__}.")
        tensor = tensor.detach()
        place = (tensor.data_ptr(), tensor.device, tensor.dtype, tensor.shape, tensor.stride())
        if place in seen:
            same_as[name] = seen[place]
            continue
        seen[place] = name
        tensor = tensor.cpu().contiguous()
        address = tensor.untyped_storage().data_ptr()
        whole = tensor.untyped_storage().nbytes() == tensor.nbytes
        stored[name] = tensor if whole and address not in memory else tensor.clone()
        memory.add(address)
    return stored, same_as


def load_checkpoint(
    path: str | os.PathLike[str], *, device: str | torch.device = "cpu", prefix: str = ""
) -> Checkpoint:
    """Read a checkpoint's tensors and metadata.

    Args:
        path: the file.
        device: where the tensors are to be.
        prefix: read only the tensors whose names begin so; the names are then what comes after it.

    Raises:
        CheckpointError: there is no such file, or it is damaged, cut short or something else.
    """
    path = Path(path)
    header = _header(path)
    same_as = {name: original for name, original in header["same_as"].items() if name.startswith(prefix)}
    tensors = _tensors(path, str(device), prefix, set(same_as.values()))
    for name, original in same_as.items():
        if original not in tensors:
            raise CheckpointError(f"{path.name} is damaged: {name} stands for {original}, which is not there.")
        tensors[name] = tensors[original]
    asked_for = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    return Checkpoint(asked_for, header["metadata"], path)


def read_metadata(path: str | os.PathLike[str]) -> dict[str, Any]:
    """A checkpoint's JSON alone: reads no tensors and imports no torch. Empty for another program's safetensors.

    Raises:
        CheckpointError: there is no such file, or it is damaged or something else.
    """
    return dict(_header(Path(path))["metadata"])


def tensors_sha256(path: str | os.PathLike[str], prefix: str = "") -> str:
    """SHA-256 of the tensors whose names begin with a prefix, as they are in the file: names, types, shapes, bytes.

    It is the same for files that differ in other tensors and in what they say of themselves. Imports no torch.

    Raises:
        CheckpointError: there is no such file, or it is damaged or something else.
    """
    path = Path(path)
    about = _read_header(path)
    found = hashlib.sha256()
    try:
        with path.open("rb") as file:
            first = 8 + int.from_bytes(file.read(8), "little")
            for name in sorted(name for name in about if name.startswith(prefix) and name != "__metadata__"):
                entry = about[name]
                start, end = entry["data_offsets"]
                found.update(json.dumps([name, entry["dtype"], entry["shape"]]).encode())
                file.seek(first + start)
                found.update(file.read(end - start))
    except OSError as error:
        raise CheckpointError(_unreadable(path, error)) from None
    except (KeyError, TypeError, ValueError):
        raise _damaged(path) from None
    return found.hexdigest()


def _damaged(path: Path) -> CheckpointError:
    return CheckpointError(f"{path.name} is not a safetensors file, or it is damaged.")


def _read_header(path: Path) -> dict[str, Any]:
    """What a file says of its tensors, by name, and under ``__metadata__`` of itself."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > MAX_HEADER:
                raise CheckpointError(f"{path.name} is not a safetensors file, or its header is too large.")
            text = file.read(length)
    except OSError as error:
        raise CheckpointError(_unreadable(path, error)) from None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise _damaged(path) from None
    if not isinstance(found, dict):
        raise _damaged(path)
    return found


def _header(path: Path) -> dict[str, Any]:
    notes = _read_header(path).get("__metadata__", {})
    damaged = _damaged(path)
    try:
        header = json.loads(notes[_KEY]) if _KEY in notes else {}
        metadata, same_as = header.get("metadata", {}), header.get("same_as", {})
    except (ValueError, RecursionError, AttributeError, TypeError):
        raise damaged from None
    if not isinstance(metadata, dict) or not isinstance(same_as, dict):
        raise damaged
    return {"metadata": metadata, "same_as": same_as}


def _tensors(path: Path, device: str, prefix: str, others: Collection[str]) -> dict[str, torch.Tensor]:
    """Those whose names begin with the prefix, and the others."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt", device=device) as file:
            names = [name for name in file.keys() if name.startswith(prefix) or name in others]  # noqa: SIM118
            return {name: file.get_tensor(name) for name in names}
    except SafetensorError as error:
        raise CheckpointError(f"{path.name} is damaged or cut short ({error}).") from None
    except OSError as error:
        raise CheckpointError(_unreadable(path, error)) from None


def _unreadable(path: Path, error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return f"There is no file {path}."
    return f"{path} cannot be read: {error.strerror or error}."


def load_state(path: str | os.PathLike[str]) -> dict[str, torch.Tensor]:
    """The tensors of any weights file by name: safetensors, or PyTorch's .pth and .pt (``weights_only``), by content.

    Raises:
        CheckpointError: there is no such file, it is neither, or it holds more than tensors.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except OSError as error:
        raise CheckpointError(_unreadable(path, error)) from None
    if start[8:] == b"{":
        return load_checkpoint(path).tensors
    if start.startswith((b"PK", b"\x80")):
        return _torch_state(path)
    raise CheckpointError(f"{path.name} is not a weights file: neither safetensors nor PyTorch's .pth.")


def _torch_state(path: Path) -> dict[str, torch.Tensor]:
    import pickle

    import torch

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise CheckpointError(
            f"{path.name} holds more than tensors, and code in a file is not run here; save its state_dict() alone."
        ) from None
    except Exception as error:  # torch tells a damaged file in many ways
        raise CheckpointError(f"{path.name} is damaged or cut short ({str(error).splitlines()[0][:100]}).") from None
    for wrapper in ("state_dict", "model", "params"):
        if isinstance(state, Mapping) and isinstance(state.get(wrapper), Mapping):
            state = state[wrapper]
    if not isinstance(state, Mapping) or not all(isinstance(tensor, torch.Tensor) for tensor in state.values()):
        raise CheckpointError(f"{path.name} does not hold a network's weights: tensors by name.")
    return dict(state)


def load_into(module: nn.Module, tensors: Mapping[str, torch.Tensor]) -> None:
    """Copy tensors into a network, all of them and to the last one; their precision becomes the network's.

    Raises:
        CheckpointError: names that are missing, that the network does not have, or whose shapes differ. The network is
            then unchanged.
    """
    own = module.state_dict()
    findings = []
    if missing := [name for name in own if name not in tensors]:
        findings.append(f"missing are {_listed(missing)}")
    if unexpected := [name for name in tensors if name not in own]:
        findings.append(f"not known are {_listed(unexpected)}")
    wrong = [name for name in own if name in tensors and own[name].shape != tensors[name].shape]
    if wrong:
        shapes = [f"{name} ({_shape(tensors[name])} in place of {_shape(own[name])})" for name in wrong]
        findings.append(f"of another shape are {_listed(shapes)}")
    if findings:
        raise CheckpointError(f"These weights are not those of {type(module).__name__}: {'; '.join(findings)}.")
    module.load_state_dict(tensors)


def halved(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Floating-point tensors as float16, at half the size, others as they are.

    Raises:
        CheckpointError: a value is too large for float16, or not a number.
    """
    import torch

    result = {}
    for name, tensor in tensors.items():
        half = tensor.detach().to(torch.float16) if tensor.is_floating_point() else tensor.detach()
        if half.dtype == torch.float16 and not bool(half.isfinite().all()):
            raise CheckpointError(f"{name} has values that float16 cannot hold.")
        result[name] = half
    return result


Precision = Literal["float32", "float16", "int8"]


def packed_as(precision: Precision, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Weights as a file is to hold them; ``in_float32`` gets them back.

    Raises:
        CheckpointError: a value is too large for float16, or not a number.
    """
    if precision == "float32":
        return dict(tensors)
    return halved(tensors) if precision == "float16" else in_int8(tensors)


def in_int8(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Matrices and kernels as int8, each row with a scale of its own in half precision; all else as ``halved``.

    A row, what one unit gives to an output, is scale · int8; the scale of NAME is stored as NAME.scale.

    Raises:
        CheckpointError: a value is too large for float16, or not a number.
    """
    import torch

    packed: dict[str, torch.Tensor] = {}
    for name, tensor in tensors.items():
        if tensor.dim() < 2 or not tensor.is_floating_point():
            packed[name] = tensor.detach()
            continue
        # Rounded first, so that the rows are rounded to multiples of the scale that is kept.
        largest = tensor.detach().abs().flatten(1).amax(1).view(-1, *[1] * (tensor.dim() - 1))
        scale = (largest / 127).clamp_min(1e-7).half()
        packed[name] = (tensor.detach() / scale.float()).round().clamp(-127, 127).to(torch.int8)
        packed[name + _SCALE] = scale
    return halved(packed)


def in_float32(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """What ``in_int8`` or ``halved`` has packed, in full precision; integers that are no weights as they are.

    Raises:
        CheckpointError: a matrix of int8 has no scale.
    """
    import torch

    found = {}
    for name, tensor in tensors.items():
        if name.endswith(_SCALE):
            continue
        if tensor.dtype == torch.int8:
            if name + _SCALE not in tensors:
                raise CheckpointError(f"The weights are damaged: {name} has no scale.")
            found[name] = tensor.float() * tensors[name + _SCALE].float()
        else:
            found[name] = tensor.float() if tensor.is_floating_point() else tensor
    return found


def _shape(tensor: torch.Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or "a single number"


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
