"""Attention of many tokens to few keys (a prompt, a picture, the sound beside a frame), as a Pallas kernel for TPU.

All keys of a head fit in one block, so the softmax is exact in one pass. Layouts are those of nn.flash: columns of
[B, N, A * K], scores with keys in rows. A query sees the keys that carry its own id.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import tpu as pltpu

from avatar_jax.nn.blockwise import HIDDEN, Seen
from avatar_jax.nn.flash import LOG2E, block_size

MOST = 4096
"""Keys that fit."""


def forward(
    q_BND: jax.Array,
    k_BMD: jax.Array,
    v_BMD: jax.Array,
    heads: int,
    seen: Seen,
    block: int = 1024,
    interpret: bool = False,
) -> tuple[jax.Array, jax.Array]:
    """A `blockwise.Forward` for at most MOST keys."""
    B, N, D = q_BND.shape
    M, K = k_BMD.shape[1], D // heads
    assert M <= MOST, f"got {M} keys"
    bq = block_size(N, block)
    query_ids = jnp.zeros((B, N), jnp.int32) if seen.query_ids_BN is None else seen.query_ids_BN
    key_ids = jnp.zeros((B, M), jnp.int32) if seen.key_ids_BM is None else seen.key_ids_BM
    key_ids = jnp.where(jnp.arange(M) < seen.keys, key_ids, -1)
    spare = -M % 128
    key_ids = jnp.pad(key_ids, ((0, 0), (0, spare)), constant_values=-1)
    k_BMD, v_BMD = (jnp.pad(x, ((0, 0), (0, spare), (0, 0))) for x in (k_BMD, v_BMD))
    M += spare
    queries = pl.BlockSpec((None, bq, K), lambda b, h, i: (b, i, h))
    keys = pl.BlockSpec((None, M, K), lambda b, h, i: (b, 0, h))
    y_BND, lse_BA1N = pl.pallas_call(
        _kernel,
        grid=(B, heads, pl.cdiv(N, bq)),
        in_specs=[
            queries,
            keys,
            keys,
            pl.BlockSpec((None, 1, bq), lambda b, h, i: (b, 0, i)),
            pl.BlockSpec((None, M, 1), lambda b, h, i: (b, 0, 0)),
        ],
        out_specs=[queries, pl.BlockSpec((None, None, 1, bq), lambda b, h, i: (b, h, 0, i))],
        out_shape=[
            jax.ShapeDtypeStruct(q_BND.shape, q_BND.dtype),
            jax.ShapeDtypeStruct((B, heads, 1, N), jnp.float32),
        ],
        compiler_params=pltpu.CompilerParams(
            dimension_semantics=("parallel", "parallel", "parallel"), vmem_limit_bytes=64 * 2**20
        ),
        cost_estimate=pl.CostEstimate(
            flops=4 * B * heads * N * M * K,
            transcendentals=B * heads * N * M,
            bytes_accessed=q_BND.dtype.itemsize * B * D * 2 * (N + M),
        ),
        interpret=interpret,
        name="flash_few_keys",
    )(q_BND, k_BMD, v_BMD, query_ids[:, None], key_ids[:, :, None])
    return y_BND, lse_BA1N[:, :, 0]


def _kernel(
    q_ref: jax.Ref,
    k_ref: jax.Ref,
    v_ref: jax.Ref,
    query_ids_ref: jax.Ref,
    key_ids_ref: jax.Ref,
    y_ref: jax.Ref,
    lse_ref: jax.Ref,
) -> None:
    """A block of one head's queries against all of its keys."""
    dtype, scale = q_ref.dtype, q_ref.shape[-1] ** -0.5 * LOG2E
    dot = partial(jnp.dot, preferred_element_type=jnp.float32)
    queries = (q_ref[...].astype(jnp.float32) * scale).astype(dtype).T
    scores = jnp.where(key_ids_ref[...] == query_ids_ref[...], dot(k_ref[...], queries), HIDDEN)
    top = scores.max(0, keepdims=True)
    weights = jnp.exp2(scores - top)
    total = weights.sum(0, keepdims=True)
    y_ref[...] = (dot(v_ref[...].T, weights.astype(dtype)) / total).T.astype(dtype)
    lse_ref[...] = (top + jnp.log2(total)) / LOG2E
