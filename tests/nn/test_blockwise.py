"""Attention in blocks equals attention with every score in memory: values, log-sums, gradients, masks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from avatar_jax.nn.blockwise import BLOCKWISE, Seen, attention

HEADS = 2


def plain(q_BND: jax.Array, k_BMD: jax.Array, v_BMD: jax.Array, seen: Seen) -> tuple[jax.Array, jax.Array]:
    q, k, v = (x.reshape(*x.shape[:2], HEADS, -1).astype(jnp.float32) for x in (q_BND, k_BMD, v_BMD))
    scores = jnp.einsum("BNAK,BMAK->BANM", q, k) * q.shape[-1] ** -0.5
    visible = (jnp.arange(k.shape[1]) < seen.keys)[None, None]
    if seen.query_ids_BN is not None and seen.key_ids_BM is not None:
        visible = visible & (seen.query_ids_BN[:, :, None] == seen.key_ids_BM[:, None])
    scores = jnp.where(visible[:, None], scores, -1e30)
    y = jnp.einsum("BANM,BMAK->BNAK", jax.nn.softmax(scores), v).reshape(q_BND.shape)
    return y, jax.nn.logsumexp(scores, axis=-1)


def some(queries: int, keys: int, width: int = 8) -> tuple[jax.Array, jax.Array, jax.Array]:
    draws = jax.random.split(jax.random.key(queries), 3)
    q, k, v = (jax.random.normal(d, (2, n, HEADS * width)) for d, n in zip(draws, (queries, keys, keys), strict=True))
    return q, k, v


def ids(queries: int, keys: int) -> Seen:
    return Seen(keys - 3, jnp.tile(jnp.arange(queries) % 3, (2, 1)), jnp.tile(jnp.arange(keys) % 3, (2, 1)))


@pytest.mark.parametrize("queries, keys, seen", [(1100, 2050, Seen(2047)), (600, 70, ids(600, 70)), (7, 5, Seen(5))])
def test_blocks_equal_the_whole_and_so_do_their_gradients(queries: int, keys: int, seen: Seen) -> None:
    args = some(queries, keys)
    pull = jax.random.normal(jax.random.key(9), args[0].shape)

    def reading(function):
        def total(*args: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
            y, lse = function(*args)
            return (y * pull).sum() + (lse * jnp.sin(jnp.arange(queries))).sum(), (y, lse)

        return jax.jit(jax.value_and_grad(total, argnums=(0, 1, 2), has_aux=True))

    (_, ours), our_gradients = reading(lambda q, k, v: attention(BLOCKWISE, q, k, v, HEADS, seen))(*args)
    (_, whole), gradients = reading(lambda q, k, v: plain(q, k, v, seen))(*args)
    for found, expected in zip((*ours, *our_gradients), (*whole, *gradients), strict=True):
        np.testing.assert_allclose(found, expected, atol=3e-5)


def test_no_block_of_scores_is_larger_than_asked_for() -> None:
    """What 32,760 tokens need on a CPU is bounded by the block, not by the square of the tokens."""
    q = jax.ShapeDtypeStruct((1, 32_760, 256), jnp.float32)
    program = jax.jit(lambda q, k, v: attention(BLOCKWISE, q, k, v, 2, Seen(32_760))[0]).lower(q, q, q)
    memory = program.compile().memory_analysis()
    assert memory is not None and memory.temp_size_in_bytes < 600 * 2**20
