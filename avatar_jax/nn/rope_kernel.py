"""`rope.rotate` on whole rows of heads, as a Pallas kernel for TPU: one read, one write, no change of layout.

The rows can come out with heads in groups (nn.groups), ready to be exchanged.
"""

from functools import partial
from typing import cast

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import tpu as pltpu

from avatar_jax.nn.groups import joined
from avatar_jax.nn.rope import rotate

ROWS = 256


def rotate_rows(
    x_BND: jax.Array, tables: tuple[jax.Array, jax.Array], heads: int, groups: int = 1, interpret: bool = False
) -> jax.Array:
    """Turn all heads of [B, N, A * K] -> [groups, B, N, A * K / groups].

    Tables as given by `rope_tables`; K is a multiple of 128 outside of interpret mode.
    """
    return cast(jax.Array, _rotate_rows(x_BND, tables, heads, groups, interpret))


@partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def _rotate_rows(
    x_BND: jax.Array, tables: tuple[jax.Array, jax.Array], heads: int, groups: int, interpret: bool
) -> jax.Array:
    B, N, D = x_BND.shape
    K = D // heads
    cos, sin = (jnp.broadcast_to(t[:, :, 0], (B, N, K // 2)) for t in tables)
    cos_BNK, sin_BNK = jnp.concatenate([cos, cos], axis=-1), jnp.concatenate([-sin, sin], axis=-1)
    block = partial(pl.BlockSpec, index_map=lambda b, i: (b, i, 0))
    return pl.pallas_call(
        partial(_kernel, heads=heads),
        grid=(B, pl.cdiv(N, ROWS)),
        in_specs=[block((None, ROWS, D)), block((None, ROWS, K)), block((None, ROWS, K))],
        out_specs=pl.BlockSpec((groups, None, ROWS, D // groups), lambda b, i: (0, b, i, 0)),
        out_shape=jax.ShapeDtypeStruct((groups, B, N, D // groups), x_BND.dtype),
        compiler_params=pltpu.CompilerParams(dimension_semantics=("parallel", "parallel")),
        interpret=interpret,
        name="rotate_rows",
    )(x_BND, cos_BNK, sin_BNK)


def _kernel(x_ref: jax.Ref, cos_ref: jax.Ref, sin_ref: jax.Ref, y_ref: jax.Ref, *, heads: int) -> None:
    K, each = cos_ref.shape[-1], heads // y_ref.shape[0]
    cos, sin = cos_ref[...], sin_ref[...]
    for head in range(heads):
        x = x_ref[:, head * K : (head + 1) * K].astype(jnp.float32)
        group, column = head // each, head % each * K
        y_ref[group, :, column : column + K] = (x * cos + jnp.roll(x, K // 2, axis=-1) * sin).astype(y_ref.dtype)


def _keep(x: jax.Array, tables: tuple, heads: int, groups: int, interpret: bool) -> tuple[jax.Array, tuple]:
    return _rotate_rows(x, tables, heads, groups, interpret), tables


def _gradients(heads: int, groups: int, interpret: bool, tables: tuple, dy_GBNd: jax.Array) -> tuple:
    """Turning back; positions have no gradient."""
    del groups, interpret
    cos, sin = tables
    dy_BND = joined(dy_GBNd)
    dy_BNAK = dy_BND.reshape(*dy_BND.shape[:2], heads, -1)
    return rotate(dy_BNAK, (cos, -sin)).reshape(dy_BND.shape), jax.tree.map(jnp.zeros_like, tables)


_rotate_rows.defvjp(_keep, _gradients)
