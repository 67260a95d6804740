"""Tiny random checkpoints of whole families, laid out as the public ones are; made without torch."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer
from tokenizers.models import Unigram
from tokenizers.pre_tokenizers import Metaspace
from tokenizers.processors import TemplateProcessing

from avatar_jax.models.video_vae import VAE_2_1
from avatar_jax.weights.encoder_keys import clip_target, umt5_target, wav2vec2_target
from avatar_jax.weights.families import FAMILIES, dit_target, sized
from avatar_jax.weights.mapping import Target
from avatar_jax.weights.rename import ORIGINAL
from avatar_jax.weights.vae_keys import target as vae_target
from tests.weights.tiny import write

TRANSFORMER = {
    "dim": 48, "num_heads": 2, "num_layers": 2, "ffn_dim": 64, "text_dim": 16, "freq_dim": 32, "clip_dim": 20,
    "audio_layers": 2, "audio_channels": 16, "intermediate_dim": 16, "context_tokens": 4, "audio_output_dim": 24,
    "image_tokens": 10,
}  # fmt: skip
VAE = {
    "_class_name": "AutoencoderKLWan", "base_dim": 8, "z_dim": 16, "dim_mult": [1, 2, 4, 4], "num_res_blocks": 1,
    "temperal_downsample": [False, True, True],
    "latents_mean": list(VAE_2_1.latents_mean), "latents_std": list(VAE_2_1.latents_std),
}  # fmt: skip
TEXT = {"vocab_size": 48, "d_model": 16, "d_kv": 4, "d_ff": 24, "num_layers": 2, "num_heads": 4}
IMAGE = {
    "hidden_size": 20, "intermediate_size": 24, "num_hidden_layers": 3, "num_attention_heads": 2, "image_size": 28,
    "patch_size": 14, "hidden_act": "gelu",
}  # fmt: skip
SPEECH = {
    "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "conv_dim": [8] * 7,
    "num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 4,
}  # fmt: skip
PIECES = ["<pad>", "</s>", "<unk>", "▁", "▁person", "▁speaks", "ing", ",", ".", *"abcdefghijklmnopqrstuvwxyz"]


def drawn(target: Target, layout: str | None = None, gain: float = 1.0) -> dict[str, np.ndarray]:
    """Random arrays under public names: matrices keep the size of their input, vectors lie around one or zero."""
    rng = np.random.default_rng(0)
    table = next(m for m in target.mappings if layout is None or m.name == layout)

    def draw(name: str, shape: tuple[int, ...]) -> np.ndarray:
        if sum(size > 1 for size in shape) < 2:
            middle = 0.0 if name.endswith("bias") else 1.0
            return (middle + 0.2 * rng.standard_normal(shape)).astype(np.float32)
        return (gain * rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)

    return {name: draw(name, shape) for name, shape in table.public_shapes().items()}


def write_tokenizer(folder: Path) -> None:
    tokenizer = Tokenizer(Unigram([(piece, -float(i)) for i, piece in enumerate(PIECES)], unk_id=2))
    tokenizer.add_special_tokens(["<pad>", "</s>", "<unk>"])
    tokenizer.pre_tokenizer = Metaspace()
    tokenizer.post_processor = TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    folder.mkdir(parents=True)
    tokenizer.save(str(folder / "tokenizer.json"))


def transformer(family: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """(tensors, config.json) of a tiny video model of this family, in Wan's original layout."""
    return drawn(dit_target(sized(FAMILIES[family], TRANSFORMER)), ORIGINAL), TRANSFORMER


def write_family(folder: Path, family: str) -> Path:
    """A folder for --weights with all parts of a family."""
    write(folder / "transformer", *transformer(family), shards=2)
    write(folder / "vae", drawn(vae_target(VAE), gain=1.6), VAE)
    write(folder / "text_encoder", drawn(umt5_target(TEXT)), TEXT)
    write(folder / "image_encoder", drawn(clip_target(IMAGE)), IMAGE)
    if FAMILIES[family].audio is not None:
        write(folder / "wav2vec2", drawn(wav2vec2_target(SPEECH)), SPEECH)
    write_tokenizer(folder / "tokenizer")
    return folder


def describe(folder: Path) -> dict[str, Any]:
    """report.json of a finished video."""
    return json.loads((folder / "report.json").read_text())
