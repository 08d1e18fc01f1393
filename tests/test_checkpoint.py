"""What goes into a checkpoint comes out, in the same bytes each time, and nothing else is ever taken for one."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from creative.checkpoint import (
    CheckpointError,
    halved,
    load_checkpoint,
    load_into,
    load_state,
    read_metadata,
    save_checkpoint,
    tensors_sha256,
)
from creative.files import file_sha256

METADATA: dict[str, Any] = {"config": {"channels": [1, 2], "name": "größe"}, "loss": 0.1, "vocabulary": ["\n", "海"]}


def refusal(call: Callable[[], Any]) -> str:
    with pytest.raises(CheckpointError) as caught:
        call()
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 400
    return text


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_everything_comes_back(tmp_path: Path) -> None:
    base = torch.arange(24.0).reshape(2, 3, 4)
    tensors = {
        "whole": base,
        "transposed": base.transpose(0, 2),
        "strided": base[:, ::2],
        "slice": base[1:],
        "expanded": torch.tensor([1.0, 2.0]).expand(3, 2),
        "channels_last": torch.rand(2, 3, 4, 5).to(memory_format=torch.channels_last),
        "scalar": torch.tensor(3.5),
        "empty": torch.zeros(0, 3),
        "empty too": torch.zeros(0, 3),
        "half": base.half(),
        "brain": base.bfloat16(),
        "integer": torch.arange(5),
        "boolean": torch.tensor([True, False]),
        "parameter": nn.Parameter(torch.ones(2)),
    }
    path = save_checkpoint(tmp_path / "new" / "model.safetensors", tensors, METADATA)
    checkpoint = load_checkpoint(path)
    assert set(checkpoint.tensors) == set(tensors)
    for name, tensor in tensors.items():
        loaded = checkpoint.tensors[name]
        assert loaded.dtype == tensor.dtype, name
        assert loaded.shape == tensor.shape, name
        assert torch.equal(loaded, tensor), name
    assert checkpoint.metadata == METADATA == read_metadata(path)
    assert checkpoint.sha256 == file_sha256(path)
    assert names(path.parent) == ["model.safetensors"]


def test_the_same_content_makes_the_same_bytes(tmp_path: Path) -> None:
    tensors = {f"layer{n}": torch.full((n + 1,), float(n)) for n in range(9)}
    first = save_checkpoint(tmp_path / "a.safetensors", tensors, {"b": 1, "a": [2]})
    second = save_checkpoint(tmp_path / "b.safetensors", dict(reversed(tensors.items())), {"a": (2,), "b": 1})
    assert first.read_bytes() == second.read_bytes()


def test_shared_tensors_are_stored_once_and_shared_again(tmp_path: Path) -> None:
    embedding, head = nn.Embedding(100, 50), nn.Linear(50, 100, bias=False)
    head.weight = embedding.weight
    model = nn.ModuleDict({"embedding": embedding, "head": head})
    path = save_checkpoint(tmp_path / "tied.safetensors", model.state_dict(), {})
    assert path.stat().st_size < 1.2 * 100 * 50 * 4
    tensors = load_checkpoint(path).tensors
    assert tensors["head.weight"] is tensors["embedding.weight"]
    assert torch.equal(tensors["head.weight"], head.weight)
    load_into(model, tensors)


def test_a_loaded_tensor_is_ones_own(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path / "a.safetensors", {"a": torch.zeros(1000)}, {})
    tensor = load_checkpoint(path).tensors["a"]
    before = path.read_bytes()
    tensor.add_(1)
    assert path.read_bytes() == before
    save_checkpoint(path, {"a": torch.full((1000,), 2.0)}, {})
    assert bool((tensor == 1).all())


def test_other_programs_can_read_the_tensors(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path / "a.safetensors", {"a": torch.ones(3)}, METADATA)
    assert torch.equal(load_file(path)["a"], torch.ones(3))
    save_file({"a": torch.ones(3)}, tmp_path / "theirs.safetensors", metadata={"format": "pt"})
    theirs = load_checkpoint(tmp_path / "theirs.safetensors")
    assert theirs.metadata == {}
    assert torch.equal(theirs.tensors["a"], torch.ones(3))


def test_what_cannot_be_saved_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    assert "'a' is to be saved as a tensor" in refusal(lambda: save_checkpoint(path, {"a": 3}, {}))  # type: ignore[dict-item]
    assert "not JSON" in refusal(lambda: save_checkpoint(path, {}, {"a": object()}))
    loop: dict[str, Any] = {}
    loop["loop"] = loop
    assert "not JSON" in refusal(lambda: save_checkpoint(path, {}, loop))
    assert "too much" in refusal(lambda: save_checkpoint(path, {}, {"a": "x" * 20_000_000}))
    assert "folder" in refusal(lambda: save_checkpoint(tmp_path, {}, {}))
    assert names(tmp_path) == []


@pytest.mark.parametrize("target", ["safetensors.torch.save_file", "os.fsync", "pathlib.Path.replace"])
def test_a_full_disk_leaves_the_old_file(target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save_checkpoint(tmp_path / "a.safetensors", {"a": torch.ones(3)}, {})
    before = path.read_bytes()

    def full(*_: Any, **__: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(target, full)
    assert "the disk is full" in refusal(lambda: save_checkpoint(path, {"a": torch.zeros(3)}, {}))
    assert path.read_bytes() == before
    assert names(tmp_path) == ["a.safetensors"]


def test_a_really_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", tmp_path]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a small disk")
    try:
        path = save_checkpoint(tmp_path / "a.safetensors", {"a": torch.ones(3)}, {})
        before = path.read_bytes()
        assert "the disk is full" in refusal(lambda: save_checkpoint(path, {"a": torch.zeros(10**6)}, {}))
        assert path.read_bytes() == before
        assert names(tmp_path) == ["a.safetensors"]
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    whole = save_checkpoint(tmp_path / "a.safetensors", {"a": torch.rand(100)}, {"config": 1}).read_bytes()
    for name, data in {
        "empty": b"",
        "short": b"\x01",
        "text": b"Dear diary, today I trained a network. It was good.",
        "page": b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
        "zeros": bytes(1000),
        "header only": whole[:40],
        "cut": whole[:-1],
        "huge header": (2**62).to_bytes(8, "little") + b"{}",
        "deep": len(deep := b"[" * 100_000).to_bytes(8, "little") + deep,
        "list": (2).to_bytes(8, "little") + b"[]",
        "odd": len(odd := b'{"__metadata__": 3}').to_bytes(8, "little") + odd,
    }.items():
        path = tmp_path / f"{name}.safetensors"
        path.write_bytes(data)
        assert path.name in refusal(lambda path=path: load_checkpoint(path))  # type: ignore[misc]
        assert path.name in refusal(lambda path=path: load_state(path))  # type: ignore[misc]
        if name != "cut":
            assert path.name in refusal(lambda path=path: read_metadata(path))  # type: ignore[misc]
    assert "no file" in refusal(lambda: load_checkpoint(tmp_path / "none"))
    assert "no file" in refusal(lambda: load_state(tmp_path / "none"))
    for load in (load_checkpoint, load_state, read_metadata):
        assert "directory" in refusal(lambda load=load: load(tmp_path)).lower()  # type: ignore[misc]


@pytest.mark.parametrize(
    "note", [{"metadata": 3}, {"metadata": {}, "same_as": []}, {"same_as": {"b": "none"}}, "3", "[]", "{"]
)
def test_hostile_notes_are_refused(note: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"a": torch.ones(1)}, path, metadata={"creative": note if isinstance(note, str) else json.dumps(note)})
    assert "damaged" in refusal(lambda: load_checkpoint(path))


def test_metadata_is_read_without_the_tensors(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path / "a.safetensors", {"a": torch.rand(1000)}, METADATA)
    path.write_bytes(path.read_bytes()[:-3000])
    assert read_metadata(path) == METADATA
    code = (
        f"import sys; from creative.checkpoint import *; read_metadata({str(path)!r}); sys.exit('torch' in sys.modules)"
    )
    root = Path(__file__).resolve().parent.parent
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def test_weights_of_pytorch_files(tmp_path: Path) -> None:
    state = nn.Linear(3, 2).state_dict()
    for name, content, options in (
        ("plain.pth", state, {}),
        ("old.pt", state, {"_use_new_zipfile_serialization": False}),
        ("wrapped.bin", {"state_dict": state, "epoch": 3}, {}),
    ):
        torch.save(content, tmp_path / name, **options)
        loaded = load_state(tmp_path / name)
        assert all(torch.equal(loaded[key], state[key]) for key in state)
    save_file(state, tmp_path / "a.pth")  # the content counts, not the name
    assert set(load_state(tmp_path / "a.pth")) == set(state)
    torch.save([1, 2], tmp_path / "list.pth")
    assert "does not hold a network's weights" in refusal(lambda: load_state(tmp_path / "list.pth"))
    (tmp_path / "cut.pth").write_bytes((tmp_path / "plain.pth").read_bytes()[:200])
    assert "damaged or cut short" in refusal(lambda: load_state(tmp_path / "cut.pth"))


class Attack:
    """What a hostile pickle looks like: loading it runs a command."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> Any:
        return os.system, (self.command,)


def test_code_in_a_file_is_never_run(tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    attack = Attack(f"touch {proof}")
    (tmp_path / "a.pth").write_bytes(pickle.dumps({"weight": attack}))
    torch.save({"weight": attack}, tmp_path / "b.pth")
    torch.save({"weight": attack}, tmp_path / "c.pt", _use_new_zipfile_serialization=False)
    torch.save(nn.Linear(1, 1), tmp_path / "d.pth")
    for name in ("a.pth", "b.pth", "c.pt", "d.pth"):
        assert name in refusal(lambda name=name: load_state(tmp_path / name))  # type: ignore[misc]
    assert not proof.exists()
    assert "holds more than tensors" in refusal(lambda: load_state(tmp_path / "b.pth"))


def test_loading_into_a_network_is_strict() -> None:
    network = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    good = {name: torch.ones_like(tensor) for name, tensor in before.items()}
    missing = {name: tensor for name, tensor in good.items() if name != "1.bias"}
    text = refusal(lambda: load_into(network, {**missing, "2.weight": torch.ones(1), "0.weight": torch.ones(5, 2)}))
    for words in ("Sequential", "missing are 1.bias", "not known are 2.weight", "0.weight (5×2 in place of 2×3)"):
        assert words in text
    assert "and 1 more" in refusal(lambda: load_into(network, {}))
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    load_into(network, {name: tensor.half() for name, tensor in good.items()})
    assert all(bool((parameter == 1).all()) and parameter.dtype == torch.float32 for parameter in network.parameters())


def test_halving_is_half_the_size_and_refuses_what_does_not_fit(tmp_path: Path) -> None:
    small = halved({"weight": torch.tensor([0.1, -3.0]), "count": torch.tensor(70_000)})
    assert small["weight"].dtype == torch.float16
    assert small["count"].item() == 70_000
    assert torch.allclose(small["weight"].float(), torch.tensor([0.1, -3.0]), atol=1e-3)
    for bad in (1e6, float("nan")):
        assert "weight" in refusal(lambda bad=bad: halved({"weight": torch.tensor([bad])}))  # type: ignore[misc]


def test_the_real_networks_load(shared_data: Path) -> None:
    state = load_state(shared_data / "weights" / "squeezenet1_0_imagenet.safetensors")
    assert sum(tensor.numel() for tensor in state.values()) == 1_248_424


def test_files_may_be_read_by_whom_the_user_lets(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.touch()
    path = save_checkpoint(tmp_path / "model.safetensors", {"weight": torch.zeros(2)}, {})
    assert path.stat().st_mode == plain.stat().st_mode


def test_some_tensors_are_known_by_their_content(tmp_path: Path) -> None:
    tensors = {"a.x": torch.arange(6.0).view(2, 3), "a.y": torch.ones(2).half(), "b": torch.zeros(3)}

    def known(prefix: str, metadata: str = "", **changed: torch.Tensor) -> str:
        renamed = {name.replace("_", "."): tensor for name, tensor in changed.items()}
        path = save_checkpoint(tmp_path / "one.safetensors", {**tensors, **renamed}, {"of": metadata})
        return tensors_sha256(path, prefix)

    whole = known("a.")
    assert known("a.", "more to say", b=torch.ones(3)) == whole
    changes = ({"a_x": torch.zeros(2, 3)}, {"a_x": torch.arange(6.0).view(3, 2)}, {"a_z": torch.ones(1)})
    others = [known("a.", **one) for one in changes] + [known("a.", a_y=torch.ones(2)), known(""), known("b")]
    assert len({whole, *others}) == 7
    by_hand = hashlib.sha256(b'["b", "F32", [3]]' + bytes(12)).hexdigest()
    assert known("b") == by_hand
    for content in (b"", b"\x08" + bytes(7) + b"[1, 2, 3", b"\x0c" + bytes(7) + b'{"a": 12345}'):
        (tmp_path / "bad.safetensors").write_bytes(content)
        assert "damaged" in refusal(lambda: tensors_sha256(tmp_path / "bad.safetensors"))
