"""Solvers for the flow's ordinary differential equation, from noise (sigma 1) to data (sigma 0).

A `Solver` is three functions, so that one loop (`integrate`) serves all, and so that the loop can go from one velocity
to another (fewer guidance branches, another expert) while the solver keeps what it remembers.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

Velocity = Callable[[jax.Array, jax.Array], jax.Array]
"""(x, t) -> dx/dt; t is a scalar."""
Remembering = Callable[[jax.Array, jax.Array, Any], tuple[jax.Array, Any]]
"""(x, t, memory) -> (dx/dt, memory): a velocity that depends on the steps before (momentum)."""


def euler(velocity: Velocity, x: Float[Array, "..."], sigmas: Float[Array, "n"]) -> jax.Array:
    """Euler steps along an explicit list of noise levels; `sigmas[0]` is where x is now, the last is usually 0."""

    def step(x: jax.Array, levels: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        now, then = levels
        return x + (then - now) * velocity(x, now), None

    levels = jnp.asarray(sigmas, jnp.float32)
    return jax.lax.scan(step, x, (levels[:-1], levels[1:]))[0]


@dataclass(frozen=True)
class Solver:
    """How to take steps: numbers prepared on the host for each, a state to start from, and the step itself."""

    plan: Callable[[np.ndarray], Any]
    """n + 1 noise levels -> pytree of arrays whose first axis is the n steps."""
    start: Callable[[jax.Array], Any]
    """x at the first noise level -> state. A state is a tuple that begins with x."""
    step: Callable[[Any, Any, jax.Array], Any]
    """(state, this step's part of the plan, velocity at the state's x) -> state."""


EULER = Solver(
    plan=lambda levels: np.diff(levels).astype(np.float32),
    start=lambda x: (x,),
    step=lambda state, change, velocity: (state[0] + change * velocity,),
)


@dataclass(frozen=True)
class Stage:
    """Consecutive steps that are taken with one velocity: steps `start` to `stop` - 1 of a list."""

    velocity: Remembering
    start: int
    stop: int
    memory: Callable[[jax.Array], Any] = lambda x: ()
    """x -> what the velocity remembers before the stage's first step. Stages do not share memories."""


def forgetful(velocity: Velocity) -> Remembering:
    """A plain velocity as one that remembers nothing."""
    return lambda x, t, memory: (velocity(x, t), memory)


def integrate(
    stages: Sequence[Stage],
    x: Float[Array, "..."],
    sigmas: Float[np.ndarray, "n"],
    solver: Solver = EULER,
    times: Float[np.ndarray, "n-1"] | None = None,
) -> jax.Array:
    """x at the last noise level. Each stage is one `lax.scan`, so a stage with fewer branches costs fewer passes.

    Args:
        stages: together all steps, in order.
        sigmas: explicit noise levels on the host; `sigmas[0]` is where x is now.
        times: what the velocity is told at each step where that is not the noise level (schedule.wan_unipc_times).
    """
    edges = [0, *(stage.stop for stage in stages)]
    assert edges[:-1] == [stage.start for stage in stages] and edges[-1] == len(sigmas) - 1, "stages cover all steps"
    plan = solver.plan(np.asarray(sigmas))
    told = np.asarray(sigmas[:-1] if times is None else times, np.float32)
    state = solver.start(x)
    for stage in stages:

        def step(carry: tuple[Any, Any], now: tuple[Any, jax.Array], stage: Stage = stage) -> tuple[Any, None]:
            (state, memory), (numbers, t) = carry, now
            velocity, memory = stage.velocity(state[0], t, memory)
            return (solver.step(state, numbers, velocity), memory), None

        steps = jax.tree.map(lambda a, stage=stage: jnp.asarray(a[stage.start : stage.stop]), (plan, told))
        (state, _), _ = jax.lax.scan(step, (state, stage.memory(state[0])), steps)
    return state[0]
