"""The solver loop, its stages and UniPC against hand-computed values."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from avatar_jax.diffusion.flow import velocity_from_x0
from avatar_jax.diffusion.guidance import Guidance, branches, guided
from avatar_jax.diffusion.schedule import sigmas, wan_unipc_sigmas
from avatar_jax.diffusion.solver import EULER, Solver, Stage, euler, forgetful, integrate
from avatar_jax.diffusion.stages import UNGUIDED, Expert, Interval, experts, guidance_within, runs, stages
from avatar_jax.diffusion.unipc import UNIPC

X = jnp.linspace(-1, 1, 6).reshape(2, 3)


def curved(x: jax.Array, t: jax.Array) -> jax.Array:
    return jnp.sin(3 * x) + t


def test_loop_with_euler_is_euler() -> None:
    levels = sigmas(5, 3.0)
    np.testing.assert_allclose(
        integrate([Stage(forgetful(curved), 0, 5)], X, levels), euler(curved, X, levels), atol=1e-6
    )


@pytest.mark.parametrize("solver", [EULER, UNIPC], ids=["euler", "unipc"])
def test_cutting_the_list_changes_nothing(solver: Solver) -> None:
    levels = wan_unipc_sigmas(7, 3.0)
    whole = integrate([Stage(forgetful(curved), 0, 7)], X, levels, solver)
    pieces = [Stage(forgetful(curved), *ends) for ends in ((0, 1), (1, 4), (4, 7))]
    np.testing.assert_allclose(integrate(pieces, X, levels, solver), whole, atol=1e-6)


def test_stages_must_cover_every_step() -> None:
    with pytest.raises(AssertionError, match="cover"):
        integrate([Stage(forgetful(curved), 0, 2), Stage(forgetful(curved), 3, 5)], X, sigmas(5))


def test_velocity_may_be_told_other_times() -> None:
    found = integrate([Stage(forgetful(lambda x, t: x * 0 + t), 0, 2)], X, sigmas(2), times=np.array([3.0, 5.0]))
    np.testing.assert_allclose(found - X, -0.5 * 3 - 0.5 * 5, atol=1e-6)


def test_memory_goes_from_step_to_step_but_not_from_stage_to_stage() -> None:
    def counting(x: jax.Array, t: jax.Array, memory: jax.Array) -> tuple[jax.Array, jax.Array]:
        return x * 0 + memory, memory + 1

    parts = [Stage(counting, 0, 3, lambda x: jnp.zeros(())), Stage(counting, 3, 4, lambda x: jnp.zeros(()))]
    found = integrate(parts, X, np.array([4.0, 3.0, 2.0, 1.0, 0.0]))
    np.testing.assert_allclose(found - X, -(0 + 1 + 2) - 0)


@pytest.mark.parametrize("steps", [1, 2, 6])
def test_unipc_on_the_exact_velocity_finds_the_data(steps: int) -> None:
    data, noise = jax.random.normal(jax.random.key(0), (2, 3, 4))
    stage = Stage(forgetful(lambda x, t: velocity_from_x0(x, data, jnp.full(3, t))), 0, steps)
    np.testing.assert_allclose(integrate([stage], noise, wan_unipc_sigmas(steps, 3.0), UNIPC), data, atol=1e-4)


def test_unipc_is_far_more_exact_than_euler_on_normal_data() -> None:
    """Data from N(0.5, 0.3^2): x keeps its place in standard deviations, so the answer is known."""
    mean, deviation = 0.5, 0.3

    def velocity(x: jax.Array, t: jax.Array) -> jax.Array:
        variance = ((1 - t) * deviation) ** 2 + t**2
        data = mean + (1 - t) * deviation**2 / variance * (x - (1 - t) * mean)
        return (x - data) / t

    def error(solver: Solver) -> float:
        found = integrate([Stage(forgetful(velocity), 0, 64)], X, wan_unipc_sigmas(64, 3.0), solver)
        return float(jnp.abs(found - (mean + deviation * X)).max())

    assert error(EULER) < 0.03
    assert error(UNIPC) < 3e-4


def test_unipc_refuses_a_first_level_of_one() -> None:
    with pytest.raises(ValueError, match="below 1"):
        UNIPC.plan(sigmas(4))


def test_guidance_interval_cuts_the_list_where_it_begins_and_ends() -> None:
    scales = Guidance(5.0, 4.0)
    found = runs(sigmas(10), guidance_within(scales, Interval(0.35, 0.8)))
    assert [(run.choice, run.start, run.stop) for run in found] == [
        (UNGUIDED, 0, 2), (scales, 2, 7), (UNGUIDED, 7, 10),
    ]  # fmt: skip


def test_steps_outside_the_interval_run_one_pass() -> None:
    """Counted where it costs: rows that reach the model, in the program that is traced."""
    rows: list[int] = []

    def predict(x: jax.Array, t: jax.Array, cond: dict) -> jax.Array:
        rows.append(len(x))
        return x * 0 + cond["text"] + 10 * cond["audio"]

    full = {"text": jnp.ones((2, 1)), "audio": jnp.ones((2, 1))}

    def stage_of(scales: Guidance) -> Stage:
        found = branches(scales, full, lambda c: {**c, "text": 0 * c["text"]}, lambda c: {**c, "audio": 0 * c["audio"]})
        return Stage(forgetful(guided(predict, found)), 0, 0)

    levels = sigmas(4)
    parts = stages(runs(levels, guidance_within(Guidance(5, 4), Interval(0.5, 0.75))), stage_of)
    found = integrate(parts, X, levels)
    assert rows == [2, 6, 2]
    np.testing.assert_allclose(found - X, -0.25 * (11 + 45 + 45 + 11), atol=1e-5)


def test_experts_change_at_the_boundary() -> None:
    high, low = Guidance(4.0, 1.0), Guidance(3.0, 1.0)
    choose = experts(0.875, guidance_within(high, Interval()), guidance_within(low, Interval(0.5, 1.0)))
    levels = [1.0, 0.875, 0.874, 0.5, 0.4, 0.0]
    found = runs(levels, choose)
    assert [(run.choice, len(run)) for run in found] == [
        (Expert(0, high), 2), (Expert(1, low), 2), (Expert(1, UNGUIDED), 1),
    ]  # fmt: skip
    told: list[float] = []

    def stage_of(expert: Expert) -> Stage:
        speed = [1.0, 100.0][expert.index] * expert.guidance.text
        told.append(speed)
        return Stage(forgetful(lambda x, t: x * 0 + speed), 0, 0)

    moved = integrate(stages(found, stage_of), X, np.array(levels)) - X
    np.testing.assert_allclose(moved, -(0.126 * 4 + 0.474 * 300 + 0.4 * 100), rtol=1e-5)
    assert told == [4.0, 300.0, 100.0]
