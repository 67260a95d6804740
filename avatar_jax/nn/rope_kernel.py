"""`rope.rotate` on whole rows of heads, as a Pallas kernel for TPU: one read, one write, no change of layout.

The rows can come out with heads in groups and their parts (nn.groups), ready to be exchanged.
"""

from functools import partial
from typing import Any, cast

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import tpu as pltpu

from avatar_jax.nn.groups import Parts, joined, moving
from avatar_jax.nn.rope import rotate

ROWS = 256


def rotate_rows(
    x_BND: jax.Array,
    tables: tuple[jax.Array, jax.Array],
    heads: int,
    groups: int = 1,
    parts: int = 1,
    interpret: bool = False,
) -> Parts:
    """Turn all heads of [B, N, A * K] -> `parts` times [groups, B, N, A * K / (groups parts)].

    Tables as given by `rope_tables`; K is a multiple of 128 outside of interpret mode.
    """
    return cast(Parts, _rotate_rows(x_BND, tables, heads, groups, parts, interpret))


@partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4, 5))
def _rotate_rows(
    x_BND: jax.Array, tables: tuple[jax.Array, jax.Array], heads: int, groups: int, parts: int, interpret: bool
) -> Any:
    B, N, D = x_BND.shape
    K = D // heads
    cos, sin = (jnp.broadcast_to(t[:, :, 0], (B, N, K // 2)) for t in tables)
    cos_BNK, sin_BNK = jnp.concatenate([cos, cos], axis=-1), jnp.concatenate([-sin, sin], axis=-1)
    block = partial(pl.BlockSpec, index_map=lambda b, i: (b, i, 0))
    return pl.pallas_call(
        partial(_kernel, heads=heads),
        grid=(B, pl.cdiv(N, ROWS)),
        in_specs=[block((None, ROWS, D)), block((None, ROWS, K)), block((None, ROWS, K))],
        out_specs=(pl.BlockSpec((groups, None, ROWS, D // (groups * parts)), lambda b, i: (0, b, i, 0)),) * parts,
        out_shape=(jax.ShapeDtypeStruct((groups, B, N, D // (groups * parts)), x_BND.dtype),) * parts,
        compiler_params=pltpu.CompilerParams(dimension_semantics=("parallel", "parallel")),
        cost_estimate=moving(x_BND),
        interpret=interpret,
        name="rotate_rows",
    )(x_BND, cos_BNK, sin_BNK)


def _kernel(x_ref: jax.Ref, cos_ref: jax.Ref, sin_ref: jax.Ref, *y_refs: jax.Ref, heads: int) -> None:
    K, P, each = cos_ref.shape[-1], len(y_refs), heads // (len(y_refs) * y_refs[0].shape[0])
    cos, sin = cos_ref[...], sin_ref[...]
    for head in range(heads):
        x = x_ref[:, head * K : (head + 1) * K].astype(jnp.float32)
        group, part, column = head // (each * P), head // each % P, head % each * K
        y = x * cos + jnp.roll(x, K // 2, axis=-1) * sin
        y_refs[part][group, :, column : column + K] = y.astype(y_refs[part].dtype)


def _keep(x: jax.Array, tables: tuple, heads: int, groups: int, parts: int, interpret: bool) -> tuple[Any, tuple]:
    return _rotate_rows(x, tables, heads, groups, parts, interpret), tables


def _gradients(heads: int, groups: int, parts: int, interpret: bool, tables: tuple, dy_PGBNd: Parts) -> tuple:
    """Turning back; positions have no gradient."""
    del groups, parts, interpret
    cos, sin = tables
    dy_BND = joined(dy_PGBNd)
    dy_BNAK = dy_BND.reshape(*dy_BND.shape[:2], heads, -1)
    return rotate(dy_BNAK, (cos, -sin)).reshape(dy_BND.shape), jax.tree.map(jnp.zeros_like, tables)


_rotate_rows.defvjp(_keep, _gradients)
