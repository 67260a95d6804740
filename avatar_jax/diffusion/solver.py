"""Solvers for the flow's ordinary differential equation, from noise (sigma 1) to data (sigma 0)."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Velocity = Callable[[jax.Array, jax.Array], jax.Array]
"""(x, t) -> dx/dt; t is a scalar."""


def euler(velocity: Velocity, x: Float[Array, "..."], sigmas: Float[Array, "n"]) -> jax.Array:
    """Euler steps along an explicit list of noise levels; `sigmas[0]` is where x is now, the last is usually 0."""

    def step(x: jax.Array, levels: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        now, then = levels
        return x + (then - now) * velocity(x, now), None

    levels = jnp.asarray(sigmas, jnp.float32)
    return jax.lax.scan(step, x, (levels[:-1], levels[1:]))[0]
