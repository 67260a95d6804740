"""`rope.rotate` on whole rows of heads, as a Pallas kernel for TPU: one read, one write, no change of layout. The RMS
norm before it is part of it.

The rows can come out with heads in groups and their parts (nn.groups), ready to be exchanged.
"""

from functools import partial
from typing import Any, cast

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import tpu as pltpu

from avatar_jax.nn.groups import Parts, joined, moving
from avatar_jax.nn.norm import Scale, scaled
from avatar_jax.nn.rope import Tables, rotate, whole_tables

ROWS = 256


def rotate_rows(
    x_BND: jax.Array,
    tables: Tables,
    scale: Scale | None,
    heads: int,
    groups: int = 1,
    parts: int = 1,
    interpret: bool = False,
) -> Parts:
    """Multiply with `scale` and turn heads of [B, N, A * K] -> `parts` times [groups, B, N, A * K / (groups parts)].

    Tables as given by `rope_tables`; K is a multiple of 128 outside of interpret mode.
    """
    return cast(Parts, _rotate_rows(x_BND, tables, scale, heads, groups, parts, interpret))


@partial(jax.custom_vjp, nondiff_argnums=(3, 4, 5, 6))
def _rotate_rows(
    x_BND: jax.Array, tables: Tables, scale: Scale | None, heads: int, groups: int, parts: int, interpret: bool
) -> Any:
    B, N, D = x_BND.shape
    K = D // heads
    block = partial(pl.BlockSpec, index_map=lambda b, i: (b, i, 0))
    given = [(x_BND, block((None, ROWS, D))), *((t, block((None, ROWS, K))) for t in whole_tables(tables, B, N))]
    if scale is not None:
        given.append((scale.row_BN1, block((None, ROWS, 1))))
        given.append((scale.gain_11D, pl.BlockSpec((None, 1, D), lambda b, i: (0, 0, 0))))
    return pl.pallas_call(
        partial(_kernel, heads=heads, scaled=scale is not None),
        grid=(B, pl.cdiv(N, ROWS)),
        in_specs=[spec for _, spec in given],
        out_specs=(pl.BlockSpec((groups, None, ROWS, D // (groups * parts)), lambda b, i: (0, b, i, 0)),) * parts,
        out_shape=(jax.ShapeDtypeStruct((groups, B, N, D // (groups * parts)), x_BND.dtype),) * parts,
        compiler_params=pltpu.CompilerParams(dimension_semantics=("parallel", "parallel")),
        cost_estimate=moving(x_BND),
        interpret=interpret,
        name="rotate_rows",
    )(*(x for x, _ in given))


def _kernel(x_ref: jax.Ref, cos_ref: jax.Ref, sin_ref: jax.Ref, *refs: jax.Ref, heads: int, scaled: bool) -> None:
    (row, gain), y_refs = ((refs[0][...], refs[1]), refs[2:]) if scaled else ((None, None), refs)
    K, P, each = cos_ref.shape[-1], len(y_refs), heads // (len(y_refs) * y_refs[0].shape[0])
    cos, sin = cos_ref[...], sin_ref[...]
    for head in range(heads):
        columns = slice(head * K, (head + 1) * K)
        x = x_ref[:, columns].astype(jnp.float32)
        x = x if row is None or gain is None else x * row * gain[:, columns]
        group, part, column = head // (each * P), head // each % P, head % each * K
        y = x * cos + jnp.roll(x, K // 2, axis=-1) * sin
        y_refs[part][group, :, column : column + K] = y.astype(y_refs[part].dtype)


def _keep(
    x: jax.Array, tables: Tables, scale: Scale | None, heads: int, groups: int, parts: int, interpret: bool
) -> tuple[Any, tuple]:
    return _rotate_rows(x, tables, scale, heads, groups, parts, interpret), (x, tables, scale)


def _gradients(heads: int, groups: int, parts: int, interpret: bool, kept: tuple, dy_PGBNd: Parts) -> tuple:
    """Turning back; positions have no gradient."""
    del groups, parts, interpret
    x, (cos, sin), scale = kept
    dy_BND = joined(dy_PGBNd)
    back_BNAK = rotate(dy_BND.reshape(*dy_BND.shape[:2], heads, -1), (cos, -sin))
    _, pull = jax.vjp(scaled, x, scale)
    dx, dscale = pull(back_BNAK.reshape(dy_BND.shape))
    return dx, jax.tree.map(jnp.zeros_like, (cos, sin)), dscale


_rotate_rows.defvjp(_keep, _gradients)
