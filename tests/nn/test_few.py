"""Several sets of few keys read in one call of the kernel, interpreted, against one plain attention for each."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from avatar_jax.nn import few, flash_few
from avatar_jax.nn.blockwise import Seen
from avatar_jax.nn.flash_few import Keys
from avatar_jax.nn.norm import Scale
from avatar_jax.nn.rope import time_tables
from tests.nn.test_blockwise import HEADS, plain, some

B, N, WIDTH = 2, 300, HEADS * 128
by_kernel = partial(few.by_kernel, interpret=True)


def draw(seed: int, *shape: int) -> jax.Array:
    return jax.random.normal(jax.random.key(seed), shape)


def sets() -> tuple[Keys, ...]:
    """A prompt in force for some tokens; the words of all shots, some hidden, by time; sound beside each frame."""
    shares = jax.nn.sigmoid(draw(1, B, N))
    prompt = Keys(draw(2, B, 70, WIDTH), draw(3, B, 70, WIDTH), share_BN=shares)
    hidden = jnp.zeros((B, N), jnp.int32), jnp.where(jnp.arange(260) < jnp.array([[100], [260]]), 0, -1)
    told = Keys(draw(4, B, 260, WIDTH), draw(5, B, 260, WIDTH), hidden, tables=time_tables(draw(6, B, N), 128))
    frames = jnp.broadcast_to(jnp.arange(N) // 100, (B, N)), jnp.broadcast_to(jnp.repeat(jnp.arange(3), 5), (B, 15))
    return prompt, told, Keys(draw(7, B, 15, WIDTH), draw(8, B, 15, WIDTH), frames)


@pytest.mark.parametrize("number", [1, 3])
def test_all_sets_at_once_equal_one_after_the_other(number: int) -> None:
    q, scale = draw(0, B, N, WIDTH), Scale(jnp.abs(draw(9, B, N, 1)), draw(10, 1, 1, WIDTH))

    def loss(read: few.Read, q: jax.Array, scale: Scale, sets: tuple[Keys, ...]) -> tuple[jax.Array, jax.Array]:
        y = read(q, sets, HEADS, scale)
        return (y * jnp.sin(jnp.arange(y.size).reshape(y.shape))).sum(), y

    given = (q, scale, sets()[:number])
    found, expected = (
        jax.value_and_grad(partial(loss, read), (0, 1, 2), has_aux=True, allow_int=True)(*given)
        for read in (by_kernel, few.blockwise)
    )
    np.testing.assert_allclose(found[0][1], expected[0][1], atol=2e-5)
    for ours, theirs in zip(jax.tree.leaves(found[1]), jax.tree.leaves(expected[1]), strict=True):
        if ours.dtype == jnp.float32:
            np.testing.assert_allclose(ours, theirs, atol=2e-3, rtol=1e-4)


@pytest.mark.parametrize("factor", [40.0, 1e4])
def test_scores_beyond_what_float32_holds_are_made_again(factor: float) -> None:
    q, k, v = some(600, 200, 128)
    y, lse = flash_few.forward(factor * q, k, v, HEADS, Seen(200), interpret=True)
    expected, expected_lse = plain(factor * q, k, v, Seen(200))
    assert expected_lse.max() > 128
    np.testing.assert_allclose(lse, expected_lse, rtol=1e-5)
    np.testing.assert_allclose(y, expected, atol=1e-2)


def test_a_query_that_sees_no_key_spoils_no_other() -> None:
    q, k, v = some(300, 40, 128)
    seen = Seen(40, jnp.broadcast_to(jnp.where(jnp.arange(300) < 290, 0, 7), q.shape[:2]), jnp.zeros(k.shape[:2], int))
    y, lse = flash_few.forward(q, k, v, HEADS, seen, interpret=True)
    np.testing.assert_allclose(y[:, :290], plain(q, k, v, seen)[0][:, :290], atol=2e-5)
    assert np.isfinite(y).all() and np.isfinite(lse).all()
