"""Pretrained captioners through transformers: tiny ones with random weights, in folders as the hub has them."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image
from toy_pretrained import KINDS, PATCH, SIZE

from creative.options.caption import CaptionSettings
from creative.pretrained import PretrainedError, check_installed, fetch_pretrained, find_pretrained, is_pretrained
from creative.progress import run

transformers = pytest.importorskip("transformers", reason="transformers is not installed: pip install '.[caption]'")
CPU = torch.device("cpu")
SHORT = CaptionSettings(max_words=4)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    from toy_pretrained import save_pretrained

    folder = tmp_path_factory.mktemp("hub")
    return {kind: save_pretrained(folder / kind, kind) for kind in KINDS}


@pytest.fixture(scope="module")
def loaded(folders: dict[str, Path]) -> dict[str, Any]:
    from creative.engines.captioning.pretrained import load_pretrained

    return {kind: load_pretrained(folder, CPU) for kind, folder in folders.items()}


@pytest.fixture(scope="module")
def pictures(photo: Image.Image, painting: Image.Image) -> list[Image.Image]:
    return [photo, painting]


def said(pretrained: Any, pictures: list[Image.Image], settings: CaptionSettings = SHORT, seed: int = 0) -> list[Any]:
    from creative.engines.captioning.pretrained import sentences_of

    return sentences_of(pretrained, pictures, settings, torch.Generator().manual_seed(seed))


@pytest.fixture
def copied(folders: dict[str, Path], tmp_path: Path) -> Path:
    """A captioner that a test may spoil."""
    return Path(shutil.copytree(folders["blip"], tmp_path / "blip"))


# Sentences ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_sentences_have_sure_words_with_their_places(
    kind: str, loaded: dict[str, Any], pictures: list[Image.Image]
) -> None:
    found = said(loaded[kind], pictures)
    assert len(found) == 2
    for own, picture in zip(found, pictures, strict=True):
        assert 1 <= len(own) <= 3
        assert [one.score for one in own] == sorted((one.score for one in own), reverse=True)
        assert len({one.text for one in own}) == len(own)
        for one in own:
            assert len(one.words) == len(one.confidences)
            assert all(0 < confidence <= 1 for confidence in one.confidences)
            if one.words:
                side = SIZE // PATCH
                wide = round(side * picture.width / picture.height) if kind == "git" else side
                assert tuple(one.attention.shape) == (len(one.words), side, wide)
                torch.testing.assert_close(one.attention.sum((1, 2)), torch.ones(len(one.words)))
                assert float(one.attention.min()) >= 0


@pytest.mark.parametrize("kind", KINDS)
def test_confidences_are_those_of_one_word_after_another(
    kind: str, loaded: dict[str, Any], pictures: list[Image.Image]
) -> None:
    """Against the plainest reading: each token's probability after those before it, from a run of its own."""
    pretrained = loaded[kind]
    best = said(pretrained, pictures[:1], SHORT.changed(beam=1))[0][0]
    pixels = pretrained.images(images=pictures[:1], return_tensors="pt")["pixel_values"]
    ids = pretrained.model.generate(pixel_values=pixels, max_new_tokens=8, num_beams=1, do_sample=False)[0].tolist()
    logs = []
    for length in range(1, len(ids)):
        before = torch.tensor([ids[:length]])
        with torch.no_grad():
            if kind == "vision-encoder-decoder":
                logits = pretrained.model(pixel_values=pixels, decoder_input_ids=before).logits
            else:
                logits = pretrained.model(pixel_values=pixels, input_ids=before).logits
        logs.append(float(logits[0, -1].log_softmax(-1)[ids[length]]))
    chances = [torch.tensor(log).exp().item() for log in logs]
    special = set(pretrained.tokenizer.all_special_ids)
    plain = [chance for chance, token in zip(chances, ids[1:], strict=True) if token not in special]
    product = torch.tensor(best.confidences).prod().item()  # words may be of several tokens
    assert product == pytest.approx(torch.tensor(plain).prod().item(), rel=1e-3)
    assert best.score * len(best.words) ** SHORT.length_penalty == pytest.approx(sum(logs), rel=1e-3)


def test_the_first_word_looks_where_the_network_says(loaded: dict[str, Any], pictures: list[Image.Image]) -> None:
    pretrained = loaded["vision-encoder-decoder"]
    best = said(pretrained, pictures[:1], SHORT.changed(beam=1))[0][0]
    pixels = pretrained.images(images=pictures[:1], return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        out = pretrained.model(pixel_values=pixels, decoder_input_ids=torch.tensor([[2]]), output_attentions=True)
    over = torch.stack(list(out.cross_attentions)).mean((0, 2))[0, 0, 1:]  # the first place is that of the class
    torch.testing.assert_close(best.attention[0].flatten(), over / over.sum(), rtol=1e-3, atol=1e-5)


def test_drawing_repeats_per_seed_and_differs_between(loaded: dict[str, Any], pictures: list[Image.Image]) -> None:
    settings = CaptionSettings(decoding="sample", sentences=4, temperature=2.0, max_words=4)
    before = torch.get_rng_state()
    first, again, other = (
        [[one.text for one in own] for own in said(loaded["git"], pictures, settings, seed)] for seed in (1, 1, 2)
    )
    assert first == again != other
    assert torch.equal(torch.get_rng_state(), before), "torch's own generator was used"


def test_what_is_drawn_has_the_networks_probabilities(loaded: dict[str, Any]) -> None:
    """4,000 draws of one step against the softmax at that temperature."""
    from creative.engines.captioning.pretrained import _Noise

    scores = torch.tensor([[2.0, 1.0, 0.0, -1.0]]).expand(4000, 4)
    noise = _Noise(0.8, torch.Generator().manual_seed(0))
    drawn = noise(torch.zeros(4000, 1, dtype=torch.long), scores).argmax(-1).bincount(minlength=4) / 4000
    torch.testing.assert_close(drawn, (scores[0] / 0.8).softmax(-1), atol=0.025, rtol=0)


def test_pictures_together_are_as_alone(loaded: dict[str, Any], pictures: list[Image.Image]) -> None:
    for kind in KINDS:
        together = said(loaded[kind], pictures)
        alone = [said(loaded[kind], [picture])[0] for picture in pictures]
        assert [[one.text for one in own] for own in together] == [[one.text for one in own] for own in alone]


# Where it lies --------------------------------------------------------------------------------------------------------


def test_what_is_meant_by_a_name(folders: dict[str, Path], tmp_path: Path) -> None:
    assert is_pretrained(folders["git"])
    assert is_pretrained(folders["git"] / "model.safetensors")
    assert is_pretrained("Salesforce/blip-image-captioning-base")
    assert is_pretrained("owner/name@refs/pr/7")
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "best.safetensors").touch()
    assert not any(
        is_pretrained(name) for name in ("aerial", "own.safetensors", "out/own.safetensors", tmp_path / "own", "a/b/c")
    )


def test_a_folder_without_a_model_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(PretrainedError, match=r"holds no pretrained captioner: there is no config\.json in it\."):
        find_pretrained(tmp_path)
    with pytest.raises(PretrainedError, match=r"There is no folder .*nowhere"):
        find_pretrained(tmp_path / "deep" / "nowhere")


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ("{", "is not that of a model"),
        ("[]", "is not that of a model"),
        ('{"model_type": "bert"}', "is a model of the kind 'bert'; what can caption here is BLIP, GIT"),
    ],
)
def test_another_kind_of_model_is_told(copied: Path, config: str, sentence: str) -> None:
    (copied / "config.json").write_text(config)
    with pytest.raises(PretrainedError, match=sentence):
        find_pretrained(copied)


def test_a_pickle_is_not_read(copied: Path) -> None:
    (copied / "model.safetensors").rename(copied / "pytorch_model.bin")
    with pytest.raises(PretrainedError, match=r"has no model\.safetensors: other files of weights may run code"):
        find_pretrained(copied)


def test_no_code_of_the_folder_is_run(copied: Path) -> None:
    from creative.engines.captioning.pretrained import load_pretrained

    config = json.loads((copied / "config.json").read_text())
    config["auto_map"] = dict.fromkeys(("AutoConfig", "AutoModel", "AutoTokenizer"), "evil.Evil")
    (copied / "config.json").write_text(json.dumps(config))
    (copied / "evil.py").write_text("raise SystemExit('run')\nclass Evil: pass\n")
    assert load_pretrained(copied, CPU).kind == "blip"


def test_damaged_weights_are_told(copied: Path) -> None:
    from creative.engines.captioning.pretrained import load_pretrained

    whole = (copied / "model.safetensors").read_bytes()
    (copied / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(PretrainedError, match=r"blip .*(damaged|cannot be read)") as told:
        load_pretrained(copied, CPU)
    assert len(str(told.value).splitlines()) == 1


def test_missing_tensors_and_files_are_told(copied: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from safetensors.torch import load_file, save_file

    from creative.engines.captioning.pretrained import load_pretrained

    tensors = load_file(copied / "model.safetensors")
    gone = next(name for name in tensors if "crossattention" in name)
    save_file({k: v for k, v in tensors.items() if k != gone}, copied / "model.safetensors", {"format": "pt"})
    with pytest.raises(PretrainedError, match=f"lack 1 tensors, such as {gone}"):
        load_pretrained(copied, CPU)
    (copied / "preprocessor_config.json").unlink()
    with pytest.raises(PretrainedError, match="cannot be read"):
        load_pretrained(copied, CPU)
    assert capfd.readouterr() == ("", ""), "the library printed"


def test_without_the_package_the_command_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("creative.pretrained.find_spec", lambda name: None)
    with pytest.raises(PretrainedError, match=r"pip install 'creative\[caption\]'"):
        check_installed()


# From the hub ---------------------------------------------------------------------------------------------------------


def fetched(name: str) -> tuple[Path, list[str]]:
    said: list[str] = []
    folder = run(fetch_pretrained(find_pretrained(name)), lambda step: said.append(step.message or ""))
    return folder, [message for message in said if message]


@pytest.fixture
def hub(folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A hub that has one model, and remembers what is asked of it."""
    source, asked = folders["blip"], []
    files = {path.name: path.stat().st_size for path in source.iterdir()} | {
        "pytorch_model.bin": 9,
        "onnx/model.onnx": 9,
    }

    def model_info(repository: str, **more: Any) -> Any:
        return SimpleNamespace(
            sha="0" * 40, siblings=[SimpleNamespace(rfilename=name, size=size) for name, size in files.items()]
        )

    def download(repository: str, name: str, **more: Any) -> str:
        asked.append(name)
        (tmp_path / "snapshot").mkdir(exist_ok=True)
        return str(shutil.copy(source / name, tmp_path / "snapshot" / name))

    monkeypatch.setattr("huggingface_hub.model_info", model_info)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    monkeypatch.setattr("creative.pretrained._cached", lambda place: None)
    return asked


def test_a_download_is_announced_and_brings_no_pickle(hub: list[str]) -> None:
    folder, said = fetched("somebody/blip")
    assert len(said) == 1
    assert "Downloading somebody/blip from huggingface.co: 0 MB, once." in said[0]
    assert "model.safetensors" in hub
    assert hub[-1] == "model.safetensors", "the small files come first"
    assert not {"pytorch_model.bin", "onnx/model.onnx"} & set(hub)
    assert (folder / "config.json").is_file()


def test_no_connection_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(*words: Any, **more: Any) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    with pytest.raises(PretrainedError, match=r"somebody/captioner is not on this machine and could not be") as told:
        fetched("somebody/captioner")
    assert len(str(told.value).splitlines()) == 1


def test_what_the_hub_refuses_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import errors

    answer: Any = SimpleNamespace(headers={}, request=None, status_code=401)
    for error, sentence in (
        (errors.RepositoryNotFoundError("401\nlong", response=answer), "neither a folder some/body here nor a public"),
        (errors.GatedRepoError("403", response=answer), "gives it only to those who ask"),
        (errors.RevisionNotFoundError("404", response=answer), "some/body has no revision"),
        (errors.HfHubHTTPError("500\nlong", response=answer), "could not be fetched"),
    ):

        def refuse(*words: Any, error: Exception = error, **more: Any) -> Any:
            raise error

        monkeypatch.setattr("huggingface_hub.model_info", refuse)
        with pytest.raises(PretrainedError, match=sentence):
            fetched("some/body")


def test_a_repository_of_pickles_is_refused_before_anything_is_fetched(
    hub: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [SimpleNamespace(rfilename=name, size=9) for name in ("config.json", "pytorch_model.bin")]
    monkeypatch.setattr("huggingface_hub.model_info", lambda *a, **k: SimpleNamespace(sha="0", siblings=names))
    with pytest.raises(PretrainedError, match=r"some/pickle has no model\.safetensors"):
        fetched("some/pickle")
    assert hub == []
