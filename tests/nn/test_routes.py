"""Attention over devices: exchange of heads equals the ring equals one device; few keys never move tokens."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from avatar_jax.mesh import make_mesh
from avatar_jax.nn import flash, flash_back, ring, ulysses
from avatar_jax.nn.attention import attend, attend_in_frames, merge_heads, split_heads
from avatar_jax.nn.blockwise import BLOCKWISE, Method, Seen
from avatar_jax.nn.groups import grouped, joined
from avatar_jax.nn.rope import rope_tables
from avatar_jax.nn.route import (
    ANYWHERE,
    TPU,
    TPU_OF_TWO_CORES,
    Few,
    frame_attend,
    kernels,
    padding,
    read_attend,
    self_attend,
)

many = Method(
    partial(flash.forward, queries=256, keys=256, interpret=True),
    partial(flash_back.backward, queries=256, keys=256, tile=128, interpret=True),
)


def draws(*shapes: tuple[int, ...]) -> list[jax.Array]:
    keys = jax.random.split(jax.random.key(3), len(shapes))
    return [jax.random.normal(key, shape) for key, shape in zip(keys, shapes, strict=True)]


def by_heads(method: Method, q: jax.Array, k: jax.Array, v: jax.Array, heads: int, seen: Seen, axis: str) -> jax.Array:
    cut = (devices := jax.lax.axis_size(axis), ulysses.parts(heads // devices))
    return joined(ulysses.attend(method, *(grouped(x, *cut) for x in (q, k, v)), heads, seen, axis))


@pytest.mark.parametrize("kind, count, many", [("TPU v6 lite", 1, TPU.many), ("TPU v5", 2, TPU_OF_TWO_CORES.many)])
def test_kernels_are_those_of_the_chip_that_the_mesh_is_of(kind: str, count: int, many: Method) -> None:
    device = jax.sharding.AbstractDevice(device_kind=kind, num_cores=count, platform="tpu")
    with jax.sharding.use_abstract_mesh(jax.sharding.AbstractMesh((2,), ("seq",), abstract_device=device)):
        assert kernels(32_760, 128).many is many
        assert kernels(32_760, 64) is ANYWHERE and kernels(10, 128) is ANYWHERE
    assert kernels(32_760, 128) is ANYWHERE


@pytest.mark.parametrize("exchange", [by_heads, ring.attend])
@pytest.mark.parametrize("method, heads, width, n", [(BLOCKWISE, 8, 4, 3), (BLOCKWISE, 24, 4, 3), (many, 2, 128, 24)])
def test_tokens_over_devices_equal_one_device(exchange, method: Method, heads: int, width: int, n: int) -> None:
    ways = min(8, heads)
    mesh, tokens = make_mesh(f"seq={ways}"), ways * n
    q, k, v, pull = draws(*[(2, tokens, heads * width)] * 4)
    seen = tokens - 2
    split = PartitionSpec(None, "seq")

    @jax.jit
    @partial(jax.value_and_grad, argnums=(0, 1, 2), has_aux=True)
    def over_devices(q: jax.Array, k: jax.Array, v: jax.Array) -> tuple[jax.Array, jax.Array]:
        run = jax.shard_map(
            lambda q, k, v: exchange(method, q, k, v, heads, Seen(seen), "seq"),
            in_specs=(split, split, split),
            out_specs=split,
            check_vma=False,
        )
        y = run(q, k, v)
        return (y * pull).sum(), y

    @partial(jax.value_and_grad, argnums=(0, 1, 2), has_aux=True)
    def alone(q: jax.Array, k: jax.Array, v: jax.Array) -> tuple[jax.Array, jax.Array]:
        y = merge_heads(attend(*(split_heads(x, heads) for x in (q, k[:, :seen], v[:, :seen]))))
        return (y * pull).sum(), y

    with jax.set_mesh(mesh):
        (_, found), found_gradients = over_devices(q, k, v)
    (_, expected), gradients = alone(q, k, v)
    np.testing.assert_allclose(np.asarray(found), expected, atol=2e-5)
    for ours, theirs in zip(found_gradients, gradients, strict=True):
        np.testing.assert_allclose(np.asarray(ours), theirs, atol=1e-4)


@pytest.mark.parametrize("spec", ["data=2,seq=4", "seq=2,tensor=2", "data=2,seq=3", "tensor=4", "seq=8"])
def test_every_mesh_gives_the_same(spec: str) -> None:
    """Heads divide (4 over 4, or 2 of 4 over 2), or they do not (4 over 3 and 8: a ring)."""
    heads, T, P, U = 4, 3, 7, 5
    q, k, v, words, said, heard, sounded = draws(
        *[(2, T * P, 48)] * 3, (2, 6, 48), (2, 6, 48), (2, T, U, 48), (2, T, U, 48)
    )
    positions = jax.random.uniform(jax.random.key(1), (2, T * P, 3), maxval=9.0)
    seen = jnp.arange(6) < jnp.array([[4], [6]])

    @jax.jit
    def all_three(q, k, v, words, said, heard, sounded):
        padded = padding(T * P, 12)
        grow = partial(jnp.pad, pad_width=((0, 0), (0, padded), (0, 0)))
        q, k, v, tables = grow(q), grow(k), grow(v), rope_tables(grow(positions), 12)
        each = self_attend(q, k, v, heads, tables, padded)
        few = read_attend(q, (Few(words, said, seen, tables=tables), Few(said, words)), heads, None, padded)
        sound = frame_attend(q, heard, sounded, heads, padded)
        return tuple(y[:, : T * P] for y in (each, few, sound))

    args = (q, k, v, words, said, heard, sounded)
    expected = all_three(*args)
    with jax.set_mesh(make_mesh(spec)):
        # Traced anew: the route depends on the mesh.
        found = jax.jit(lambda *args: all_three.__wrapped__(*args))(*args)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(np.asarray(ours), theirs, atol=1e-5)


def test_sound_by_frame_number_equals_sound_by_frame_where_frames_do_not_divide() -> None:
    T, P, U, heads = 5, 8, 3, 4
    q, k, v = draws((1, T * P, 32), (1, T, U, 32), (1, T, U, 32))
    expected = merge_heads(attend_in_frames(attend, *(split_heads(x, heads) for x in (q, k, v))))

    def reading(q: jax.Array, k: jax.Array, v: jax.Array) -> jax.Array:
        return (frame_attend(q, k, v, heads) ** 2).sum()

    gradients = jax.grad(reading, argnums=(0, 1, 2))(q, k, v)
    with jax.set_mesh(make_mesh("seq=8")):
        found = jax.jit(lambda *args: frame_attend(*args, heads))(q, k, v)
        over_devices = jax.jit(jax.grad(lambda *args: reading(*args), argnums=(0, 1, 2)))(q, k, v)
    np.testing.assert_allclose(np.asarray(found), expected, atol=1e-6)
    for ours, theirs in zip(over_devices, gradients, strict=True):
        np.testing.assert_allclose(np.asarray(ours), theirs, atol=1e-5)


def test_text_attention_exchanges_nothing() -> None:
    q, k, v = draws((1, 64, 32), (1, 6, 32), (1, 6, 32))
    with jax.set_mesh(make_mesh("seq=8")):
        q = jax.device_put(q, jax.NamedSharding(jax.sharding.get_mesh(), PartitionSpec(None, "seq")))
        program = jax.jit(lambda q, k, v: read_attend(q, (Few(k, v),), 4)).lower(q, k, v).compile().as_text()
    assert program is not None
    assert not any(word in program for word in ("all-gather", "all-to-all", "collective-permute", "all-reduce"))


@pytest.mark.parametrize("spec, expected", [("", 0), ("seq=4", 3), ("data=2,seq=4", 3)])
def test_tokens_are_padded_for_the_mesh_alone(spec: str, expected: int) -> None:
    with jax.set_mesh(make_mesh(spec)):
        assert padding(21, 12) == expected
