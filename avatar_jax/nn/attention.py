"""Plain attention: every score in memory at once. What kernels and layouts over devices are compared with."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name

Attend = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]
"""(q [B, N, A, K], k [B, M, A, K], v [B, M, A, K]) -> [B, N, A, K]."""


def attend(q_BNAK: jax.Array, k_BMAK: jax.Array, v_BMAK: jax.Array) -> jax.Array:
    """Every query looks at every key; the softmax is float32."""
    scale = q_BNAK.shape[-1] ** -0.5
    scores = jnp.einsum("BNAK,BMAK->BANM", q_BNAK * scale, k_BMAK, preferred_element_type=jnp.float32)
    weights = jax.nn.softmax(scores, axis=-1).astype(v_BMAK.dtype)
    return checkpoint_name(jnp.einsum("BANM,BMAK->BNAK", weights, v_BMAK), "attention")


def attend_seen(seen_BM: jax.Array) -> Attend:
    """Attention to the keys that are seen; where none is, to all alike."""

    def run(q_BNAK: jax.Array, k_BMAK: jax.Array, v_BMAK: jax.Array) -> jax.Array:
        scores = jnp.einsum("BNAK,BMAK->BANM", q_BNAK, k_BMAK, preferred_element_type=jnp.float32)
        scores = jnp.where(seen_BM[:, None, None], scores * q_BNAK.shape[-1] ** -0.5, -1e30)
        return jnp.einsum("BANM,BMAK->BNAK", jax.nn.softmax(scores, axis=-1).astype(v_BMAK.dtype), v_BMAK)

    return run


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
