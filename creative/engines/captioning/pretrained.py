"""Captions of everyday photos by a pretrained captioner of somebody's choice, through ``transformers``.

BLIP (Li, Li, Xiong, Hoi, BLIP: Bootstrapping Language-Image Pre-training, 2022, arXiv:2201.12086), GIT (Wang et al.,
GIT: A Generative Image-to-text Transformer, 2022, arXiv:2205.14100), and an encoder with a decoder, such as ViT-GPT2.
Sentences are found by the package's search; then each is read once more, all its words at once, for the probability of
each word and for where the network looked.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from creative.engines.captioning.results import Sentence
from creative.files import file_sha256, shown
from creative.pretrained import KINDS, PretrainedError, check_folder, weight_files

if TYPE_CHECKING:
    from PIL.Image import Image

    from creative.options.caption import CaptionSettings

TOKENS_PER_WORD = 2
"""What a word is taken to be at most, on the whole, in pieces of the model's vocabulary."""


@dataclass(frozen=True)
class Pretrained:
    """A pretrained captioner.

    Attributes:
        kind: ``blip``, ``git`` or ``vision-encoder-decoder``.
        model, tokenizer, images: the network, its vocabulary, and what makes pixels of pictures.
        device: where it computes.
        sha256: of the file of its weights, or the first part of it.
    """

    kind: str
    model: Any
    tokenizer: Any
    images: Any
    device: torch.device
    sha256: str


def load_pretrained(folder: Path, device: torch.device) -> Pretrained:
    """The captioner in a folder; nothing is asked of the network, no pickle is read and no code of the folder's is run.

    Raises:
        PretrainedError: it cannot be read.
    """
    kind = check_folder(folder)
    offline: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    with _quiet():
        import transformers

        try:
            # Only the plain computation of attention hands out where it looked.
            model, found = getattr(transformers, KINDS[kind]).from_pretrained(
                folder, use_safetensors=True, attn_implementation="eager", dtype=torch.float32,
                output_loading_info=True, **offline,
            )  # fmt: skip
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **offline)
            images = transformers.AutoImageProcessor.from_pretrained(folder, **offline)
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError) as error:
            lines = str(error).strip().splitlines() or [type(error).__name__]
            raise PretrainedError(f"The captioner in {shown(folder)} cannot be read: {lines[0].rstrip('.')}.") from None
        except Exception as error:  # the safetensors package has an error of its own
            raise PretrainedError(f"The weights in {shown(folder)} are damaged: {error}.") from None
    lacking = sorted(found["missing_keys"])
    if lacking:
        raise PretrainedError(f"The weights in {shown(folder)} lack {len(lacking)} tensors, such as {lacking[0]}.")
    model.requires_grad_(False)
    sha256 = file_sha256(weight_files(folder)[0])
    return Pretrained(kind, model.to(device).eval(), tokenizer, images, device, sha256)


@torch.no_grad()
def sentences_of(
    pretrained: Pretrained, pictures: Sequence[Image], settings: CaptionSettings, generator: torch.Generator
) -> list[tuple[Sentence, ...]]:
    """Of each picture its sentences, the best first.

    Args:
        pictures: RGB, at most about ten at once.
        settings: beam or drawing at random, how many sentences, how long.
        generator: of what is drawn, on the CPU.
    """
    with _quiet():
        pixels = pretrained.images(images=list(pictures), return_tensors="pt")["pixel_values"].to(pretrained.device)
        count = settings.num_sentences
        if settings.decoding == "sample":
            from transformers import LogitsProcessorList

            pixels = pixels.repeat_interleave(count, 0)
            noise = _Noise(settings.temperature, generator)
            ids = _generate(pretrained, pixels, settings, logits_processor=LogitsProcessorList([noise]))
        else:
            ids = _generate(
                pretrained, pixels, settings,
                num_beams=settings.beam, num_return_sequences=count, length_penalty=settings.length_penalty,
            )  # fmt: skip
            pixels = pixels.repeat_interleave(count, 0)
        logits, attention = _reread(pretrained, pixels, ids)
    logs = logits.log_softmax(-1).gather(-1, ids[:, 1:, None]).squeeze(-1)
    maps = _maps(pretrained, attention, pixels)
    found = []
    for place, picture in enumerate(pictures):
        own = [
            _sentence(pretrained, ids[row], logs[row], _uncropped(pretrained, maps, row, picture), settings)
            for row in range(place * count, (place + 1) * count)
        ]
        best = sorted(own, key=lambda sentence: -sentence.score)
        found.append(tuple({sentence.text: sentence for sentence in reversed(best)}.values())[::-1])
    return [tuple(sorted(own, key=lambda sentence: -sentence.score)) for own in found]


class _Noise:
    """Gumbel noise upon log-probabilities: the greatest is then a draw from them (Gumbel, 1954)."""

    def __init__(self, temperature: float, generator: torch.Generator) -> None:
        self.temperature, self.generator = temperature, generator

    def __call__(self, ids: Tensor, scores: Tensor) -> Tensor:
        chance = torch.rand(scores.shape, generator=self.generator).clamp_min(1e-20).to(scores.device)
        return scores / self.temperature - (-chance.log()).log()


def _generate(pretrained: Pretrained, pixels: Tensor, settings: CaptionSettings, **how: Any) -> Tensor:
    """Token ids (N, T), the first being where sentences begin."""
    given = {"num_beams": 1, "num_return_sequences": 1, "do_sample": False, **how}
    ids = pretrained.model.generate(
        pixel_values=pixels, max_new_tokens=_most_tokens(pretrained, settings), return_dict_in_generate=False, **given
    )
    return ids if isinstance(ids, Tensor) else ids.sequences


def _most_tokens(pretrained: Pretrained, settings: CaptionSettings) -> int:
    config = pretrained.model.config
    text = {"blip": "text_config", "vision-encoder-decoder": "decoder"}.get(pretrained.kind)
    longest = getattr(getattr(config, text) if text else config, "max_position_embeddings", None) or 512
    return max(1, min(TOKENS_PER_WORD * settings.max_words, int(longest) - 2))


def _reread(pretrained: Pretrained, pixels: Tensor, ids: Tensor) -> tuple[Tensor, Tensor | None]:
    """Logits (N, T - 1, V) of each token after those before it, and the attention (N, T - 1, places)."""
    model, before = pretrained.model, ids[:, :-1]
    if pretrained.kind == "vision-encoder-decoder":
        out = model(pixel_values=pixels, decoder_input_ids=before, output_attentions=True, use_cache=False)
        return out.logits.float(), _mean(out.cross_attentions)
    if pretrained.kind == "blip":
        seen = model.vision_model(pixel_values=pixels)[0]
        out = model.text_decoder(
            input_ids=before, attention_mask=torch.ones_like(before), encoder_hidden_states=seen,
            encoder_attention_mask=torch.ones(seen.shape[:2], dtype=torch.long, device=seen.device),
            output_attentions=True, use_cache=False,
        )  # fmt: skip
        return out.logits.float(), _mean(out.cross_attentions)
    out = model(input_ids=before, pixel_values=pixels, output_attentions=True, use_cache=False)
    length = before.shape[1]
    attention = _mean(out.attentions)  # of places and words alike, places first
    return (
        out.logits[:, -length:].float(),
        attention[:, -length:, : attention.shape[-1] - length] if attention is not None else None,
    )


def _mean(layers: Sequence[Tensor] | None) -> Tensor | None:
    """Over layers and heads of (N, heads, T, S): (N, T, S)."""
    there = [layer for layer in layers or () if layer is not None]
    return torch.stack([layer.float().mean(1) for layer in there]).mean(0) if there else None


# Words and places ---------------------------------------------------------------------------------------------------


def _maps(pretrained: Pretrained, attention: Tensor | None, pixels: Tensor) -> Tensor | None:
    """Attention (N, T, S) as maps (N, T, h, w); None where places do not lie in a grid."""
    if attention is None:
        return None
    config = pretrained.model.config
    seeing = getattr(config, "encoder" if pretrained.kind == "vision-encoder-decoder" else "vision_config", None)
    patch = getattr(seeing, "patch_size", None)
    if not isinstance(patch, int) or patch < 1:
        return None
    height, width = pixels.shape[-2] // patch, pixels.shape[-1] // patch
    extra = attention.shape[-1] - height * width  # places that are none, such as that of the class
    if not 0 <= extra <= 2:
        return None
    return attention[..., extra:].unflatten(-1, (height, width))


def _uncropped(pretrained: Pretrained, maps: Tensor | None, row: int, picture: Image) -> Tensor | None:
    """The maps of a picture; where the network has seen its middle square only, the rest was not looked at."""
    if maps is None:
        return None
    found = maps[row].cpu()
    height, width = found.shape[-2:]
    if not getattr(pretrained.images, "do_center_crop", False) or height != width:
        return found
    side = min(picture.size)
    tall, wide = (round(height * (length - side) / side / 2) for length in (picture.height, picture.width))
    return torch.nn.functional.pad(found, (wide, wide, tall, tall))


def _sentence(
    pretrained: Pretrained, ids: Tensor, logs: Tensor, maps: Tensor | None, settings: CaptionSettings
) -> Sentence:
    """Tokens as words: a word's probability is the product of its tokens', where it looked their mean.

    Args:
        ids: (T,) with the beginning.
        logs: (T - 1,) log-probabilities of all but that.
        maps: (T - 1, h, w).
    """
    tokenizer, config = pretrained.tokenizer, pretrained.model.generation_config
    ends = {tokenizer.eos_token_id, tokenizer.sep_token_id, *_listed(config.eos_token_id)} - {None}
    special = set(tokenizer.all_special_ids) | ends
    tokens = ids.tolist()[1:]
    end = next((place for place, token in enumerate(tokens) if token in ends), None)
    kept = [place for place, token in enumerate(tokens[:end]) if token not in special]
    places: list[list[int]] = []
    for number, place in enumerate(kept, 1):  # a token belongs to the last word that there is with it
        so_far = _decoded(tokenizer, [tokens[one] for one in kept[:number]])
        while len(places) < max(1, len(so_far.split())):
            places.append([])
        places[-1].append(place)
    words = _decoded(tokenizer, [tokens[one] for one in kept]).split()
    places = places[: len(words)]
    total = float(logs[: len(tokens) if end is None else end + 1].sum())
    return Sentence(
        words=tuple(words),
        confidences=tuple(float(logs[own].sum().exp()) if own else 1.0 for own in places),
        attention=_scaled(torch.stack([maps[own].mean(0) for own in places])) if maps is not None and words else None,
        score=total / max(1, len(words)) ** settings.length_penalty,
        text=_tidy(words),
        ended=end is not None,
    )


def _listed(value: Any) -> list[int]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _decoded(tokenizer: Any, ids: list[int]) -> str:
    return str(tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))


def _tidy(words: Sequence[str]) -> str:
    """The words as a sentence, with no space before its marks."""
    text = " ".join(words)
    for mark in ".,;:!?":
        text = text.replace(f" {mark}", mark)
    return text


def _scaled(maps: Tensor) -> Tensor:
    """Each map with a sum of one."""
    return maps / maps.sum((-2, -1), keepdim=True).clamp_min(1e-12)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """While it lasts, the package says nothing: the library never prints."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
