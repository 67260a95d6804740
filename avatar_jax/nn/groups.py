"""Heads in groups, the outermost axis, as devices exchange them: [B, n, D] <-> [G, B, n, D / G]."""

from functools import partial
from typing import Any, cast

import jax
from jax.experimental import pallas as pl
from jax.experimental.pallas import tpu as pltpu

ROWS = 256


def grouped(x_BnD: jax.Array, groups: int) -> jax.Array:
    """[B, n, D] -> [G, B, n, D / G]."""
    return x_BnD.reshape(*x_BnD.shape[:2], groups, -1).transpose(2, 0, 1, 3)


def joined(x_GBnd: jax.Array) -> jax.Array:
    """The inverse of `grouped`."""
    G, B, n, d = x_GBnd.shape
    return x_GBnd.transpose(1, 2, 0, 3).reshape(B, n, G * d)


def grouped_by_kernel(x_BnD: jax.Array, groups: int, interpret: bool = False) -> jax.Array:
    """`grouped` as one copy: XLA lets a product beside it choose a layout, and needs two."""
    return cast(jax.Array, _moved(x_BnD, groups, interpret))


def joined_by_kernel(x_GBnd: jax.Array, interpret: bool = False) -> jax.Array:
    """`joined` as one copy."""
    return cast(jax.Array, _moved(x_GBnd, 1, interpret))


@partial(jax.custom_vjp, nondiff_argnums=(1, 2))
def _moved(x: jax.Array, groups: int, interpret: bool) -> Any:
    """[B, n, D] to groups, or groups to [B, n, D]."""
    G = groups if x.ndim == 3 else x.shape[0]
    B, n, D = x.shape if x.ndim == 3 else (*x.shape[1:3], G * x.shape[3])
    whole = pl.BlockSpec((None, ROWS, D), lambda b, i: (b, i, 0))
    parts = pl.BlockSpec((G, None, ROWS, D // G), lambda b, i: (0, b, i, 0))
    return pl.pallas_call(
        _split if x.ndim == 3 else _merge,
        grid=(B, pl.cdiv(n, ROWS)),
        in_specs=[whole if x.ndim == 3 else parts],
        out_specs=parts if x.ndim == 3 else whole,
        out_shape=jax.ShapeDtypeStruct((G, B, n, D // G) if x.ndim == 3 else (B, n, D), x.dtype),
        compiler_params=pltpu.CompilerParams(dimension_semantics=("parallel", "parallel")),
        interpret=interpret,
        name="group_heads" if x.ndim == 3 else "join_heads",
    )(x)


def _split(x_ref: jax.Ref, y_ref: jax.Ref) -> None:
    G, _, d = y_ref.shape
    for group in range(G):
        y_ref[group] = x_ref[:, group * d : (group + 1) * d]


def _merge(x_ref: jax.Ref, y_ref: jax.Ref) -> None:
    G, _, d = x_ref.shape
    for group in range(G):
        y_ref[:, group * d : (group + 1) * d] = x_ref[group]


def _keep(x: jax.Array, groups: int, interpret: bool) -> tuple[jax.Array, int]:
    return _moved(x, groups, interpret), x.shape[0] if x.ndim == 4 else 0


def _gradients(groups: int, interpret: bool, came_in: int, dy: jax.Array) -> tuple[jax.Array]:
    """`came_in`: groups of what was joined, zero if it was grouped here."""
    del groups, interpret
    return (grouped(dy, came_in) if came_in else joined(dy),)


_moved.defvjp(_keep, _gradients)
