"""Attention of many tokens to many, as one Pallas kernel for TPU.

It reads (block, K) columns of activations [B, N, A * K] as they are: no transposes. Scores stand with keys in rows and
queries in columns, so that the largest score and the sum of a query run over rows, and `o = v.T p` fills the matrix
unit. A head of 128 fills half of the unit's depth; the other half is free and carries two more terms of every score:
minus the query's reference (a bound on its largest score so far, so the product comes out ready for exp2) and the mask
of keys past the end. The softmax is base 2; log2(e) is part of the queries.

The reference is the largest score of the *earlier* blocks. A block whose scores might exceed it by more than 2^SAFE
(by |q| |k|, known before the block) first updates it from its own scores; no input overflows.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import pallas as pl
from jax.experimental.pallas import tpu as pltpu

from avatar_jax.nn.blockwise import Seen

LOG2E = float(np.log2(np.e))
HIDDEN = -(2.0**29)
"""Added to the score of a key past the end."""
Rows = pl.Slice | slice
SAFE = 100.0
"""Powers of two by which a score may exceed its reference: float32 and bfloat16 hold 2^127."""
TILE = 256
"""Queries whose scores are made while the values of the tile before are read; keys of one product."""
QUERIES, KEYS = 10_240, 5_120
"""The largest block: what fits beside its second copy in 64 MiB of VMEM."""


def forward(
    q_BND: jax.Array,
    k_BMD: jax.Array,
    v_BMD: jax.Array,
    heads: int,
    seen: Seen,
    queries: int = QUERIES,
    keys: int = KEYS,
    cores: int = 1,
    interpret: bool = False,
) -> tuple[jax.Array, jax.Array]:
    """A `blockwise.Forward` for seen.keys keys (no ids), in blocks of at most so many queries and keys; K is a
    multiple of 128 outside of interpret mode. The queries are shared out to the cores of a chip that has several."""
    assert seen.query_ids_BN is None and seen.key_ids_BM is None, "many tokens to many: no ids"
    B, N, D = q_BND.shape
    M, K = k_BMD.shape[1], D // heads
    cores, rounds, bq = shares(N, queries, TILE, cores)
    bk = block_size(M, keys)
    spare = ((0, 0), (0, -M % bk), (0, 0))
    k_BMD, v_BMD = jnp.pad(k_BMD, spare), jnp.pad(v_BMD, spare)
    blocks = k_BMD.shape[1] // bk
    read = pl.BlockSpec((None, bq, K), lambda c, b, h, i, j, n: (b, c * rounds + i, h))
    meet = pl.BlockSpec((None, bk, K), lambda c, b, h, i, j, n: (b, j, h))
    dtype = q_BND.dtype
    y_BND, lse_BA1N = pl.pallas_call(
        partial(_kernel, queries=N, rounds=rounds, blocks=blocks),
        grid_spec=pltpu.PrefetchScalarGridSpec(
            num_scalar_prefetch=1,
            grid=(cores, B, heads, rounds, blocks),
            in_specs=[read, meet, meet],
            out_specs=[
                read,
                pl.BlockSpec((None, None, 1, bq), lambda c, b, h, i, j, n: (b, h, 0, c * rounds + i)),
            ],
            scratch_shapes=[
                pltpu.VMEM((2 * K, bq), dtype),
                pltpu.VMEM((1, bq), jnp.float32),
                pltpu.VMEM((1, bq), jnp.float32),
                pltpu.VMEM((K, bq), jnp.float32),
                pltpu.VMEM((bk, K), dtype),
                pltpu.VMEM((K, bk), dtype),
                *(pltpu.VMEM((bk, TILE), dtype) for _ in range(2)),
                *(pltpu.VMEM((1, TILE), jnp.float32) for _ in range(2)),
                pltpu.SMEM((blocks + 2,), jnp.float32),
            ],
        ),
        out_shape=[
            jax.ShapeDtypeStruct(q_BND.shape, dtype),
            jax.ShapeDtypeStruct((B, heads, 1, N), jnp.float32),
        ],
        compiler_params=pltpu.CompilerParams(
            dimension_semantics=("parallel", "arbitrary", "arbitrary", "arbitrary", "arbitrary"),
            vmem_limit_bytes=64 * 2**20,
        ),
        cost_estimate=pl.CostEstimate(
            flops=4 * B * heads * N * M * K,
            transcendentals=B * heads * N * M,
            bytes_accessed=q_BND.dtype.itemsize * B * D * (2 * N + 2 * M * pl.cdiv(N, bq)),
        ),
        interpret=interpret,
        name="flash_attention",
    )(jnp.asarray(seen.keys, jnp.int32).reshape(1), q_BND, k_BMD, v_BMD)
    return y_BND, lse_BA1N[:, :, 0]


def block_size(count: int, largest: int, unit: int = 128) -> int:
    """The multiple of `unit` from half of `largest` up that pads `count` least, and of those the largest."""
    if count <= largest:
        return -(-count // unit) * unit
    return min(range(largest, largest // 2, -unit), key=lambda size: -count % size)


def shares(count: int, largest: int, unit: int, cores: int) -> tuple[int, int, int]:
    """(cores, rounds of each, size): blocks of at most `largest` that share `count` tokens out evenly; one core where
    another would have nothing to do."""
    size = block_size(-(-count // cores), largest, unit)
    rounds = -(-count // (size * cores))
    return shares(count, largest, unit, 1) if (cores * rounds - 1) * size >= count else (cores, rounds, size)


def _dot(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.dot(a, b, preferred_element_type=jnp.float32)


def _kernel(count, q_ref, k_ref, v_ref, y_ref, lse_ref, q, top, total, read, extra, v, p0, p1, s0, s1, sizes, **sized):
    """One block of queries against one block of keys.

    q [2 K, queries]: queries, then a row with minus the reference, a row of HIDDEN, and zeros. extra [keys, K]: the
    columns beside the keys that meet those rows. p0, p1: weights of two tiles; s0, s1: by how much their sums shrink.
    sizes: the longest key of each block, the longest query, the lowest reference.
    """
    blocks, core = sized["blocks"], pl.program_id(0)
    i, j = pl.program_id(3), pl.program_id(4)
    (keys, K), queries = k_ref.shape, q_ref.shape[0]
    dtype = q_ref.dtype

    def longest(x: jax.Array) -> jax.Array:
        x = x.astype(jnp.float32)
        return jnp.sqrt(jnp.max(jnp.sum(x * x, axis=-1)))

    def beside(end: jax.Array | int) -> jax.Array:
        row = jax.lax.broadcasted_iota(jnp.int32, (keys, K), 0) + j * keys
        column = jax.lax.broadcasted_iota(jnp.int32, (keys, K), 1)
        return jnp.where((column == 0) | ((column == 1) & (row >= end)), 1.0, 0.0).astype(dtype)

    def at(t: jax.Array | int) -> Rows:
        return pl.ds(t * TILE if isinstance(t, int) else pl.multiple_of(t * TILE, TILE), TILE)

    def refer(new: jax.Array, columns: Rows) -> None:
        """Put minus the reference into the queries' spare rows."""
        row = jax.lax.broadcasted_iota(jnp.int32, (16, new.shape[1]), 0)
        spare = jnp.where(row == 0, -new, jnp.where(row == 1, HIDDEN, 0.0))
        q[pl.ds(K, 16), columns] = spare.astype(dtype)

    @pl.when(i == 0)
    def _() -> None:
        sizes[j] = longest(k_ref[...])

    @pl.when((j == 0) | ((j + 1) * keys > count[0]))
    def _() -> None:
        extra[...] = beside(count[0])

    def raise_reference(rows: list[Rows]) -> None:
        """Make the reference of every query at least its largest score over these keys."""
        sizes[blocks + 1] = jnp.inf

        def of_tile(t: jax.Array, _: None) -> None:
            here = at(t)
            old = top[:, here]
            refer(jnp.zeros_like(old), here)
            q_tile, highest = q[:, here], jnp.full((8, TILE), HIDDEN, jnp.float32)
            for some in rows:
                scores = _dot(jnp.concatenate([k_ref[some, :], extra[some, :]], axis=1), q_tile)
                highest = jnp.maximum(highest, scores.reshape(-1, 8, TILE).max(0))
            new = jnp.maximum(old, highest.max(0, keepdims=True)).astype(dtype).astype(jnp.float32)
            shrink = jnp.exp2(old - new)
            total[:, here] *= shrink
            read[:, here] *= shrink
            top[:, here] = new
            refer(new, here)
            sizes[blocks + 1] = jnp.minimum(sizes[blocks + 1], jnp.min(new))

        jax.lax.fori_loop(0, queries // TILE, of_tile, None)

    @pl.when(j == 0)
    def _() -> None:
        scaled = q_ref[...].astype(jnp.float32) * (K**-0.5 * LOG2E)
        if sized["queries"] % queries:
            row = jax.lax.broadcasted_iota(jnp.int32, scaled.shape, 0) + (core * sized["rounds"] + i) * queries
            scaled = jnp.where(row < sized["queries"], scaled, 0.0)
        sizes[blocks] = longest(scaled)
        q[:K, :] = scaled.astype(dtype).T
        q[K:, :] = jnp.zeros((K, queries), dtype)
        top[...] = jnp.full_like(top, HIDDEN)
        total[...] = jnp.zeros_like(total)
        read[...] = jnp.zeros_like(read)
        raise_reference(_chunks(keys)[:1])

    @pl.when(sizes[blocks] * sizes[j] - sizes[blocks + 1] > SAFE)
    def _() -> None:
        raise_reference(_chunks(keys))

    v[...] = v_ref[...].T
    weights, shrinks = (p0, p1), (s0, s1)

    def score(t: jax.Array | int, slot: int) -> None:
        here = at(t)
        q_tile = q[:, here]
        highest, added = jnp.full((8, TILE), HIDDEN, jnp.float32), jnp.zeros((8, TILE), jnp.float32)
        for rows in _chunks(keys):
            scores = _dot(jnp.concatenate([k_ref[rows, :], extra[rows, :]], axis=1), q_tile)
            highest = jnp.maximum(highest, scores.reshape(-1, 8, TILE).max(0))
            p = jnp.exp2(scores)
            added += p.reshape(-1, 8, TILE).sum(0)
            weights[slot][rows, :] = p.astype(dtype)
        old = top[:, here]
        new = old + jnp.maximum(highest.max(0, keepdims=True), 0.0)
        new = new.astype(dtype).astype(jnp.float32)
        shrink = jnp.exp2(old - new)
        shrinks[slot][...] = shrink
        total[:, here] = (total[:, here] + added.sum(0, keepdims=True)) * shrink
        top[:, here] = new
        refer(new, here)

    def value(t: jax.Array | int, slot: int) -> None:
        here = at(t)
        read[:, here] = (read[:, here] + _dot(v[...], weights[slot][...])) * shrinks[slot][...]

    tiles = queries // TILE
    score(0, 0)

    def pair(h: jax.Array, _: None) -> None:
        for slot in range(2):
            score(2 * h + slot + 1, 1 - slot)
            value(2 * h + slot, slot)

    jax.lax.fori_loop(0, (tiles - 1) // 2, pair, None)
    if tiles % 2 == 0:
        score(tiles - 1, 1)
        value(tiles - 2, 0)
    value(tiles - 1, (tiles - 1) % 2)

    @pl.when(j == blocks - 1)
    def _() -> None:
        y_ref[...] = (read[...] / total[...]).T.astype(dtype)
        lse_ref[...] = (top[...] + jnp.log2(total[...])) / LOG2E


def _chunks(keys: int) -> list[Rows]:
    return [pl.ds(start, min(TILE, keys - start)) for start in range(0, keys, TILE)]
