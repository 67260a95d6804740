"""Sequence parallelism by exchanging heads (DeepSpeed-Ulysses, Jacobs et al. 2023, section 3).

Runs inside a shard_map over `axis`. Each device holds some tokens of all heads; for the attention it holds all tokens
of some heads. Four exchanges of one activation each; the attention itself is local, so any kernel fits. What is
exchanged has its heads in as many groups as there are devices (nn.groups).
"""

import jax

from avatar_jax.nn.blockwise import Forward, Seen, attention


def attend(
    forward: Forward, q_GBnd: jax.Array, k_GBnd: jax.Array, v_GBnd: jax.Array, heads: int, seen: Seen, axis: str
) -> jax.Array:
    """This device's tokens, A heads in G groups, attend to the first `seen.keys` tokens of all G devices."""
    q, k, v = (tokens_for_heads(x, axis) for x in (q_GBnd, k_GBnd, v_GBnd))
    y_BNd, _ = attention(forward, q, k, v, heads // q_GBnd.shape[0], seen)
    return heads_for_tokens(y_BNd, axis)


def tokens_for_heads(x_GBnd: jax.Array, axis: str) -> jax.Array:
    """[G, B, n, d] -> [B, G * n, d]: all tokens of this device's heads."""
    G, B, n, d = x_GBnd.shape
    x_GBnd = jax.lax.all_to_all(x_GBnd, axis, 0, 0, tiled=True)
    return x_GBnd.transpose(1, 0, 2, 3).reshape(B, G * n, d)


def heads_for_tokens(y_BNd: jax.Array, axis: str) -> jax.Array:
    """The inverse of `tokens_for_heads`."""
    B, N, d = y_BNd.shape
    ways = jax.lax.axis_size(axis)
    y_GBnd = y_BNd.reshape(B, ways, N // ways, d).transpose(1, 0, 2, 3)
    return jax.lax.all_to_all(y_GBnd, axis, 0, 0, tiled=True)
