"""Attention as the Wan family uses it: self-attention over a window, and audio attention inside each frame.

Activations stay [batch, tokens, heads * K]; heads appear only between the products. The kernel itself is a function
that is passed in, so that a TPU kernel can take the place of the plain one.
"""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name

from avatar_jax.nn.linear import LECUN, Init, Linear
from avatar_jax.nn.norm import RMSNorm
from avatar_jax.nn.rope import rotate

Attend = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]
"""(q [B, N, A, K], k [B, M, A, K], v [B, M, A, K]) -> [B, N, A, K]."""


def attend(q_BNAK: jax.Array, k_BMAK: jax.Array, v_BMAK: jax.Array) -> jax.Array:
    """Every query looks at every key; the softmax is float32."""
    scale = q_BNAK.shape[-1] ** -0.5
    scores = jnp.einsum("BNAK,BMAK->BANM", q_BNAK * scale, k_BMAK, preferred_element_type=jnp.float32)
    weights = jax.nn.softmax(scores, axis=-1).astype(v_BMAK.dtype)
    return checkpoint_name(jnp.einsum("BANM,BMAK->BNAK", weights, v_BMAK), "attention")


def attend_in_frames(attend: Attend, q_BNAK: jax.Array, k_BTUAK: jax.Array, v_BTUAK: jax.Array) -> jax.Array:
    """Queries of frame T see the keys of frame T alone; N = T * P."""
    B, N, A, K = q_BNAK.shape
    T, U = k_BTUAK.shape[1:3]
    q, k, v = (y.reshape(B * T, size, A, K) for y, size in ((q_BNAK, N // T), (k_BTUAK, U), (v_BTUAK, U)))
    return attend(q, k, v).reshape(B, N, A, K)


def split_heads(x: jax.Array, heads: int) -> jax.Array:
    return x.reshape(*x.shape[:-1], heads, -1)


def merge_heads(x: jax.Array) -> jax.Array:
    return x.reshape(*x.shape[:-2], -1)


class SelfAttention(nn.Module):
    """Every token of a window looks at every other; q and k are RMS-normalised over the full width, then rotated."""

    heads: int
    out_init: Init = LECUN
    attend: Attend = attend

    @nn.compact
    def __call__(self, x_BND: jax.Array, rope: tuple[jax.Array, jax.Array]) -> jax.Array:
        D = x_BND.shape[-1]
        q_BND = RMSNorm(name="norm_q")(Linear(D, ("embed", "heads"), name="q")(x_BND))
        k_BND = RMSNorm(name="norm_k")(Linear(D, ("embed", "heads"), name="k")(x_BND))
        v_BND = Linear(D, ("embed", "heads"), name="v")(x_BND)
        q_BNAK, k_BNAK, v_BNAK = (split_heads(y, self.heads) for y in (q_BND, k_BND, v_BND))
        y_BNAK = self.attend(rotate(q_BNAK, rope), rotate(k_BNAK, rope), v_BNAK)
        return Linear(D, ("heads", "embed"), kernel_init=self.out_init, name="o")(merge_heads(y_BNAK))


class FrameAttention(nn.Module):
    """Every patch looks at the audio tokens beside its own frame and at no others (MultiTalk, one person)."""

    heads: int
    out_init: Init = LECUN
    attend: Attend = attend

    @nn.compact
    def __call__(self, x_BND: jax.Array, audio_BTUM: jax.Array) -> jax.Array:
        D = x_BND.shape[-1]
        q_BNAK = split_heads(Linear(D, ("embed", "heads"), name="q_linear")(x_BND), self.heads)
        kv_BTUD2 = Linear(2 * D, ("embed", "heads"), name="kv_linear")(audio_BTUM.astype(x_BND.dtype))
        k_BTUAK, v_BTUAK = (split_heads(y, self.heads) for y in jnp.split(kv_BTUD2, 2, axis=-1))
        y_BNAK = attend_in_frames(self.attend, q_BNAK, k_BTUAK, v_BTUAK)
        return Linear(D, ("heads", "embed"), kernel_init=self.out_init, name="proj")(merge_heads(y_BNAK))
