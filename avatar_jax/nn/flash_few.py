"""Attention of many tokens to few keys (a prompt, a picture, the sound beside a frame), as a Pallas kernel for TPU.

All keys of a head fit in one block. Several sets of keys, each with a softmax of its own, may be read with the same
queries in one call: the prompts of several shots, a picture beside a prompt. Layouts are those of nn.flash: columns of
[B, N, A * K], scores with keys in rows. A query sees the keys that carry its own id.

Scores are taken to the power of two as they are: float32 and bfloat16 hold 2^-126 to 2^127, and scores of normalised
queries and keys lie far within (those of MultiTalk's sound are not normalised). Where the sum of any query of a block
leaves 2^-100 to 2^100, that block is made again with the largest score taken off first, so no input overflows.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import tpu as pltpu

from avatar_jax.nn.blockwise import HIDDEN, Seen
from avatar_jax.nn.flash import LOG2E, Rows, block_size
from avatar_jax.nn.norm import Scale
from avatar_jax.nn.rope import Tables, whole_tables

MOST = 4096
"""Keys that fit."""
TILE = 256
"""Queries whose scores are made while the values of the tile before are read; keys of one product."""
QUERIES = 10_240
"""The largest block."""
SAFE = 2.0**100
AT_ONCE = 4
"""Tiles of one round, among whose instructions the compiler finds work while others wait."""


class Keys(NamedTuple):
    """Keys of one softmax [B, M, D] and their values.

    `ids`: of queries [B, N] and of keys [B, M]; None: every query sees all keys. `share_BN`: by how much a query counts
    what it reads here; None: 1. `tables`: by which queries are turned first.
    """

    k_BMD: jax.Array
    v_BMD: jax.Array
    ids: tuple[jax.Array, jax.Array] | None = None
    share_BN: jax.Array | None = None
    tables: Tables | None = None


def forward(
    q_BND: jax.Array, k_BMD: jax.Array, v_BMD: jax.Array, heads: int, seen: Seen, interpret: bool = False
) -> tuple[jax.Array, jax.Array]:
    """A `blockwise.Forward` for at most MOST keys."""
    (B, N), M = q_BND.shape[:2], k_BMD.shape[1]
    ids = None
    if seen.query_ids_BN is not None or not isinstance(seen.keys, int) or seen.keys < M:
        query_ids = jnp.zeros((B, N), jnp.int32) if seen.query_ids_BN is None else seen.query_ids_BN
        key_ids = jnp.zeros((B, M), jnp.int32) if seen.key_ids_BM is None else seen.key_ids_BM
        ids = query_ids, jnp.where(jnp.arange(M) < seen.keys, key_ids, -1)
    y_BND, lse_BAN = read(q_BND, (Keys(k_BMD, v_BMD, ids),), heads, None, True, interpret)
    assert lse_BAN is not None
    return y_BND, lse_BAN


def read(
    q_BND: jax.Array,
    sets: tuple[Keys, ...],
    heads: int,
    scale: Scale | None = None,
    log_sum: bool = False,
    interpret: bool = False,
) -> tuple[jax.Array, jax.Array | None]:
    """(sum over sets of what is read there times its share [B, N, D], log-sum of the last set's scores [B, A, N])."""
    B, N, D = q_BND.shape
    K = D // heads
    bq = block_size(N, QUERIES, TILE)
    queries = pl.BlockSpec((None, bq, K), lambda b, i, h: (b, i, h))
    inputs: list[tuple[Any, pl.BlockSpec]] = [(q_BND, queries)]
    if scale is not None:
        inputs.append((scale.row_BN1, pl.BlockSpec((None, bq, 1), lambda b, i, h: (b, i, 0))))
        inputs.append((scale.gain_11D, pl.BlockSpec((None, 1, K), lambda b, i, h: (0, 0, h))))
    for keys in sets:
        inputs += _inputs(keys, N, K, bq)
    sizes = [-(-keys.k_BMD.shape[1] // 128) * 128 for keys in sets]
    out = [(jax.ShapeDtypeStruct(q_BND.shape, q_BND.dtype), queries)]
    if log_sum:
        rows = pl.BlockSpec((None, None, 1, bq), lambda b, i, h: (b, h, 0, i))
        out.append((jax.ShapeDtypeStruct((B, heads, 1, N), jnp.float32), rows))
    y_BND, *rest = pl.pallas_call(
        partial(_kernel, sets=tuple(_shape(keys) for keys in sets), count=N, scaled=scale is not None, log_sum=log_sum),
        grid=(B, pl.cdiv(N, bq), heads),
        in_specs=[spec for _, spec in inputs],
        out_specs=[spec for _, spec in out],
        out_shape=[shape for shape, _ in out],
        scratch_shapes=[
            *(pltpu.VMEM((K, M), q_BND.dtype) for M in sizes),
            *(pltpu.VMEM((M, TILE), q_BND.dtype) for M in sizes for _ in range(2)),
            *(pltpu.VMEM((len(sets), TILE), jnp.float32) for _ in range(2)),
            pltpu.VMEM((2, TILE), jnp.float32),
        ],
        compiler_params=pltpu.CompilerParams(
            dimension_semantics=("parallel", "parallel", "parallel"), vmem_limit_bytes=64 * 2**20
        ),
        cost_estimate=pl.CostEstimate(
            flops=4 * B * N * D * sum(sizes),
            transcendentals=B * heads * N * sum(sizes),
            bytes_accessed=q_BND.dtype.itemsize * B * D * 2 * (N + sum(sizes)),
        ),
        interpret=interpret,
        name="flash_few_keys",
    )(*(x for x, _ in inputs))
    return y_BND, rest[0][:, :, 0] if log_sum else None


class _Shape(NamedTuple):
    """What the kernel knows of a set beforehand."""

    keys: int
    ids: bool
    shared: bool
    turned: bool


def _shape(keys: Keys) -> _Shape:
    return _Shape(keys.k_BMD.shape[1], keys.ids is not None, keys.share_BN is not None, keys.tables is not None)


def _inputs(keys: Keys, N: int, K: int, bq: int) -> list[tuple[Any, pl.BlockSpec]]:
    """Operands of a set, in the order in which the kernel takes them."""
    B, M = keys.k_BMD.shape[:2]
    assert M <= MOST, f"got {M} keys"
    spare = ((0, 0), (0, -M % 128), (0, 0))
    of_keys = pl.BlockSpec((None, M + -M % 128, K), lambda b, i, h: (b, 0, h))
    of_queries = pl.BlockSpec((None, 1, bq), lambda b, i, h: (b, 0, i))
    found = [(jnp.pad(x, spare), of_keys) for x in (keys.k_BMD, keys.v_BMD)]
    if keys.ids is not None:
        query_ids, key_ids = keys.ids
        key_ids = jnp.pad(key_ids, spare[:2], constant_values=-1)
        found.append((query_ids[:, None], of_queries))
        found.append((key_ids[:, :, None], pl.BlockSpec((None, key_ids.shape[1], 1), lambda b, i, h: (b, 0, 0))))
    if keys.share_BN is not None:
        found.append((keys.share_BN.astype(jnp.float32)[:, None], of_queries))
    if keys.tables is not None:
        of_tables = pl.BlockSpec((None, bq, K), lambda b, i, h: (b, i, 0))
        found += [(table, of_tables) for table in whole_tables(keys.tables, B, N)]
    return found


def _dot(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.dot(a, b, preferred_element_type=jnp.float32)


class _Refs(NamedTuple):
    """Operands of a set inside the kernel."""

    shape: _Shape
    k: jax.Ref
    v: jax.Ref
    query_ids: jax.Ref | None
    key_ids: jax.Ref | None
    share: jax.Ref | None
    cos: jax.Ref | None
    sin: jax.Ref | None


def _kernel(q_ref: jax.Ref, *refs: jax.Ref, sets: tuple[_Shape, ...], count: int, scaled: bool, log_sum: bool) -> None:
    """A block of one head's queries, of `count` in all, against all of its keys."""
    rest = iter(refs)

    def some(number: int, there: bool = True) -> Iterator[Any]:
        return (next(rest) if there else None for _ in range(number))

    row, gain = some(2, scaled)
    all_ = []
    for shape in sets:
        keys, ids = some(2), some(2, shape.ids)
        all_.append(_Refs(shape, *keys, *ids, *some(1, shape.shared), *some(2, shape.turned)))
    (y_ref,), (lse_ref,) = some(1), some(1, log_sum)
    # values [K, M] of each set; weights [M, TILE] of two tiles of each; what two tiles' values are multiplied with.
    values, weights = tuple(some(len(sets))), [tuple(some(2)) for _ in sets]
    factors, (ends,) = tuple(some(2)), some(1)
    (queries, K), dtype = q_ref.shape, q_ref.dtype
    tiles, first = queries // TILE, pl.program_id(1) * queries

    def at(t: jax.Array | int) -> Rows:
        return pl.ds(t * TILE if isinstance(t, int) else pl.multiple_of(t * TILE, TILE), TILE)

    def tile(t: jax.Array | int) -> jax.Array:
        q = q_ref[at(t), :].astype(jnp.float32) * (K**-0.5 * LOG2E)
        return q if row is None else q * row[at(t), :] * gain[...]

    def products(one: _Refs, q: jax.Array, t: jax.Array | int) -> list[tuple[Rows, jax.Array]]:
        """Scores [keys, TILE] of chunks of keys."""
        if one.cos is not None and one.sin is not None:
            q = q * one.cos[at(t), :] + jnp.roll(q, K // 2, axis=-1) * one.sin[at(t), :]
        q, found = q.astype(dtype).T, []
        for start in range(0, one.k.shape[0], TILE):
            end = min(start + TILE, one.k.shape[0])
            rows = pl.ds(start, end - start)
            scores = _dot(one.k[rows, :], q)
            if one.query_ids is not None and one.key_ids is not None:
                scores = jnp.where(one.key_ids[rows, :] == one.query_ids[:, at(t)], scores, HIDDEN)
            elif end > one.shape.keys:
                number = jax.lax.broadcasted_iota(jnp.int32, scores.shape, 0) + start
                scores = jnp.where(number < one.shape.keys, scores, HIDDEN)
            found.append((rows, scores))
        return found

    def weigh(t: jax.Array | int, slot: int, exactly: bool = False) -> None:
        q = tile(t)
        for n, one in enumerate(all_):
            chunks, top = products(one, q, t), jnp.zeros((1, TILE), jnp.float32)
            if exactly:
                top = jnp.full((8, TILE), HIDDEN, jnp.float32)
                for _, scores in chunks:
                    top = jnp.maximum(top, scores.reshape(-1, 8, TILE).max(0))
                top = top.max(0, keepdims=True)
            added = jnp.zeros((8, TILE), jnp.float32)
            for rows, scores in chunks:
                p = jnp.exp2(scores - top if exactly else scores)
                added += p.reshape(-1, 8, TILE).sum(0)
                weights[n][slot][rows, :] = p.astype(dtype)
            total = added.sum(0, keepdims=True)
            if lse_ref is not None:
                lse_ref[:, at(t)] = (top + jnp.log2(total)) / LOG2E
            factor = 1 / total
            factors[slot][n : n + 1, :] = factor if one.share is None else factor * one.share[:, at(t)]
            if not exactly:
                if count % queries:
                    number = jax.lax.broadcasted_iota(jnp.int32, total.shape, 1) + first + t * TILE
                    total = jnp.where(number < count, total, 1.0)
                ends[0:1, :] = jnp.minimum(ends[0:1, :], total)
                ends[1:2, :] = jnp.maximum(ends[1:2, :], total)

    def value(t: jax.Array | int, slot: int) -> None:
        y = jnp.zeros((K, TILE), jnp.float32)
        for n in range(len(all_)):
            y += _dot(values[n][...], weights[n][slot][...]) * factors[slot][n : n + 1, :]
        y_ref[at(t), :] = y.astype(dtype).T

    for n, one in enumerate(all_):
        values[n][...] = one.v[...].T
    ends[0:1, :], ends[1:2, :] = jnp.full((1, TILE), SAFE), jnp.full((1, TILE), 1 / SAFE)
    weigh(0, 0)

    def several(h: jax.Array, _: None) -> None:
        for t in range(AT_ONCE):
            weigh(AT_ONCE * h + t + 1, (t + 1) % 2)
            value(AT_ONCE * h + t, t % 2)

    rounds = (tiles - 1) // AT_ONCE
    jax.lax.fori_loop(0, rounds, several, None)
    for t in range(AT_ONCE * rounds, tiles - 1):
        weigh(t + 1, (t + 1) % 2)
        value(t, t % 2)
    value(tiles - 1, (tiles - 1) % 2)

    @pl.when((jnp.min(ends[0:1, :]) < 1 / SAFE) | ~(jnp.max(ends[1:2, :]) <= SAFE))
    def _() -> None:
        def again(t: jax.Array, _: None) -> None:
            weigh(t, 0, exactly=True)
            value(t, 0)

        jax.lax.fori_loop(0, tiles, again, None)
