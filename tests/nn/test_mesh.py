"""Meshes from a string, and layouts of parameters and train states."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
import pytest
from jax.sharding import PartitionSpec

from avatar_jax.mesh import AXES, constrain, init_sharded, make_mesh, parse_mesh, state_shardings
from avatar_jax.nn.linear import FeedForward


def test_silent_axes_have_one_device() -> None:
    assert parse_mesh("data=4, seq=2") == {"data": 4, "fsdp": 1, "seq": 2, "tensor": 1}
    assert tuple(make_mesh("data=4,seq=2").shape[a] for a in AXES) == (4, 1, 2, 1)


@pytest.mark.parametrize("spec", ["rows=2", "data=0", "data", "data=2,data=2", "data=x"])
def test_a_bad_mesh_is_explained(spec: str) -> None:
    with pytest.raises(ValueError, match=r"Rule: axis=size") as error:
        parse_mesh(spec)
    assert len(str(error.value).splitlines()) <= 3


def test_too_large_a_mesh_is_explained() -> None:
    with pytest.raises(ValueError, match="asks for 4096 devices"):
        make_mesh("data=4096")


def test_without_a_mesh_constrain_is_the_identity() -> None:
    x = jnp.ones((2, 3))
    assert constrain(x, "batch", None) is x


def test_moments_are_laid_out_like_their_parameters() -> None:
    mesh, module = make_mesh("fsdp=2,tensor=2"), FeedForward(12)
    params, shardings = init_sharded(lambda key: module.init(key, jnp.ones((1, 8)))["params"], mesh, jax.random.key(0))
    assert params["up"]["kernel"].sharding.spec == PartitionSpec("fsdp", "tensor")
    tx = optax.adam(1e-3)
    state = {"params": params, "opt": tx.init(params)}
    laid_out = state_shardings(jax.eval_shape(lambda: state), shardings, mesh)
    assert laid_out["opt"][0].mu["up"]["kernel"].spec == PartitionSpec("fsdp", "tensor")
    assert laid_out["opt"][0].count.spec == PartitionSpec()


def test_sizes_that_do_not_divide_stay_whole() -> None:
    mesh, module = make_mesh("fsdp=2,tensor=4"), FeedForward(10)
    params, _ = init_sharded(lambda key: module.init(key, jnp.ones((1, 8)))["params"], mesh, jax.random.key(0))
    assert params["up"]["kernel"].sharding.spec == PartitionSpec("fsdp", None)
    assert isinstance(nn.unbox(params)["up"]["kernel"], jax.Array)


def test_a_batch_that_does_not_divide_still_runs() -> None:
    with jax.set_mesh(make_mesh("data=4,seq=2")):
        y = jax.jit(lambda x: constrain(x * 2, "batch", "tokens", "features"))(jnp.ones((3, 6, 5)))
    assert y.sum() == 180
