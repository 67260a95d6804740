"""Reading several sets of a few keys with the same queries, each set with a softmax of its own, on one device.

By the kernel of nn.flash_few in one call, or set by set in plain JAX. For gradients forwards is made again, set by set,
which costs little where keys are few.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, cast

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name

from avatar_jax.nn import flash_few
from avatar_jax.nn.blockwise import BLOCKWISE, Method, Seen, attention, backward
from avatar_jax.nn.flash_few import Keys
from avatar_jax.nn.norm import Scale, scaled
from avatar_jax.nn.rope import rotate_plainly

Read = Callable[[jax.Array, tuple[Keys, ...], int, Scale | None], jax.Array]
"""(q [B, N, A * K], sets, A, scale of q) -> what is read, summed over sets by their shares [B, N, A * K]."""


def one_by_one(
    method: Method, q_BND: jax.Array, sets: tuple[Keys, ...], heads: int, scale: Scale | None = None
) -> jax.Array:
    """A `Read` of one call of `method` for each set."""
    q_BND, y_BND = scaled(q_BND, scale), jnp.zeros(q_BND.shape, jnp.float32)
    for one in sets:
        turned_BND = q_BND if one.tables is None else rotate_plainly(q_BND, one.tables, heads)
        seen = Seen(one.k_BMD.shape[1], *(one.ids or ()))
        read_BND = attention(method, turned_BND, one.k_BMD, one.v_BMD, heads, seen)[0]
        y_BND += read_BND if one.share_BN is None else read_BND * one.share_BN[..., None]
    return y_BND.astype(q_BND.dtype)


blockwise: Read = partial(one_by_one, BLOCKWISE)


def by_kernel(
    q_BND: jax.Array, sets: tuple[Keys, ...], heads: int, scale: Scale | None, interpret: bool = False
) -> jax.Array:
    """A `Read` of one kernel's call."""
    return cast(jax.Array, _by_kernel(q_BND, sets, scale, heads, interpret))


@partial(jax.custom_vjp, nondiff_argnums=(3, 4))
def _by_kernel(q: jax.Array, sets: tuple[Keys, ...], scale: Scale | None, heads: int, interpret: bool) -> Any:
    return flash_few.read(q, sets, heads, scale, interpret=interpret)[0]


def _keep(q: jax.Array, sets: tuple[Keys, ...], scale: Scale | None, heads: int, interpret: bool) -> tuple[Any, Any]:
    y_BND = flash_few.read(q, sets, heads, scale, interpret=interpret)[0]
    return checkpoint_name(y_BND, "attention"), (q, sets, scale)


def _gradients(heads: int, interpret: bool, kept: tuple, dy_BND: jax.Array) -> tuple:
    method = Method(partial(flash_few.forward, interpret=interpret), backward)
    _, pull = jax.vjp(lambda q, sets, scale: one_by_one(method, q, sets, heads, scale), *kept)
    return pull(dy_BND)


_by_kernel.defvjp(_keep, _gradients)
