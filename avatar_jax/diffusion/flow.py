"""Rectified flow: a straight line from data (t = 0) to noise (t = 1). Liu et al. 2022; Wan and Kling-Avatar use it.

x_t = (1 - t) x0 + t noise, and the velocity along the line is noise - x0 = (x_t - x0) / t.
"""

import jax
from jaxtyping import Array, Float


def spread(t: jax.Array, like: jax.Array) -> jax.Array:
    """t [B] or [B, T] with trailing axes of size one, to multiply an array that starts with the same axes."""
    return t.reshape(t.shape + (1,) * (like.ndim - t.ndim))


def noised(x0: Float[Array, "B ..."], noise: Float[Array, "B ..."], t: jax.Array) -> jax.Array:
    """The point of the line at time t."""
    t = spread(t, x0)
    return (1 - t) * x0 + t * noise


def velocity_from_x0(x_t: Float[Array, "B ..."], x0: Float[Array, "B ..."], t: jax.Array) -> jax.Array:
    """Velocity at x_t of the line that ends in x0; t > 0."""
    return (x_t - x0) / spread(t, x_t)


def x0_from_velocity(x_t: Float[Array, "B ..."], velocity: Float[Array, "B ..."], t: jax.Array) -> jax.Array:
    """Where the line through x_t with this velocity ends."""
    return x_t - spread(t, x_t) * velocity
