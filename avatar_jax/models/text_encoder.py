"""Prompt -> a few tokens, for the embedded model: hashed words, a little context, learned queries.

The director writes local prompts in a canonical English sentence; free text in any language has a place too, because
words are hashed rather than looked up.
"""

import re
import unicodedata
import zlib
from dataclasses import dataclass

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from avatar_jax.mesh import partitioned
from avatar_jax.nn.linear import FeedForward, Linear
from avatar_jax.nn.norm import LayerNorm, rms_norm

LENGTH, VOCABULARY = 48, 2048
PAD = 0
_WORD = re.compile(r"\d+(?:\.\d+)?|[^\W\d_]+")


def tokenize(prompt: str) -> np.ndarray:
    """Word ids [LENGTH] int32 in 1 .. VOCABULARY - 1, then PAD. Words beyond LENGTH are dropped.

    Case and width of letters do not matter; an underscore parts words. Numbers are rounded to tenths, and to whole
    numbers from 10 on. Chinese, Japanese and Korean are read letter by letter.
    """
    words: list[str] = []
    for word in _WORD.findall(unicodedata.normalize("NFKC", prompt).lower()):
        if word[0].isdigit():
            words.append(f"{float(word):.1f}" if float(word) < 10 else f"{float(word):.0f}")
        elif ord(max(word)) >= 0x1100:
            words.extend(word)
        else:
            words.append(word)
    ids = np.full(LENGTH, PAD, np.int32)
    for i, word in enumerate(words[:LENGTH]):
        ids[i] = 1 + zlib.crc32(word.encode()) % (VOCABULARY - 1)
    return ids


@dataclass(frozen=True)
class TextEncoderConfig:
    width: int = 128
    tokens: int = 12
    """Learned queries, that is tokens of the result: fewer than words, for every layer of the denoiser reads them."""
    depth: int = 2


class TextEncoder(nn.Module):
    """Word ids -> prompt tokens. An empty prompt (all PAD) gives zeros: the branch without text."""

    config: TextEncoderConfig

    @nn.compact
    def __call__(self, ids_XL: Int[Array, "*X L"]) -> Float[Array, "*X tokens E"]:
        cfg = self.config
        normal = nn.initializers.normal(1.0)
        table_VE = self.param("words", partitioned(normal, None, "small"), (VOCABULARY, cfg.width))
        word_XL1 = (ids_XL != PAD)[..., None].astype(jnp.float32)
        x_XLE = table_VE[ids_XL] * word_XL1
        for i in range(cfg.depth):
            # A word and its two neighbours: enough for "joy 0.7" or "push in".
            near = jnp.concatenate([jnp.roll(x_XLE, 1, -2), x_XLE, jnp.roll(x_XLE, -1, -2)], axis=-1)
            h_XLE = nn.silu(Linear(cfg.width, ("small", "small"), name=f"near_{i}")(rms_norm(near)))
            x_XLE = (x_XLE + Linear(cfg.width, ("small", "small"), name=f"mix_{i}")(h_XLE)) * word_XL1

        queries = self.param("queries", partitioned(normal, None, "small"), (cfg.tokens, cfg.width))
        k_XLE = Linear(cfg.width, ("small", "small"), name="k")(rms_norm(x_XLE))
        v_XLE = Linear(cfg.width, ("small", "small"), name="v")(x_XLE)
        scores = jnp.einsum("QE,...LE->...QL", queries, k_XLE) * cfg.width**-0.5
        weights = jax.nn.softmax(jnp.where(word_XL1[..., 0][..., None, :] > 0, scores, -1e30), axis=-1)
        y = jnp.einsum("...QL,...LE->...QE", weights, v_XLE) + queries
        y += FeedForward(2 * cfg.width, name="ffn")(LayerNorm(name="norm")(y))
        return rms_norm(y) * word_XL1.any(-2, keepdims=True)
