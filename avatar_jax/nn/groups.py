"""Heads in groups, the outermost axis, as devices exchange them: [B, n, D] <-> P times [G, B, n, D / (G P)].

A group is what one device will hold; it is cut into P parts, so that one part can travel while another is used.
"""

from functools import partial
from typing import Any, cast

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import tpu as pltpu

Parts = tuple[jax.Array, ...]
ROWS = 256


def grouped(x_BnD: jax.Array, groups: int, parts: int = 1) -> Parts:
    """[B, n, D] -> `parts` times [G, B, n, D / (G P)]."""
    return tuple(x_BnD.reshape(*x_BnD.shape[:2], groups, parts, -1).transpose(3, 2, 0, 1, 4))


def joined(x_PGBnd: Parts) -> jax.Array:
    """The inverse of `grouped`."""
    x = jnp.stack(x_PGBnd)
    P, G, B, n, d = x.shape
    return x.transpose(2, 3, 1, 0, 4).reshape(B, n, G * P * d)


def grouped_by_kernel(x_BnD: jax.Array, groups: int, parts: int = 1, interpret: bool = False) -> Parts:
    """`grouped` as one copy: XLA lets a product beside it choose a layout, and needs two."""
    return cast(Parts, _grouped(x_BnD, groups, parts, interpret))


def joined_by_kernel(x_PGBnd: Parts, interpret: bool = False) -> jax.Array:
    """`joined` as one copy."""
    return cast(jax.Array, _joined(tuple(x_PGBnd), interpret))


@partial(jax.custom_vjp, nondiff_argnums=(1, 2, 3))
def _grouped(x_BnD: jax.Array, G: int, P: int, interpret: bool) -> Any:
    B, n, D = x_BnD.shape
    whole, part = _blocks(D, G, P)
    return pl.pallas_call(
        _split,
        grid=(B, pl.cdiv(n, ROWS)),
        in_specs=[whole],
        out_specs=(part,) * P,
        out_shape=(jax.ShapeDtypeStruct((G, B, n, D // (G * P)), x_BnD.dtype),) * P,
        compiler_params=pltpu.CompilerParams(dimension_semantics=("parallel", "parallel")),
        cost_estimate=moving(x_BnD),
        interpret=interpret,
        name="group_heads",
    )(x_BnD)


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def _joined(x_PGBnd: Parts, interpret: bool) -> Any:
    (G, B, n, d), P = x_PGBnd[0].shape, len(x_PGBnd)
    whole, part = _blocks(G * P * d, G, P)
    y_BnD = jax.ShapeDtypeStruct((B, n, G * P * d), x_PGBnd[0].dtype)
    return pl.pallas_call(
        _merge,
        grid=(B, pl.cdiv(n, ROWS)),
        in_specs=(part,) * P,
        out_specs=whole,
        out_shape=y_BnD,
        compiler_params=pltpu.CompilerParams(dimension_semantics=("parallel", "parallel")),
        cost_estimate=moving(y_BnD),
        interpret=interpret,
        name="join_heads",
    )(*x_PGBnd)


def _blocks(D: int, G: int, P: int) -> tuple[pl.BlockSpec, pl.BlockSpec]:
    whole = pl.BlockSpec((None, ROWS, D), lambda b, i: (b, i, 0))
    return whole, pl.BlockSpec((G, None, ROWS, D // (G * P)), lambda b, i: (0, b, i, 0))


def moving(x: Any) -> pl.CostEstimate:
    """Cost of reading and writing an array once."""
    return pl.CostEstimate(flops=0, transcendentals=0, bytes_accessed=2 * x.size * x.dtype.itemsize)


def _split(x_ref: jax.Ref, *parts: jax.Ref) -> None:
    P, (G, _, d) = len(parts), parts[0].shape
    for group in range(G):
        for p, y_ref in enumerate(parts):
            column = (group * P + p) * d
            y_ref[group] = x_ref[:, column : column + d]


def _merge(*refs: jax.Ref) -> None:
    *parts, y_ref = refs
    P, (G, _, d) = len(parts), parts[0].shape
    for group in range(G):
        for p, x_ref in enumerate(parts):
            column = (group * P + p) * d
            y_ref[:, column : column + d] = x_ref[group]


def _keep_grouped(x: jax.Array, groups: int, parts: int, interpret: bool) -> tuple[Any, None]:
    return _grouped(x, groups, parts, interpret), None


def _gradient_of_grouped(groups: int, parts: int, interpret: bool, _: None, dy: Parts) -> tuple[jax.Array]:
    del groups, parts, interpret
    return (joined(dy),)


def _keep_joined(x: Parts, interpret: bool) -> tuple[Any, tuple[int, int]]:
    return _joined(x, interpret), (x[0].shape[0], len(x))


def _gradient_of_joined(interpret: bool, came: tuple[int, int], dy: jax.Array) -> tuple[Parts]:
    del interpret
    return (grouped(dy, *came),)


_grouped.defvjp(_keep_grouped, _gradient_of_grouped)
_joined.defvjp(_keep_joined, _gradient_of_joined)
