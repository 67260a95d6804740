"""The text encoder of the Wan family: UMT5-XXL's encoder (Chung et al. 2023) and its tokens.

T5's encoder with two differences from most transformers: scores are not divided by sqrt(K), and what depends on
position is a learned bias for each bucket of distances, here in every layer (T5 has it in the first alone).
"""

import html
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing

from avatar_jax.mesh import constrain, partitioned
from avatar_jax.nn.attention import merge_heads, split_heads
from avatar_jax.nn.linear import Linear, tanh_gelu
from avatar_jax.nn.norm import RMSNorm
from avatar_jax.nn.stack import Stack

LENGTH = 512
"""Tokens of a prompt that Wan's denoisers were trained with; shorter prompts are padded."""


@dataclass(frozen=True)
class UMT5Config:
    """Sizes; the defaults are UMT5-XXL, 5.68 B parameters."""

    vocabulary: int = 256384
    width: int = 4096
    heads: int = 64
    head_width: int = 64
    ffn: int = 10240
    depth: int = 24
    buckets: int = 32
    farthest: int = 128
    """Distances from here on share the last bucket."""
    dtype: jnp.dtype = field(default=jnp.float32)
    """Of products; norms, softmax and residual sums are float32."""


class UMT5Encoder(nn.Module):
    """Token ids -> one vector for each token, zero where there is padding."""

    config: UMT5Config = UMT5Config()

    @nn.compact
    def __call__(self, ids_BL: Int[Array, "B L"], real_BL: Bool[Array, "B L"]) -> Float[Array, "B L E"]:
        """`real_BL` is false for padding: nothing attends to it, and its own result is set to zero, as Wan expects."""
        cfg = self.config
        normal = partitioned(nn.initializers.normal(1.0), "small", "embed")
        table_VE = self.param("shared", normal, (cfg.vocabulary, cfg.width))
        x_BLE = constrain(table_VE[ids_BL].astype(jnp.float32), "batch", None, "features")
        buckets_LL = jnp.asarray(distance_buckets(ids_BL.shape[1], cfg.buckets, cfg.farthest))
        stack = Stack(lambda name: UMT5Layer(cfg, name=name), cfg.depth, name="blocks")
        x_BLE = RMSNorm(name="final_norm")(stack(x_BLE, buckets_LL, real_BL))
        return x_BLE * real_BL[..., None]


class UMT5Layer(nn.Module):
    """Attention with distance biases, then a gated feed-forward layer; no biases, RMS norms before each."""

    config: UMT5Config

    @nn.compact
    def __call__(self, x_BLE: jax.Array, buckets_LL: jax.Array, real_BL: jax.Array) -> jax.Array:
        cfg = self.config
        h_BLE = RMSNorm(name="attention_norm")(x_BLE).astype(cfg.dtype)
        x_BLE = x_BLE + DistanceAttention(cfg, name="attention")(h_BLE, buckets_LL, real_BL).astype(jnp.float32)
        h_BLE = RMSNorm(name="ffn_norm")(x_BLE).astype(cfg.dtype)
        gate_BLF = tanh_gelu(Linear(cfg.ffn, ("embed", "mlp"), bias=False, name="gate")(h_BLE))
        up_BLF = Linear(cfg.ffn, ("embed", "mlp"), bias=False, name="up")(h_BLE)
        y_BLE = Linear(cfg.width, ("mlp", "embed"), bias=False, name="down")(gate_BLF * up_BLF)
        return constrain(x_BLE + y_BLE.astype(jnp.float32), "batch", None, "features")


class DistanceAttention(nn.Module):
    """Scores q k + bias[bucket of the distance], not divided by sqrt(K); padding is never looked at."""

    config: UMT5Config

    @nn.compact
    def __call__(self, x_BLE: jax.Array, buckets_LL: jax.Array, real_BL: jax.Array) -> jax.Array:
        cfg = self.config
        inner = cfg.heads * cfg.head_width
        q_BLAK, k_BLAK, v_BLAK = (
            split_heads(Linear(inner, ("embed", "heads"), bias=False, name=name)(x_BLE), cfg.heads) for name in "qkv"
        )
        normal = partitioned(nn.initializers.normal(0.5), "small", "heads")
        table_RA = self.param("distance_bias", normal, (cfg.buckets, cfg.heads)).astype(jnp.float32)
        scores_BALL = jnp.einsum("BLAK,BMAK->BALM", q_BLAK, k_BLAK, preferred_element_type=jnp.float32)
        scores_BALL += table_RA[buckets_LL].transpose(2, 0, 1)
        weights_BALL = jax.nn.softmax(jnp.where(real_BL[:, None, None], scores_BALL, -1e30), axis=-1)
        y_BLAK = jnp.einsum("BALM,BMAK->BLAK", weights_BALL.astype(v_BLAK.dtype), v_BLAK)
        return Linear(cfg.width, ("heads", "embed"), bias=False, name="o")(merge_heads(y_BLAK))


@cache
def distance_buckets(length: int, buckets: int, farthest: int) -> np.ndarray:
    """Bucket [L, L] of key position minus query position (T5, section 2.1).

    Half of the buckets is for keys that come later. Of each half, the first half holds one distance each, the rest
    grows with the logarithm of the distance up to `farthest`.
    """
    later = np.arange(length)[None, :] - np.arange(length)[:, None]
    half, exact = buckets // 2, buckets // 4
    distance = np.abs(later)
    # In float32 as the released code: at powers of two the logarithm decides by its last bit.
    ratio = np.log(np.maximum(distance, 1).astype(np.float32) / np.float32(exact))
    ratio = ratio / np.float32(np.log(farthest / exact)) * np.float32(half - exact)
    far = np.minimum(exact + ratio.astype(np.int64), half - 1)
    return (np.where(distance < exact, distance, far) + half * (later > 0)).astype(np.int32)


class PromptTokenizer:
    """Prompts -> padded token ids, by the `tokenizer.json` of a UMT5 repository, without torch or sentencepiece."""

    def __init__(self, path: str | Path, length: int = LENGTH):
        """`path` is the file, or the folder that holds it.

        Raises:
            ValueError: if there is no such file, or it does not have T5's padding and end tokens.
        """
        path = Path(path)
        file = path / "tokenizer.json" if path.is_dir() else path
        if not file.is_file():
            raise ValueError(
                f"tokenizer: no file {file}\n"
                "rule: the text encoder reads the tokenizer.json of its repository\n"
                "fix: copy the tokenizer folder of the -Diffusers repository beside the weights"
            )
        try:
            self._tokenizer = Tokenizer.from_file(str(file))
        except Exception as error:  # the library raises bare Exceptions, whatever is wrong with the file
            raise ValueError(
                f"tokenizer: {file} cannot be read ({error})\nrule: it is whole JSON\nfix: copy it again"
            ) from error
        pad, end = (self._tokenizer.token_to_id(token) for token in ("<pad>", "</s>"))
        if pad is None or end is None:
            raise ValueError(
                f"tokenizer: {file} has no <pad> or no </s>\n"
                "rule: the text encoder is UMT5\nfix: take the tokenizer of the same repository as the encoder"
            )
        if self._tokenizer.post_processor is None:
            ending = TemplateProcessing(single="$A </s>", special_tokens=[("</s>", end)])
            setattr(self._tokenizer, "post_processor", ending)  # noqa: B010 (the stubs call it read-only)
        self._tokenizer.enable_truncation(length)
        self._tokenizer.enable_padding(length=length, pad_id=pad, pad_token="<pad>")

    def __call__(self, prompts: list[str]) -> tuple[Int[np.ndarray, "B L"], Bool[np.ndarray, "B L"]]:
        """(ids, true where a token is no padding). Long prompts are cut; the end token stays."""
        found = self._tokenizer.encode_batch([cleaned(prompt) for prompt in prompts])
        ids_BL = np.array([one.ids for one in found], np.int32)
        return ids_BL, np.array([one.attention_mask for one in found], bool)


def cleaned(prompt: str) -> str:
    """As Wan's pipelines do: HTML entities resolved twice, runs of white space made one space."""
    return " ".join(html.unescape(html.unescape(prompt)).split())


@partial(jax.jit, static_argnums=0)
def encode_ids(config: UMT5Config, params: Any, ids_BL: jax.Array, real_BL: jax.Array) -> jax.Array:
    """`UMT5Encoder` compiled: [B, L, E]."""
    text: Any = UMT5Encoder(config).apply({"params": params}, ids_BL, real_BL)
    return text


def encode_prompts(config: UMT5Config, params: Any, tokenizer: PromptTokenizer, prompts: list[str]) -> jax.Array:
    """Prompts -> [B, LENGTH, E], zero after each prompt's end: what a Wan denoiser reads as text."""
    return encode_ids(config, params, *map(jnp.asarray, tokenizer(prompts)))
