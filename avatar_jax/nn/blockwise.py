"""Exact attention whose scores exist one block at a time, in plain JAX, forwards and backwards.

The softmax is carried from block to block of keys by its largest score and its sum (Milakov and Gimelshein 2018,
section 3; Dao et al. 2022, algorithm 1). Backwards, scores are made again from the log of that sum. Either way may
also be a kernel: `attention` takes both as functions.

Activations are [B, N, A * K]; N queries, M keys.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name

HIDDEN = -1e30
"""Score of a key that is not seen."""
QUERIES, KEYS = 512, 1024
"""Rows and columns of a block of scores: 2 MiB of float32 for each head."""


class Seen(NamedTuple):
    """Which keys a query sees: the first `keys`, and of them those with the query's own id where ids are given."""

    keys: jax.Array | int
    query_ids_BN: jax.Array | None = None
    key_ids_BM: jax.Array | None = None


Forward = Callable[[jax.Array, jax.Array, jax.Array, int, Seen], tuple[jax.Array, jax.Array]]
"""(q [B, N, A * K], k, v [B, M, A * K], A, seen) -> (what is read [B, N, A * K], log-sum of the scores [B, A, N])."""
Backward = Callable[..., tuple[jax.Array, jax.Array, jax.Array]]
"""(q, k, v, A, seen, what was read, log-sum, gradients of these two) -> gradients of q, k and v."""


@dataclass(frozen=True)
class Method:
    """How attention is computed."""

    forward: Forward
    backward: Backward


def attention(
    method: Method, q_BND: jax.Array, k_BMD: jax.Array, v_BMD: jax.Array, heads: int, seen: Seen
) -> tuple[jax.Array, jax.Array]:
    """`method.forward`, with a gradient for both of its results."""
    return cast(tuple[jax.Array, jax.Array], _attention(method, q_BND, k_BMD, v_BMD, heads, seen))


@partial(jax.custom_vjp, nondiff_argnums=(0, 4))
def _attention(method: Method, q: jax.Array, k: jax.Array, v: jax.Array, heads: int, seen: Seen) -> Any:
    return method.forward(q, k, v, heads, seen)


def _keep(method: Method, q: jax.Array, k: jax.Array, v: jax.Array, heads: int, seen: Seen) -> tuple[Any, Any]:
    y, lse = method.forward(q, k, v, heads, seen)
    y, lse = checkpoint_name(y, "attention"), checkpoint_name(lse, "attention")
    return (y, lse), (q, k, v, y, lse, seen)


def _gradients(method: Method, heads: int, kept: tuple, given: tuple[jax.Array, jax.Array]) -> tuple:
    q, k, v, y, lse, seen = kept
    return (*method.backward(q, k, v, heads, seen, y, lse, *given), None)


_attention.defvjp(_keep, _gradients)


def forward(
    q_BND: jax.Array, k_BMD: jax.Array, v_BMD: jax.Array, heads: int, seen: Seen
) -> tuple[jax.Array, jax.Array]:
    """A `Forward`: queries and keys in blocks, one block of scores in memory at a time."""
    N, M = q_BND.shape[1], k_BMD.shape[1]
    q_IBAQK, k_JBAQK, v_JBAQK = _blocks(q_BND, heads, QUERIES), _blocks(k_BMD, heads, KEYS), _blocks(v_BMD, heads, KEYS)
    query_ids, key_ids = _ids(seen, N, M)

    def of_queries(block: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        q, ids = block
        start = (
            jnp.full(q.shape[:-1], -jnp.inf, jnp.float32),
            jnp.zeros(q.shape[:-1], jnp.float32),
            jnp.zeros(q.shape, jnp.float32),
        )

        def add(carried: tuple, keys: tuple) -> tuple[tuple, None]:
            top, total, read = carried
            k, v, visible = keys
            scores = _scores(q, k, ids, visible)
            new_top = jnp.maximum(top, scores.max(-1))
            shrink = jnp.exp(top - new_top)
            weights = jnp.exp(scores - new_top[..., None])
            more = _dot("BAQM,BAMK->BAQK", weights.astype(v.dtype), v)
            return (new_top, total * shrink + weights.sum(-1), read * shrink[..., None] + more), None

        (top, total, read), _ = jax.lax.scan(add, start, (k_JBAQK, v_JBAQK, key_ids))
        return read / total[..., None], top + jnp.log(total)

    y_IBAQK, lse_IBAQ = jax.lax.map(of_queries, (q_IBAQK, query_ids))
    lse_BAN = jnp.moveaxis(lse_IBAQ, 0, 2).reshape(*lse_IBAQ.shape[1:3], -1)[..., :N]
    return _joined(y_IBAQK, N).astype(q_BND.dtype), lse_BAN


def backward(
    q_BND: jax.Array,
    k_BMD: jax.Array,
    v_BMD: jax.Array,
    heads: int,
    seen: Seen,
    y_BND: jax.Array,
    lse_BAN: jax.Array,
    dy_BND: jax.Array,
    dlse_BAN: jax.Array,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """A `Backward`: keys and queries in blocks as above."""
    B, N, D = q_BND.shape
    M, scale = k_BMD.shape[1], (D // heads) ** -0.5
    # A score moves the weights by p (dp - mean dp) and the log-sum by p: both are p times (dp - offset).
    mean_BAN = (dy_BND.astype(jnp.float32) * y_BND).reshape(B, N, heads, -1).sum(-1).swapaxes(1, 2)
    offset_IBAQ, lse_IBAQ = (_rows(x, QUERIES) for x in (mean_BAN - dlse_BAN, lse_BAN))
    q_IBAQK, dy_IBAQK = _blocks(q_BND, heads, QUERIES), _blocks(dy_BND.astype(q_BND.dtype), heads, QUERIES)
    query_ids, key_ids = _ids(seen, N, M)

    def of_keys(dq_IBAQK: jax.Array, keys: tuple) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        k, v, visible = keys

        def of_queries(carried: tuple, block: tuple) -> tuple[tuple, jax.Array]:
            dk, dv = carried
            q, dy, offset, lse, ids, dq = block
            weights = jnp.exp(_scores(q, k, ids, visible) - lse[..., None])
            dv += _dot("BAQM,BAQK->BAMK", weights.astype(v.dtype), dy)
            moved = weights * (_dot("BAQK,BAMK->BAQM", dy, v) - offset[..., None])
            moved = (moved * scale).astype(q.dtype)
            return (dk + _dot("BAQM,BAQK->BAMK", moved, q), dv), dq + _dot("BAQM,BAMK->BAQK", moved, k)

        zero = jnp.zeros(k.shape, jnp.float32)
        (dk, dv), dq_IBAQK = jax.lax.scan(
            of_queries, (zero, zero), (q_IBAQK, dy_IBAQK, offset_IBAQ, lse_IBAQ, query_ids, dq_IBAQK)
        )
        return dq_IBAQK, (dk, dv)

    blocks = (_blocks(k_BMD, heads, KEYS), _blocks(v_BMD, heads, KEYS), key_ids)
    dq_IBAQK, (dk_JBAMK, dv_JBAMK) = jax.lax.scan(of_keys, jnp.zeros(q_IBAQK.shape, jnp.float32), blocks)
    dq, dk, dv = _joined(dq_IBAQK, N), _joined(dk_JBAMK, M), _joined(dv_JBAMK, M)
    return dq.astype(q_BND.dtype), dk.astype(k_BMD.dtype), dv.astype(v_BMD.dtype)


BLOCKWISE = Method(forward, backward)


_dot = partial(jnp.einsum, preferred_element_type=jnp.float32)


def _scores(q: jax.Array, k: jax.Array, ids: jax.Array, visible: jax.Array) -> jax.Array:
    """Scaled float32 scores [B, A, Q, M] of one block."""
    scores = _dot("BAQK,BAMK->BAQM", q * q.shape[-1] ** -0.5, k)
    return jnp.where((ids[:, :, None] == visible[:, None, :])[:, None], scores, HIDDEN)


def _blocks(x_BND: jax.Array, heads: int, size: int) -> jax.Array:
    """[blocks, B, A, size, K]; zeros fill the last block."""
    B, N, D = x_BND.shape
    size = min(size, N)
    x_BND = jnp.pad(x_BND, ((0, 0), (0, -N % size), (0, 0)))
    return x_BND.reshape(B, -1, size, heads, D // heads).transpose(1, 0, 3, 2, 4)


def _joined(x_IBAQK: jax.Array, count: int) -> jax.Array:
    """The inverse of `_blocks`."""
    blocks, B, A, size, K = x_IBAQK.shape
    return x_IBAQK.transpose(1, 0, 3, 2, 4).reshape(B, blocks * size, A * K)[:, :count]


def _rows(x_BAN: jax.Array, size: int) -> jax.Array:
    """[blocks, B, A, size]."""
    B, A, N = x_BAN.shape
    size = min(size, N)
    return jnp.moveaxis(jnp.pad(x_BAN, ((0, 0), (0, 0), (0, -N % size))).reshape(B, A, -1, size), 2, 0)


def _ids(seen: Seen, queries: int, keys: int) -> tuple[jax.Array, jax.Array]:
    """Ids of queries and keys in blocks [blocks, B or 1, size]; a key that nobody may see has an id of its own."""
    query_ids = jnp.zeros((1, queries), jnp.int32) if seen.query_ids_BN is None else seen.query_ids_BN
    key_ids = jnp.zeros((1, keys), jnp.int32) if seen.key_ids_BM is None else seen.key_ids_BM
    key_ids = jnp.where(jnp.arange(keys) < seen.keys, key_ids, -1)

    def split(ids: jax.Array, size: int) -> jax.Array:
        size = min(size, ids.shape[1])
        ids = jnp.pad(ids, ((0, 0), (0, -ids.shape[1] % size)), constant_values=-1)
        return ids.reshape(ids.shape[0], -1, size).swapaxes(0, 1)

    padded_queries = split(query_ids, QUERIES)
    return padded_queries, split(key_ids, KEYS)
