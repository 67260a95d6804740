"""Edges of layers drawn along the picture's own: the guided filter (He, Sun and Tang 2013, section 3).

Around every pixel alpha is fitted as a straight line of the picture's colour; so an edge that a network saw at
256 pixels lies, in a portrait of 512 or 1024, where the colours change.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

EPS = 1e-4
"""Variance of the picture below which it is not followed."""
REACH = 3 / 512
"""Radius of the fit in picture widths."""


def box_mean(x: Float[Array, "B H W C"], radius: int) -> Float[Array, "B H W C"]:
    """Mean over squares of 2 radius + 1 pixels, mirrored at the edges."""
    for axis in (1, 2):
        margin = [(radius, radius) if i == axis else (0, 0) for i in range(4)]
        padded, length = jnp.pad(x, margin, mode="reflect"), x.shape[axis]
        shifts = [jax.lax.slice_in_dim(padded, k, k + length, axis=axis) for k in range(2 * radius + 1)]
        x = sum(shifts[1:], shifts[0]) / len(shifts)
    return x


def guided(
    alpha: Float[Array, "B H W K"], picture: Float[Array, "B H W 3"], radius: int, eps: float = EPS
) -> Float[Array, "B H W K"]:
    """Each channel of alpha in 0 to 1, smoothed along and sharpened across the edges of the picture (0 to 1)."""
    K = alpha.shape[-1]
    products = [picture[..., i] * picture[..., j] for i, j in PAIRS]
    with_alpha = (picture[..., :, None] * alpha[..., None, :]).reshape(*alpha.shape[:-1], 3 * K)
    means = box_mean(jnp.concatenate([picture, jnp.stack(products, -1), alpha, with_alpha], axis=-1), radius)
    mean, square, mean_alpha, cross = jnp.split(means, [3, 9, 9 + K], axis=-1)
    spread = [square[..., n] - mean[..., i] * mean[..., j] + (eps if i == j else 0.0) for n, (i, j) in enumerate(PAIRS)]
    covariance = cross.reshape(*alpha.shape[:-1], 3, K) - mean[..., :, None] * mean_alpha[..., None, :]
    slope = jnp.stack(solve(spread, [covariance[..., i, :] for i in range(3)]), axis=-2)
    offset = mean_alpha - (slope * mean[..., None]).sum(-2)
    line = box_mean(jnp.concatenate([slope.reshape(*alpha.shape[:-1], 3 * K), offset], axis=-1), radius)
    followed = (line[..., : 3 * K].reshape(*alpha.shape[:-1], 3, K) * picture[..., None]).sum(-2)
    return jnp.clip(followed + line[..., 3 * K :], 0, 1)


PAIRS = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
"""Places of a symmetric 3 x 3 matrix as it is kept here."""


def solve(matrix: list[Array], right: list[Array]) -> list[Array]:
    """x of M x = right for symmetric 3 x 3 matrices, entry by entry as in PAIRS (Cramer's rule)."""
    a, b, c, d, e, f = (x[..., None] for x in matrix)
    minors = [d * f - e * e, c * e - b * f, b * e - c * d, a * f - c * c, b * c - a * e, a * d - b * b]
    whole = a * minors[0] + b * minors[1] + c * minors[2]
    rows = ((0, 1, 2), (1, 3, 4), (2, 4, 5))
    return [sum((minors[n] * right[i] for i, n in enumerate(row)), jnp.zeros_like(right[0])) / whole for row in rows]
