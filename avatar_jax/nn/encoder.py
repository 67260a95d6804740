"""Attention of the public image and speech encoders: every token looks at every other, positions are in the tokens."""

from functools import partial

import flax.linen as nn
import jax

from avatar_jax.nn.attention import Attend, attend, merge_heads, split_heads
from avatar_jax.nn.linear import Linear

exact_gelu = partial(nn.gelu, approximate=False)
"""GELU by the error function, which both use in their feed-forward layers."""


class EncoderAttention(nn.Module):
    """q, k, v and o with biases, and nothing else (CLIP, wav2vec2)."""

    heads: int
    attend: Attend = attend

    @nn.compact
    def __call__(self, x_BND: jax.Array) -> jax.Array:
        D = x_BND.shape[-1]
        q, k, v = (split_heads(Linear(D, ("embed", "heads"), name=name)(x_BND), self.heads) for name in "qkv")
        return Linear(D, ("heads", "embed"), name="o")(merge_heads(self.attend(q, k, v)))
