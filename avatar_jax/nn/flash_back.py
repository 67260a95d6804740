"""Gradients of attention of many tokens to many, as one Pallas kernel for TPU.

Five products of every block of scores, none of them twice (Dao et al. 2022, algorithm 4): scores and weights are made
again from the log-sum, and the gradients of queries, keys and values are summed where the block is. Layouts are those
of nn.flash: columns of [B, N, A * K], scores with keys in rows. Gradients are summed as [K, tokens], so that what
streams through the matrix unit is narrow and what stays in it is a full tile; the queries' gradient of a whole head
stays in VMEM while the keys go by.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import tpu as pltpu

from avatar_jax.nn.blockwise import Seen
from avatar_jax.nn.flash import LOG2E, block_size, shares

QUERIES, KEYS = 2048, 2048
"""The largest block."""
TILE = 512
"""Queries whose scores are made at a time; keys of one product."""
MOST = 81_920
"""Queries whose gradient fits: 40 MiB of float32 for a head of 128."""


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
    queries: int = QUERIES,
    keys: int = KEYS,
    tile: int = TILE,
    cores: int = 1,
    interpret: bool = False,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """A `blockwise.Backward` for seen.keys keys (no ids); K is a multiple of 128 outside of interpret mode.
    The keys are shared out to the cores of a chip that has several, and what they say of the queries is added up."""
    assert seen.query_ids_BN is None and seen.key_ids_BM is None, "many tokens to many: no ids"
    (B, N, D), M = q_BND.shape, k_BMD.shape[1]
    K, dtype = D // heads, q_BND.dtype
    mean_BAN = (dy_BND.astype(jnp.float32) * y_BND).reshape(B, N, heads, K).sum(-1).swapaxes(1, 2)
    rows_BA2N = jnp.stack([lse_BAN * LOG2E, mean_BAN - dlse_BAN], axis=2)
    visible_M1 = (jnp.arange(M) < seen.keys)[:, None]
    k_BMD, v_BMD = (jnp.where(visible_M1, x, 0) for x in (k_BMD, v_BMD))
    sized = partial(_gradients, heads=heads, blocks=(queries, keys, tile), cores=cores, interpret=interpret)
    parts = [
        sized(q_BND[:, some], dy_BND[:, some].astype(dtype), rows_BA2N[..., some], k_BMD, v_BMD)
        for some in (slice(start, start + MOST) for start in range(0, N, MOST))
    ]
    dq_BND = jnp.concatenate([dq for dq, _, _ in parts], axis=1) if len(parts) > 1 else parts[0][0]
    dk_BMD, dv_BMD = (jnp.where(visible_M1, sum(part[n] for part in parts), 0).astype(dtype) for n in (1, 2))
    return dq_BND, dk_BMD, dv_BMD


def _gradients(
    q_BND: jax.Array,
    dy_BND: jax.Array,
    rows_BA2N: jax.Array,
    k_BMD: jax.Array,
    v_BMD: jax.Array,
    heads: int,
    blocks: tuple[int, int, int],
    cores: int,
    interpret: bool,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Gradients of queries that fit, and what they add to those of all keys and values."""
    (B, N, D), M, tile = q_BND.shape, k_BMD.shape[1], blocks[2]
    K, dtype = D // heads, q_BND.dtype
    bq = block_size(N, blocks[0], tile)
    cores, passes, bk = shares(M, blocks[1], tile, cores)
    more_q, more_k = ((0, 0), (0, -N % bq), (0, 0)), ((0, 0), (0, cores * passes * bk - M), (0, 0))
    q_BND, dy_BND, k_BMD, v_BMD = (
        jnp.pad(x, more) for x, more in ((q_BND, more_q), (dy_BND, more_q), (k_BMD, more_k), (v_BMD, more_k))
    )
    rows_BA2N = jnp.pad(rows_BA2N, ((0, 0), (0, 0), (0, 0), (0, -N % bq)))
    rounds = q_BND.shape[1] // bq
    of_queries = pl.BlockSpec((None, bq, K), lambda c, b, h, j, i: (b, i, h))
    of_keys = pl.BlockSpec((None, bk, K), lambda c, b, h, j, i: (b, c * passes + j, h))
    dq_CBND, dk, dv = pl.pallas_call(
        partial(_kernel, tile=tile),
        grid=(cores, B, heads, passes, rounds),
        in_specs=[
            of_queries,
            of_queries,
            pl.BlockSpec((None, None, 2, bq), lambda c, b, h, j, i: (b, h, 0, i)),
            of_keys,
            of_keys,
        ],
        # A block of queries is done when the last keys have gone by: until then the first one's place is held.
        out_specs=[
            pl.BlockSpec((None, None, bq, K), lambda c, b, h, j, i: (c, b, jnp.where(j == passes - 1, i, 0), h)),
            of_keys,
            of_keys,
        ],
        out_shape=[
            jax.ShapeDtypeStruct((cores, *q_BND.shape), dtype if cores == 1 else jnp.float32),
            jax.ShapeDtypeStruct(k_BMD.shape, dtype),
            jax.ShapeDtypeStruct(v_BMD.shape, dtype),
        ],
        scratch_shapes=[
            *(pltpu.VMEM((K, bq), dtype) for _ in range(2)),
            pltpu.VMEM((K, bk), dtype),
            pltpu.VMEM((rounds, K, bq), jnp.float32),
            *(pltpu.VMEM((K, bk), jnp.float32) for _ in range(2)),
        ],
        compiler_params=pltpu.CompilerParams(
            dimension_semantics=("parallel", "arbitrary", "arbitrary", "arbitrary", "arbitrary"),
            vmem_limit_bytes=64 * 2**20,
        ),
        cost_estimate=pl.CostEstimate(
            flops=10 * B * heads * N * M * K,
            transcendentals=B * heads * N * M,
            bytes_accessed=dtype.itemsize * B * D * (3 * N * cores * passes + 4 * M),
        ),
        interpret=interpret,
        name="flash_gradients",
    )(q_BND, dy_BND, rows_BA2N, k_BMD, v_BMD)
    dq_BND = dq_CBND[0] if cores == 1 else dq_CBND.sum(0).astype(dtype)
    return dq_BND[:, :N], dk[:, :M], dv[:, :M]


def _kernel(
    q_ref: jax.Ref,
    dy_ref: jax.Ref,
    rows_ref: jax.Ref,
    k_ref: jax.Ref,
    v_ref: jax.Ref,
    dq_ref: jax.Ref,
    dk_ref: jax.Ref,
    dv_ref: jax.Ref,
    q: jax.Ref,
    dy: jax.Ref,
    k: jax.Ref,
    dq: jax.Ref,
    dk: jax.Ref,
    dv: jax.Ref,
    *,
    tile: int,
) -> None:
    """A block of one head's queries and a block of its keys.

    rows [2, queries]: log-sum in powers of two, and what is taken off the gradient of every weight. q, dy, k: what
    came in, with tokens in columns. dq [blocks, K, queries], dk, dv [K, keys]: sums.
    """
    j, i, dtype = pl.program_id(3), pl.program_id(4), q_ref.dtype
    (queries, K), keys = q_ref.shape, k_ref.shape[0]
    scale = K**-0.5
    dot = partial(jax.lax.dot_general, preferred_element_type=jnp.float32)
    usual, meet = (((1,), (0,)), ((), ())), (((1,), (1,)), ((), ()))

    @pl.when(i == 0)
    def _() -> None:
        k[...] = k_ref[...].T
        dk[...] = jnp.zeros(dk.shape, dk.dtype)
        dv[...] = jnp.zeros(dv.shape, dv.dtype)

    @pl.when(j == 0)
    def _() -> None:
        dq[i] = jnp.zeros(dq.shape[1:], dq.dtype)

    q[...] = (q_ref[...].astype(jnp.float32) * (scale * LOG2E)).astype(dtype).T
    dy[...] = dy_ref[...].T

    def of_tile(t: jax.Array, _: None) -> None:
        here = pl.ds(pl.multiple_of(t * tile, tile), tile)
        q_t, dy_t, lse, off = q[:, here], dy[:, here], rows_ref[:1, here], rows_ref[1:, here]
        sum_q = jnp.zeros(q_t.shape, jnp.float32)
        for start in range(0, keys, tile):
            some = pl.ds(start, tile)
            # Of keys that are seen no score exceeds the log-sum; those that are not are zeros, and must not overflow.
            weights = jnp.exp2(jnp.minimum(dot(k_ref[some, :], q_t, usual) - lse, 0.0))
            moved = (weights * (dot(v_ref[some, :], dy_t, usual) - off)).astype(dtype)
            dv[:, some] += dot(dy_t, weights.astype(dtype), meet)
            dk[:, some] += dot(q_t, moved, meet)
            sum_q += dot(k[:, some], moved, usual)
        dq[i, :, here] += sum_q

    jax.lax.fori_loop(0, queries // tile, of_tile, None)

    @pl.when(i == pl.num_programs(4) - 1)
    def _() -> None:
        dk_ref[...] = (dk[...] * (1 / LOG2E)).T.astype(dtype)
        dv_ref[...] = dv[...].T.astype(dtype)

    @pl.when(j == pl.num_programs(3) - 1)
    def _() -> None:
        dq_ref[...] = (dq[i] * scale).T.astype(dq_ref.dtype)
