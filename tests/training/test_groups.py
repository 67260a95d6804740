"""Groups, accumulation, where moments lie and in which numbers: each changes what it says, and nothing else."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from avatar_jax.mesh import make_mesh
from avatar_jax.training.groups import GROUPS, Group, labels
from avatar_jax.training.loop import LoopConfig, run
from avatar_jax.training.optim import FINE_TUNE, OptimConfig, optimiser
from avatar_jax.training.stage import CannotTrain
from avatar_jax.training.state import averaged, create, layout, train_step
from tests.training.toy_stage import ToyConfig, ToyStage

LOOP = LoopConfig()


def stage(**changes: Any) -> ToyStage:
    return ToyStage(ToyConfig(optimiser=replace(OptimConfig(steps=6, rate=0.02), **changes)))


def trained(tmp_path: Path, name: str, mesh: str = "", **changes: Any) -> Any:
    return run(stage(**changes), tmp_path / name, make_mesh(mesh), LOOP)


PATHS = {
    "dit/blocks/layers/cross_attn/q/kernel": "text",
    "dit/blocks/layers/cross_attn/k_img/kernel": "image",
    "dit/blocks/layers/cross_attn/k_audio/bias": "audio",
    "dit/blocks/layers/audio_cross_attn/q_linear/kernel": "audio",
    "dit/blocks/layers/norm_x/scale": "audio",
    "audio_projector/proj1/kernel": "audio",
    "dit/blocks/layers/storyline_attn/o/kernel": "director",
    "dit/blocks/layers/self_attn/q/lora_down": "self",
    "dit/head/head/kernel": "",
}


@pytest.mark.parametrize(("path", "name"), PATHS.items())
def test_a_parameter_is_in_the_group_that_its_name_says(path: str, name: str) -> None:
    groups = [Group(n) for n in GROUPS]
    assert next((g.name for g in groups if g.holds(path)), "") == name


def test_a_group_of_nothing_is_a_mistake() -> None:
    with pytest.raises(CannotTrain, match="did you mean audio"):
        labels({"up": {"kernel": 1}}, [Group("audoi")])
    with pytest.raises(CannotTrain, match="no pattern"):
        labels({"up": {"kernel": 1}}, [Group("?!up/.*", 0)])


@pytest.mark.parametrize("kind", ["muon", "adamw", "adafactor"])
def test_frozen_leaves_are_bit_equal_after_steps_and_the_others_move(tmp_path: Path, kind: str) -> None:
    before = jax.jit(stage().init)(jax.random.split(jax.random.key(0))[0])
    state = trained(tmp_path, kind, kind=kind, frozen=("down/.*",), weight_decay=0.1)
    start = create(stage(), jax.random.split(jax.random.key(0))[0]).params
    del before
    for name in ("kernel", "bias"):
        assert np.array_equal(state.params["down"][name], start["down"][name])
        assert not np.array_equal(state.params["up"][name], start["up"][name])
    held = [x for x in jax.tree.leaves(state.moments) if x.shape == state.params["down"]["kernel"].shape]
    assert not held, "what is frozen has no moments"


def test_a_group_learns_at_its_own_rate() -> None:
    params = {"a": {"kernel": jnp.ones((4, 4))}, "b": {"kernel": jnp.ones((4, 4))}}
    tx = optimiser(OptimConfig(steps=10, rate=0.1, warmup=0.1, kind="adamw", groups=(Group("b/.*", 0.25),)))
    updates, _ = tx.update(params, tx.init(params), params)
    np.testing.assert_allclose(updates["b"]["kernel"], 0.25 * updates["a"]["kernel"], rtol=1e-5)


def test_fine_tuning_is_adamw_at_the_papers_rate() -> None:
    assert (FINE_TUNE.kind, FINE_TUNE.rate) == ("adamw", 1e-5)
    params = {"kernel": jnp.ones((2, 2))}
    tx = optimiser(replace(FINE_TUNE, warmup=0.0, weight_decay=0.0))
    updates, _ = tx.update({"kernel": jnp.full((2, 2), 0.01)}, tx.init(params), params)
    np.testing.assert_allclose(updates["kernel"], -1e-5, rtol=1e-3)


def test_adafactor_keeps_rows_and_columns_alone() -> None:
    params = {"kernel": jnp.ones((256, 128))}
    held = sum(x.size for x in jax.tree.leaves(optimiser(OptimConfig(kind="adafactor")).init(params)))
    assert held < 2 * (256 + 128)


class Steady(ToyStage):
    """Without noise, so that parts of a batch can be told from the whole by rounding alone."""

    def loss(self, params: Any, batch: Any, key: jax.Array) -> Any:
        x, target = batch["x"], batch["y"]
        h = jnp.maximum(x @ params["up"]["kernel"] + params["up"]["bias"], 0)
        error = h @ params["down"]["kernel"] + params["down"]["bias"] - target
        return jnp.mean(error**2), {"bias": jnp.mean(error)}


@pytest.mark.xdist_group("mesh")
def test_accumulated_parts_give_the_gradient_of_the_whole_batch(tmp_path: Path) -> None:
    whole, parts = (
        run(Steady(ToyConfig(optimiser=OptimConfig(steps=6, rate=0.02, accumulate=n))), tmp_path / str(n), mesh, LOOP)
        for n, mesh in ((1, make_mesh()), (4, make_mesh("data=2")))
    )
    for a, b in zip(jax.tree.leaves(whole.params), jax.tree.leaves(parts.params), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5)


def test_parts_that_do_not_divide_the_batch_are_told(tmp_path: Path) -> None:
    with pytest.raises(CannotTrain, match="8 rows on 1 devices in 3 parts"):
        trained(tmp_path, "parts", accumulate=3)


@pytest.mark.xdist_group("mesh")
def test_moments_in_the_hosts_memory_change_no_bit(tmp_path: Path) -> None:
    mesh = "data=2,fsdp=2"
    near, far = (trained(tmp_path, str(off), mesh, offload=off, kind="adamw") for off in (False, True))
    assert {x.sharding.memory_kind for x in jax.tree.leaves(far.moments)} == {"pinned_host"}
    assert {x.sharding.memory_kind for x in jax.tree.leaves(far.params)} == {"device"}
    assert all(np.array_equal(a, b) for a, b in zip(*map(jax.tree.leaves, (near, far)), strict=True))
    longer = run(stage(offload=True, kind="adamw", steps=8), tmp_path / "True", make_mesh(mesh), LOOP)
    assert int(longer.step) == 8, "and a checkpoint of them opens again"


def test_without_an_average_none_is_kept(tmp_path: Path) -> None:
    state = trained(tmp_path, "none", ema=0.0)
    assert jax.tree.leaves(state.ema) == [] and averaged(state) is state.params
    abstract = layout(stage(ema=0.0), jax.random.key(0), make_mesh())
    assert len(jax.tree.leaves(abstract.params)) == 4


def test_half_precision_moments_beside_full_precision_weights() -> None:
    this = stage(kind="adamw", moments="bf16")
    state = create(this, jax.random.key(0))
    kinds = {x.dtype for x in jax.tree.leaves(state.moments) if x.ndim}
    assert kinds == {jnp.dtype(jnp.bfloat16), jnp.dtype(jnp.float32)}
    batch = {name: x for name, x in next(this.batches(0)).items() if name != "example_B"}
    after, _ = jax.jit(lambda s: train_step(this, s, batch, jax.random.key(0)))(state)
    assert {x.dtype for x in jax.tree.leaves(after.params)} == {jnp.dtype(jnp.float32)}
