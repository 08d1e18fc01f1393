"""A tiny text-to-image pipeline with random weights, in a folder as diffusers saves it: real code, nothing fetched.

Its pictures are noise of colours; what matters is that every part of a Stable Diffusion pipeline is there and works.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

LETTERS = "abcdefghijklmnopqrstuvwxyz"
WIDTH = 16  # of the text encoder, and so of the cross-attention
SIDE = 32  # pixels of what the safety checker and an IP-Adapter look at
SMALL: dict[str, Any] = {
    "hidden_size": WIDTH, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2,
}  # fmt: skip
UNET: dict[str, Any] = {
    "sample_size": 8, "in_channels": 4, "out_channels": 4, "layers_per_block": 1, "norm_num_groups": 4,
    "block_out_channels": (8, 16), "attention_head_dim": 4, "cross_attention_dim": WIDTH,
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"), "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
}  # fmt: skip


def save_pipeline(folder: Path, *, checker: bool = False, turbo: bool = False) -> Path:
    """A pipeline in a folder, the same one every time.

    Args:
        folder: where to.
        checker: with a safety checker that blackens every picture.
        turbo: with the scheduler of SD-Turbo.
    """
    from diffusers import (
        AutoencoderKL,
        DDIMScheduler,
        EulerDiscreteScheduler,
        StableDiffusionPipeline,
        UNet2DConditionModel,
    )
    from diffusers.pipelines.stable_diffusion import StableDiffusionSafetyChecker
    from transformers import CLIPImageProcessor, CLIPTextConfig, CLIPTextModel

    torch.manual_seed(3)
    noise: dict[str, Any] = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    if turbo:
        scheduler = EulerDiscreteScheduler(**noise, timestep_spacing="trailing", steps_offset=1)
    else:
        scheduler = DDIMScheduler(**noise, clip_sample=False, set_alpha_to_one=False, steps_offset=1)
    tokenizer = save_tokenizer(folder / "words")
    text = CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=WIDTH, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=77, projection_dim=8, bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    vae = AutoencoderKL(
        block_out_channels=(4, 4, 8, 8), norm_num_groups=4, latent_channels=4, sample_size=64,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
    )  # fmt: skip
    safety = StableDiffusionSafetyChecker(_seeing()) if checker else None
    if safety is not None:
        safety.concept_embeds_weights.data.fill_(-9)
    pipeline = StableDiffusionPipeline(
        vae=vae, text_encoder=CLIPTextModel(text), tokenizer=tokenizer, unet=UNet2DConditionModel(**UNET),
        scheduler=scheduler, safety_checker=safety, requires_safety_checker=checker,
        feature_extractor=CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size=SIDE),
    )  # fmt: skip
    pipeline.save_pretrained(folder, safe_serialization=True)
    return folder


def save_tokenizer(folder: Path) -> Any:
    """A tokenizer whose every letter is a word."""
    from transformers import CLIPTokenizer

    folder.mkdir(parents=True)
    words = ["<|startoftext|>", "<|endoftext|>", *LETTERS, *(f"{letter}</w>" for letter in LETTERS), "a b</w>"]
    vocabulary = {word: number for number, word in enumerate(words)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return CLIPTokenizer.from_pretrained(folder, model_max_length=77)


def save_controlnet(folder: Path) -> Path:
    """A ControlNet for the pipeline, in a folder, that changes what is drawn."""
    from diffusers import ControlNetModel

    torch.manual_seed(4)
    kept = {"out_channels", "up_block_types", "sample_size"}
    network = ControlNetModel(
        **{name: value for name, value in UNET.items() if name not in kept},
        conditioning_embedding_out_channels=(4, 8, 8, 8),
    )
    _stirred(network)
    network.save_pretrained(folder)
    return folder


def save_adapter(folder: Path) -> Path:
    """An IP-Adapter with its picture encoder, in a folder."""
    from diffusers import UNet2DConditionModel
    from safetensors.torch import save_file
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    torch.manual_seed(5)
    seen = CLIPVisionConfig(**SMALL, image_size=SIDE, patch_size=8, projection_dim=8)
    encoder = CLIPVisionModelWithProjection(seen)
    encoder.save_pretrained(folder / "image_encoder")
    tokens = 4  # as many as diffusers takes it to have
    tensors = {
        "image_proj.proj.weight": torch.randn(tokens * WIDTH, 8), "image_proj.proj.bias": torch.randn(tokens * WIDTH),
        "image_proj.norm.weight": torch.ones(WIDTH), "image_proj.norm.bias": torch.zeros(WIDTH),
    }  # fmt: skip
    network = UNet2DConditionModel(**UNET)
    crossing = [name for name in network.attn_processors if "attn2" in name]
    for number, name in enumerate(crossing):
        width = network.get_submodule(name.removesuffix(".processor")).to_q.in_features
        for what in ("to_k_ip", "to_v_ip"):
            tensors[f"ip_adapter.{2 * number + 1}.{what}.weight"] = torch.randn(width, WIDTH)
    save_file(tensors, folder / "ip-adapter_toy.safetensors")
    return folder


def save_lora(file: Path) -> Path:
    """A LoRA file for the pipeline's U-Net, made by peft."""
    from diffusers import StableDiffusionPipeline, UNet2DConditionModel
    from diffusers.utils import convert_state_dict_to_diffusers
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

    torch.manual_seed(6)
    network = UNet2DConditionModel(**UNET)
    network.add_adapter(LoraConfig(r=2, lora_alpha=2, init_lora_weights=False, target_modules=["to_q", "to_v"]))
    layers = convert_state_dict_to_diffusers(get_peft_model_state_dict(network))
    StableDiffusionPipeline.save_lora_weights(
        file.parent, unet_lora_layers=layers, weight_name=file.name, safe_serialization=True
    )
    return file


def _stirred(network: torch.nn.Module) -> None:
    """A fresh ControlNet adds nothing: its last layers are zero."""
    with torch.no_grad():
        for weight in network.parameters():
            if not weight.any():
                weight.normal_(0, 0.5)


def _seeing() -> Any:
    from transformers import CLIPConfig

    return CLIPConfig(
        vision_config={**SMALL, "image_size": SIDE, "patch_size": 8},
        text_config={**SMALL, "vocab_size": 60, "bos_token_id": 0, "eos_token_id": 1},
        projection_dim=8,
    )
