"""The guided filter against its definition, and what it is for."""

import jax
import numpy as np

from avatar_jax.models.matting import box_mean, guided


def by_definition(alpha: np.ndarray, picture: np.ndarray, radius: int, eps: float) -> np.ndarray:
    """One channel, one pixel at a time, with a linear solve for every window."""
    height, width = alpha.shape
    wide = [np.pad(x, [(radius, radius)] * 2 + [(0, 0)] * (x.ndim - 2), mode="reflect") for x in (picture, alpha)]
    size = 2 * radius + 1
    slope, offset = np.zeros((height, width, 3)), np.zeros((height, width))
    for y in range(height):
        for x in range(width):
            colours, alphas = (v[y : y + size, x : x + size].reshape(size * size, -1) for v in wide)
            covariance = np.cov(colours.T, bias=True) + eps * np.eye(3)
            slope[y, x] = np.linalg.solve(covariance, (colours * alphas).mean(0) - colours.mean(0) * alphas.mean())
            offset[y, x] = alphas.mean() - slope[y, x] @ colours.mean(0)
    a, b = (np.asarray(box_mean(v[None], radius))[0] for v in (slope, offset[..., None]))
    return np.clip((a * picture).sum(-1) + b[..., 0], 0, 1)


def test_it_is_the_published_filter() -> None:
    rng = np.random.default_rng(0)
    picture, alpha = rng.random((1, 12, 15, 3)).astype(np.float32), rng.random((1, 12, 15, 2)).astype(np.float32)
    made = np.asarray(guided(alpha, picture, 2, 1e-2))
    for k in range(2):
        np.testing.assert_allclose(made[0, ..., k], by_definition(alpha[0, ..., k], picture[0], 2, 1e-2), atol=2e-5)


def test_an_edge_seen_coarsely_lies_where_the_picture_changes() -> None:
    inside = np.hypot(*np.meshgrid(np.arange(64) - 30.5, np.arange(64) - 33.0)) < 20
    picture = np.where(inside[..., None], np.array([0.8, 0.5, 0.3]), np.array([0.2, 0.6, 0.4])).astype(np.float32)
    cells = inside.reshape(32, 2, 32, 2).mean((1, 3))
    coarse = np.asarray(jax.image.resize(cells.astype(np.float32), (64, 64), "linear"))
    made = np.asarray(guided(coarse[None, ..., None], picture[None], 3))[0, ..., 0]
    assert ((made - inside) ** 2).mean() < 0.4 * ((coarse - inside) ** 2).mean()


def test_without_edges_it_is_a_mean_of_means() -> None:
    alpha = np.random.default_rng(1).random((1, 16, 16, 1)).astype(np.float32)
    made = guided(alpha, np.full((1, 16, 16, 3), 0.5, np.float32), 2)
    np.testing.assert_allclose(made, box_mean(box_mean(alpha, 2), 2), atol=1e-4)
