"""A student of few steps: it walks the teacher's path, and learns to land where the teacher lands."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from avatar_jax.diffusion.guidance import Guidance
from avatar_jax.mesh import make_mesh
from avatar_jax.training.distil_stage import DistilConfig, DistilStage, path_of
from avatar_jax.training.loop import LoopConfig, first_state
from avatar_jax.training.window_scores import Making, conditions_of, made, velocity_of
from tests.training.test_dit_stage import MODEL, STAGE

HEARD = Guidance(text=1.0, audio=1.5)
CONFIG = DistilConfig(model=MODEL, student_steps=2, substeps=4, teacher_steps=8, guidance=HEARD, sparse=HEARD)


def teacher() -> dict:
    """A few steps of training, so that there is a path to follow."""
    params, tx = jax.jit(STAGE.init)(jax.random.key(0)), optax.adam(3e-3)
    state = tx.init(params)

    @jax.jit
    def step(params: dict, state: optax.OptState, batch: dict, key: jax.Array):
        gradient = jax.grad(STAGE.loss, has_aux=True)(params, batch, key)[0]
        update, state = tx.update(gradient, state)
        return optax.apply_updates(params, update), state

    for n, batch in zip(range(60), STAGE.batches(0), strict=False):
        params, state = step(params, state, batch, jax.random.key(n))
    return params


@pytest.mark.slow
def test_a_student_lands_nearer_to_the_teacher_than_the_teacher_in_as_few_steps(tmp_path) -> None:
    known = teacher()
    stage = DistilStage(CONFIG, STAGE, lambda: known)
    mesh = make_mesh()
    start = jax.tree.map(np.asarray, stage.start(mesh))
    assert all(np.array_equal(a, b) for a, b in zip(*map(jax.tree.leaves, (start, known)), strict=True))
    params, tx = known, optax.adam(1e-3)
    state, fixed = tx.init(params), stage.fixed(mesh)

    @jax.jit
    def step(params: dict, state: optax.OptState, batch: dict, key: jax.Array):
        def loss(p: dict) -> jax.Array:
            return stage.loss(stage.whole(p, fixed), batch, key)[0]

        value, gradient = jax.value_and_grad(loss)(params)
        update, state = tx.update(gradient, state)
        return optax.apply_updates(params, update), state, value

    for n, batch in zip(range(60), stage.batches(0), strict=False):
        params, state, value = step(params, state, batch, jax.random.key(n))
    assert np.isfinite(value)

    cond = conditions_of(STAGE.held_out_batch, "none")
    aim = made(MODEL, known, cond, Making(8, CONFIG.guidance), 0)
    few = made(MODEL, known, cond, Making(2, CONFIG.guidance), 0)
    student = made(MODEL, params, cond, Making(2, Guidance(1.0, 1.0)), 0)
    unguided = made(MODEL, known, cond, Making(2, Guidance(1.0, 1.0)), 0)

    def away(x: np.ndarray) -> float:
        return float(np.mean((x - aim)[:, :, :-1, :128] ** 2))

    assert away(student) < away(unguided) and away(student) < 1.2 * away(few)
    scores = stage.evaluate(stage.finish(params))
    assert {"mouth", "teacher_mouth", "teacher_few_mouth", "halved_mouth", "kept"} <= scores.keys()
    assert stage.gate({"kept": 0.96}) and not stage.gate({"kept": 0.9})


@pytest.mark.slow
def test_the_teacher_is_its_own_student_where_a_phase_has_one_step_and_no_guidance() -> None:
    """One substep, no guidance: the end of the phase is where the teacher goes anyway, so nothing is to learn."""
    known = jax.jit(STAGE.init)(jax.random.key(0))
    stage = DistilStage(
        replace(CONFIG, substeps=1, guidance=Guidance(1.0, 1.0), sparse=Guidance(1.0, 1.0)), STAGE, lambda: known
    )
    batch = {name: jnp.asarray(x) for name, x in next(stage.batches(0)).items()}
    loss, _ = stage.loss(stage.whole(known, stage.fixed(make_mesh())), batch, jax.random.key(0))
    assert float(loss) < 1e-8


@pytest.mark.parametrize("scales", [(1.0, 1.5), (2.5, 1.5), (1.5, 1.0), (1.5, 1.5), (1.0, 1.0)])
def test_every_window_is_guided_as_its_spacing_asks(scales: tuple[float, float]) -> None:
    known = jax.jit(STAGE.init)(jax.random.key(5))
    # Fresh gates are shut: neither prompt nor sound would be seen.
    known = jax.tree.map(lambda p: p + 0.1 * jax.random.normal(jax.random.key(p.size), p.shape), known)
    cond = jax.tree.map(jnp.asarray, conditions_of(STAGE.held_out_batch, "first"))
    other, B = Guidance(3.0, 2.0), cond.times_BT.shape[0]
    far_B = np.arange(B) % 2 == 0
    cond = cond.replace(times_BT=cond.times_BT * jnp.where(far_B, 3.0, 1.0)[:, None])
    config = replace(CONFIG, guidance=other, sparse=Guidance(*scales))
    x = jax.random.normal(jax.random.key(6), cond.known_BTPC.shape)
    t_B = jnp.full(B, 0.7)
    found = np.asarray(path_of(config, known, cond)(x, t_B))
    for guidance, rows in ((config.sparse, far_B), (other, ~far_B)):
        want = np.asarray(velocity_of(MODEL, Making(guidance=guidance), known, cond, cond)(x, t_B))
        np.testing.assert_allclose(found[rows], want[rows], atol=2e-5)
        assert np.abs(found[~rows] - want[~rows]).max() > 1e-4


def test_a_run_begins_with_the_teacher_and_keeps_it_out_of_its_checkpoints(tmp_path) -> None:
    known = jax.jit(STAGE.init)(jax.random.key(3))
    stage = DistilStage(CONFIG, STAGE, lambda: known)

    class NoCheckpoint:
        def step(self) -> None:
            return None

    keys = jax.random.split(jax.random.key(0))
    state, _ = first_state(stage, *keys, make_mesh(), NoCheckpoint(), LoopConfig())  # pyright: ignore
    assert all(np.array_equal(a, b) for a, b in zip(*map(jax.tree.leaves, (state.params, known)), strict=True))
