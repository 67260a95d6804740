"""The Pallas kernels, interpreted, against plain attention: values, log-sums, gradients, odd lengths, two dtypes."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from avatar_jax.nn import flash, flash_back, flash_few
from avatar_jax.nn.blockwise import Method, Seen, attention, backward
from avatar_jax.nn.flash import block_size
from avatar_jax.nn.groups import grouped_by_kernel, joined, joined_by_kernel
from avatar_jax.nn.norm import Scale, scaled
from avatar_jax.nn.rope import rope_tables, rotate_plainly
from avatar_jax.nn.rope_kernel import rotate_rows
from tests.nn.test_blockwise import HEADS, ids, plain, some

many = partial(flash.forward, queries=512, keys=256, interpret=True)
few_keys = partial(flash_few.forward, interpret=True)
back = partial(flash_back.backward, queries=256, keys=256, tile=128, interpret=True)


@pytest.mark.parametrize("dtype, atol", [(jnp.float32, 2e-5), (jnp.bfloat16, 4e-2)])
@pytest.mark.parametrize("queries, keys, count, cores", [(700, 900, 893, 1), (300, 130, 130, 1), (1500, 300, 290, 2)])
def test_many_to_many_equals_plain_attention(
    queries: int, keys: int, count: int, cores: int, dtype: jnp.dtype, atol: float
) -> None:
    q, k, v = (x.astype(dtype) for x in some(queries, keys, 128))
    ours = many(q, k, v, HEADS, Seen(count), cores=cores)
    for found, expected in zip(ours, plain(q, k, v, Seen(count)), strict=True):
        np.testing.assert_allclose(np.asarray(found, np.float32), expected, atol=atol)


def test_scores_that_grow_by_more_than_float32_holds_do_not_overflow() -> None:
    q, k, v = some(256, 512, 128)
    k = k.at[:, 256:].multiply(40.0)
    y, lse = many(10 * q, k, v, HEADS, Seen(512))
    expected, expected_lse = plain(10 * q, k, v, Seen(512))
    assert expected_lse.max() > 1000
    np.testing.assert_allclose(lse, expected_lse, rtol=1e-5)
    np.testing.assert_allclose(y, expected, atol=2e-2)


def test_keys_that_are_all_hidden_weigh_nothing() -> None:
    _, lse = many(*some(256, 256, 128), HEADS, Seen(0))
    assert np.isfinite(lse).all() and lse.max() < -1e8


@pytest.mark.parametrize("dtype, atol", [(jnp.float32, 2e-5), (jnp.bfloat16, 4e-2)])
@pytest.mark.parametrize("queries, keys", [(300, 70), (256, 256)])
def test_few_keys_equal_plain_attention(queries: int, keys: int, dtype: jnp.dtype, atol: float) -> None:
    q, k, v = (x.astype(dtype) for x in some(queries, keys, 128))
    for seen in (Seen(keys), ids(queries, keys)):
        for found, expected in zip(few_keys(q, k, v, HEADS, seen), plain(q, k, v, seen), strict=True):
            np.testing.assert_allclose(np.asarray(found, np.float32), expected, atol=atol)


SHARED = Method(partial(many, cores=2), partial(back, cores=2))


@pytest.mark.parametrize("method", [Method(many, backward), Method(few_keys, backward), Method(many, back), SHARED])
def test_gradients_equal_those_of_plain_attention(method: Method) -> None:
    q, k, v = some(300, 260, 128)

    def loss(function, q: jax.Array, k: jax.Array, v: jax.Array) -> jax.Array:
        y, lse = function(q, k, v)
        return (y**2).sum() + jnp.sin(lse).sum()

    ours = jax.grad(partial(loss, lambda q, k, v: attention(method, q, k, v, HEADS, Seen(255))), (0, 1, 2))(q, k, v)
    expected = jax.grad(partial(loss, lambda q, k, v: plain(q, k, v, Seen(255))), (0, 1, 2))(q, k, v)
    for found, wanted in zip(ours, expected, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_gradients_of_more_queries_than_fit_and_of_keys_that_are_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flash_back, "MOST", 128)
    q, k, v = (x[:1] for x in some(160, 150, 128))
    # Longer than float32 holds as a power of two, where nothing hides them.
    k = k.at[:, 100:].multiply(300.0)
    y, lse = plain(q, k, v, Seen(100))
    given = (2 * y, jnp.cos(lse))
    ours = back(q, k, v, HEADS, Seen(100), y, lse, *given)
    for found, wanted in zip(ours, backward(q, k, v, HEADS, Seen(100), y, lse, *given), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-4)
    assert not np.any(ours[1][:, 100:]) and not np.any(ours[2][:, 100:])


@pytest.mark.parametrize(
    "count, cores, expected", [(32_760, 2, (2, 2, 8192)), (75_600, 2, (2, 4, 9472)), (256, 2, (1, 1, 256))]
)
def test_blocks_are_shared_out_evenly(count: int, cores: int, expected: tuple[int, int, int]) -> None:
    assert flash.shares(count, flash.QUERIES, flash.TILE, cores) == expected


@pytest.mark.parametrize("groups, parts", [(2, 1), (1, 2)])
def test_rotation_of_rows_equals_rotation_of_heads(groups: int, parts: int) -> None:
    x = jax.random.normal(jax.random.key(0), (2, 300, HEADS * 128))
    tables = rope_tables(jax.random.uniform(jax.random.key(1), (2, 300, 3), maxval=30.0), 128)
    scale = Scale(*(jax.random.normal(jax.random.key(2), shape) for shape in ((2, 300, 1), (1, 1, HEADS * 128))))

    def plainly(x: jax.Array) -> jax.Array:
        return rotate_plainly(scaled(x, scale), tables, HEADS)

    def by_kernels(x: jax.Array) -> jax.Array:
        rotated_BND = joined_by_kernel(rotate_rows(x, tables, scale, HEADS, groups, parts, True), True)
        return joined(grouped_by_kernel(rotated_BND, groups, parts, True))

    np.testing.assert_allclose(rotate_rows(x, tables, scale, HEADS, 1, 1, True)[0][0], plainly(x), atol=1e-6)
    np.testing.assert_allclose(by_kernels(x), plainly(x), atol=1e-6)
    ours, expected = (jax.grad(lambda x, f=f: (f(x) ** 3).sum())(x) for f in (by_kernels, plainly))
    np.testing.assert_allclose(ours, expected, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("count, largest, size", [(75_776, 5120, 4736), (32_768, 5120, 4096), (900, 5120, 1024)])
def test_blocks_divide_the_tokens_of_the_shipped_sizes(count: int, largest: int, size: int) -> None:
    assert block_size(count, largest) == size
