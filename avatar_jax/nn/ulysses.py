"""Sequence parallelism by exchanging heads (DeepSpeed-Ulysses, Jacobs et al. 2023, section 3).

Runs inside a shard_map over `axis`. Each device holds some tokens of all heads; for the attention it holds all tokens
of some heads. Four exchanges of one activation each; the attention itself is local, so any kernel fits. What is
exchanged has its heads in as many groups as there are devices, in parts (nn.groups): while one part's heads are
attended to, the next part's tokens and the last one's results travel.
"""

import jax

from avatar_jax.nn.blockwise import Method, Seen, attention
from avatar_jax.nn.groups import Parts


def attend(method: Method, q_PGBnd: Parts, k_PGBnd: Parts, v_PGBnd: Parts, heads: int, seen: Seen, axis: str) -> Parts:
    """This device's tokens, A heads in P parts of G groups, attend to the first `seen.keys` tokens of all G devices."""
    own = heads // (len(q_PGBnd) * q_PGBnd[0].shape[0])
    read = []
    for part in zip(q_PGBnd, k_PGBnd, v_PGBnd, strict=True):
        q, k, v = (tokens_for_heads(x, axis) for x in part)
        read.append(heads_for_tokens(attention(method, q, k, v, own, seen)[0], axis))
    return tuple(read)


def parts(heads: int) -> int:
    """Into how many parts to cut a device's heads: few, since each is an exchange of its own."""
    return next((count for count in (2, 3, 5) if heads % count == 0), 1)


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
