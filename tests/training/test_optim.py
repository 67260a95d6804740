"""The learning-rate schedule, which parameters are matrices to Muon, and the running average."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from avatar_jax.training.optim import OptimConfig, kernels, optimiser, schedule
from avatar_jax.training.state import average


def test_schedule_rises_stays_and_falls_to_zero() -> None:
    factor = schedule(OptimConfig(steps=100, warmup=0.1, decay=0.5))
    np.testing.assert_allclose([factor(s) for s in (0, 4, 9, 30, 50, 75, 99, 100)], [0.1, 0.5, 1, 1, 1, 0.5, 0.02, 0])


def test_muon_takes_kernels_and_flattens_convolutions_but_not_stacked_layers() -> None:
    params = {
        "conv": {"kernel": jnp.zeros((3, 3, 8, 16)), "bias": jnp.zeros(16)},
        "layers": {"q": {"kernel": jnp.zeros((6, 8, 16)), "bias": jnp.zeros((6, 16))}, "modulation": jnp.zeros((6, 8))},
        "words": jnp.zeros((100, 8)),
    }
    found = kernels(params)
    assert found["conv"]["kernel"] == ((0, 1, 2), 3)
    assert found["layers"]["q"]["kernel"] == ((1,), 2)
    leaves = jax.tree.leaves(found, is_leaf=lambda x: x is None or hasattr(x, "output_axis"))
    assert sum(leaf is not None for leaf in leaves) == 2


@pytest.mark.parametrize("shape", [(8, 16), (3, 3, 8, 16)])
def test_a_muon_step_has_the_root_mean_square_that_the_config_asks_for(shape: tuple[int, ...]) -> None:
    config = OptimConfig(steps=10, rate=1.0, warmup=0.1, clip=1e9, consistent_rms=0.2)
    params = {"kernel": jnp.zeros(shape)}
    tx = optimiser(config)
    updates, _ = tx.update({"kernel": jax.random.normal(jax.random.key(0), shape)}, tx.init(params), params)
    size = float(jnp.sqrt(jnp.mean(updates["kernel"] ** 2)))
    assert 0.1 < size < 0.3


def test_every_layer_of_a_stack_is_orthogonalised_by_itself() -> None:
    config = OptimConfig(steps=10, rate=1.0, warmup=0.1, clip=1e9)
    tx, grads = optimiser(config), jax.random.normal(jax.random.key(0), (3, 8, 16))

    def step(tree: dict) -> dict:
        return tx.update(tree, tx.init(tree), tree)[0]

    stacked = step({"layers": {"kernel": grads}})["layers"]["kernel"]
    np.testing.assert_allclose(stacked[1], step({"kernel": grads[1]})["kernel"], atol=1e-5)


def test_weight_decay_leaves_vectors_alone() -> None:
    for kind in ("muon", "adamw"):
        tx = optimiser(OptimConfig(steps=10, rate=0.1, warmup=0.1, kind=kind, weight_decay=0.1))
        params = {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2)}
        updates, _ = tx.update(jax.tree.map(jnp.zeros_like, params), tx.init(params), params)
        assert float(updates["kernel"][0, 0]) < -1e-3
        assert float(updates["bias"][0]) == 0


def test_average_by_hand() -> None:
    new, old = {"a": jnp.array(1.0)}, {"a": jnp.array(0.0)}
    assert float(average(old, new, jnp.array(0), 0.998)["a"]) == pytest.approx(0.9)
    assert float(average(old, new, jnp.array(100_000), 0.998)["a"]) == pytest.approx(0.002, rel=1e-4)
