"""Rotary positions in time, row and column, at any real position (RoFormer, section 3.2; split as in Wan).

A head of width K gives K - 4 (K // 6) numbers to time and 2 (K // 6) to row and to column. Wan rotates the
interleaved pairs (2i, 2i + 1); here the pairs are (i, i + K/2), which needs no strided copies. The two differ by a
fixed order of the q and k outputs, which attention does not see: `halves_from_pairs` reorders Wan's weights once,
when they are loaded.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

BASE = 10_000.0
Tables = tuple[jax.Array, jax.Array]
"""(cos, sin), each [B, N, 1, K/2] in float32."""


def axis_widths(head_width: int) -> tuple[int, int, int]:
    """How many of a head's numbers rotate with time, row and column: 128 -> (44, 42, 42)."""
    side = 2 * (head_width // 6)
    return head_width - 2 * side, side, side


def rope_tables(positions_BNX: Float[Array, "B N 3"], head_width: int) -> tuple[jax.Array, jax.Array]:
    """(cos, sin), each [B, N, 1, K/2] in float32, for tokens at these (time, row, column) positions."""
    angles = []
    for axis, width in enumerate(axis_widths(head_width)):
        rates = BASE ** -(np.arange(0, width, 2, dtype=np.float64) / width)
        angles.append(positions_BNX[..., axis, None].astype(jnp.float32) * rates.astype(np.float32))
    angles_BN1 = jnp.concatenate(angles, axis=-1)[:, :, None]
    return jnp.cos(angles_BN1), jnp.sin(angles_BN1)


def time_tables(times_BN: Float[Array, "B N"], head_width: int) -> tuple[jax.Array, jax.Array]:
    """(cos, sin), each [B, N, 1, K/2] in float32: all of a head's numbers rotate with time."""
    half = head_width // 2
    angles_BN1 = times_BN[:, :, None, None].astype(jnp.float32) * BASE ** -(jnp.arange(half, dtype=jnp.float32) / half)
    return jnp.cos(angles_BN1), jnp.sin(angles_BN1)


def whole_tables(tables: Tables, batch: int, tokens: int) -> Tables:
    """Tables [batch, tokens, K] for `x * cos + roll(x, K/2) * sin`."""
    cos, sin = (jnp.broadcast_to(t[:, :, 0], (batch, tokens, t.shape[-1])) for t in tables)
    return jnp.concatenate([cos, cos], axis=-1), jnp.concatenate([-sin, sin], axis=-1)


def rotate(x_BNAK: Float[Array, "B N A K"], tables: tuple[jax.Array, jax.Array]) -> jax.Array:
    """Turn the pairs (i, i + K/2) of every head by the tables' angles."""
    cos, sin = tables
    a, b = jnp.split(x_BNAK.astype(jnp.float32), 2, axis=-1)
    return jnp.concatenate([a * cos - b * sin, a * sin + b * cos], axis=-1).astype(x_BNAK.dtype)


def rotate_plainly(x_BND: jax.Array, tables: Tables, heads: int) -> jax.Array:
    """`rotate` of heads beside each other, [B, N, A * K]."""
    return rotate(x_BND.reshape(*x_BND.shape[:-1], heads, -1), tables).reshape(x_BND.shape)


def halves_from_pairs(weights: np.ndarray, heads: int) -> np.ndarray:
    """Reorder the last axis [..., heads * K] of a q or k kernel, bias or norm gain from Wan's pairs to ours."""
    split = weights.reshape(*weights.shape[:-1], heads, -1, 2)
    return np.ascontiguousarray(np.moveaxis(split, -1, -2).reshape(weights.shape))


def pairs_from_halves(weights: np.ndarray, heads: int) -> np.ndarray:
    """The inverse of `halves_from_pairs`."""
    split = weights.reshape(*weights.shape[:-1], heads, 2, -1)
    return np.ascontiguousarray(np.moveaxis(split, -1, -2).reshape(weights.shape))
