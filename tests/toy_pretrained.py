"""Tiny pretrained captioners with random weights, in folders as the hub has them: BLIP, GIT, ViT-GPT2."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

WORDS = ["a", "red", "blue", "boat", "house", "on", "the", "water", "dog", "play", "##ing", "two", "near", "tree"]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", "[ENC]"]
SIZE, PATCH = 32, 8
KINDS = ("blip", "git", "vision-encoder-decoder")
TINY: dict[str, Any] = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24,
}  # fmt: skip
SEEING: dict[str, Any] = {**TINY, "image_size": SIZE, "patch_size": PATCH}


def save_pretrained(folder: Path, kind: str) -> Path:
    """A captioner of a kind, the same one every time."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
    from transformers import BlipImageProcessor, CLIPImageProcessor, PreTrainedTokenizerFast, ViTImageProcessor

    torch.manual_seed(7)
    vocabulary = {word: number for number, word in enumerate([*SPECIAL, *WORDS])}
    words = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    words.normalizer = normalizers.BertNormalizer()
    words.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    words.decoder = decoders.WordPiece()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
        mask_token="[MASK]",
    )  # fmt: skip
    ids: dict[str, Any] = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}
    small = {"height": SIZE, "width": SIZE}
    model = {"blip": _blip, "git": _git, "vision-encoder-decoder": _pair}[kind](ids, len(vocabulary))
    made = {
        "blip": lambda: BlipImageProcessor(size=small),
        "git": lambda: CLIPImageProcessor(size={"shortest_edge": SIZE}, crop_size=small, do_center_crop=True),
        "vision-encoder-decoder": lambda: ViTImageProcessor(size=small),
    }[kind]()
    with torch.no_grad():  # random networks hardly differ from one picture to the next: make them differ
        for name, weight in model.named_parameters():
            if weight.dim() > 1:
                weight.mul_(6)
            elif "norm" not in name.lower():
                weight.normal_(0, 0.5)
    model.generation_config.suppress_tokens = [0, 1, 2, 4, 5, 6]
    model.generation_config.begin_suppress_tokens = [3]  # no sentence is empty
    for saved in (model, tokenizer, made):
        saved.save_pretrained(folder)
    return folder


def _blip(ids: dict[str, Any], size: int) -> Any:
    from transformers import BlipConfig, BlipForConditionalGeneration

    text = {**TINY, **ids, "vocab_size": size, "max_position_embeddings": 24, "encoder_hidden_size": 16}
    text |= {"projection_dim": 8, "bos_token_id": 5, "eos_token_id": 3, "sep_token_id": 3}
    config = BlipConfig(text_config=text, vision_config={**SEEING, "projection_dim": 8}, projection_dim=8)
    return BlipForConditionalGeneration(config)


def _git(ids: dict[str, Any], size: int) -> Any:
    from transformers import GitConfig, GitForCausalLM

    config = GitConfig(**TINY, **ids, vocab_size=size, max_position_embeddings=24, vision_config=dict(SEEING))
    return GitForCausalLM(config)


def _pair(ids: dict[str, Any], size: int) -> Any:
    from transformers import GPT2Config, VisionEncoderDecoderConfig, VisionEncoderDecoderModel, ViTConfig

    writing = GPT2Config(
        n_embd=16, n_layer=2, n_head=2, n_positions=24, vocab_size=size, add_cross_attention=True, is_decoder=True,
        bos_token_id=2, eos_token_id=3, pad_token_id=0,
    )  # fmt: skip
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(ViTConfig(**SEEING), writing)
    config.decoder_start_token_id, config.pad_token_id, config.eos_token_id = 2, 0, 3
    model = VisionEncoderDecoderModel(config)
    model.generation_config.decoder_start_token_id = 2
    model.generation_config.pad_token_id, model.generation_config.eos_token_id = 0, 3
    return model
