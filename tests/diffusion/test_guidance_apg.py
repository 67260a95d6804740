"""Adaptive projected guidance against hand-computed values, and against plain guidance where both must agree."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from avatar_jax.diffusion.guidance import Guidance, branches, guided
from avatar_jax.diffusion.guidance_apg import Projection, Push, adaptive, projected, pushes
from avatar_jax.diffusion.solver import Stage, integrate

PLAIN = Projection(momentum=0.0, threshold=math.inf, parallel=1.0)
X = jnp.zeros((2, 2))
T = jnp.array(0.5)


def predict(x: jax.Array, t: jax.Array, cond: dict) -> jax.Array:
    """The first number answers to text, the second to audio; `other` moves both."""
    return jnp.stack([100 * cond["text"] + cond["other"], 10 * cond["audio"] + cond["other"]], axis=-1) + 0 * x


FULL = {name: jnp.full(2, value) for name, value in (("text", 1.0), ("audio", 1.0), ("other", 3.0))}
NEGATIVE = {**FULL, "other": jnp.full(2, 1.0)}


def wordless(c: dict) -> dict:
    return {**c, "text": 0 * c["text"]}


def silent(c: dict) -> dict:
    return {**c, "audio": 0 * c["audio"]}


@pytest.mark.parametrize("negative", [None, NEGATIVE], ids=["", "negative"])
@pytest.mark.parametrize("scales", [(1, 1), (1, 2), (3, 1), (2, 2), (5, 4)], ids=str)
def test_without_projection_it_is_plain_guidance(scales: tuple[float, float], negative: dict | None) -> None:
    guidance = Guidance(*scales, negative=0.5)
    velocity, memory = adaptive(predict, *pushes(guidance, FULL, wordless, silent, negative), PLAIN)
    expected = guided(predict, branches(guidance, FULL, wordless, silent, negative))(X, T)
    np.testing.assert_allclose(velocity(X, T, memory(X))[0], expected, rtol=1e-6)


def test_only_needed_predictions_are_made() -> None:
    def counts(*scales: float) -> tuple[int, list[Push]]:
        conditions, found = pushes(Guidance(*scales), FULL, wordless, silent, NEGATIVE)
        return len(conditions), found

    assert counts(1, 1, 0) == (1, [])
    assert counts(5, 1, 0) == (2, [Push(4, 0, 1)])
    assert counts(5, 4, 0.5) == (4, [Push(4, 0, 1), Push(3, 1, 2), Push(0.5, 0, 3)])


def test_projection_by_hand() -> None:
    push, along_x = jnp.array([[3.0, 4.0]]), jnp.array([[2.0, 0.0]])
    np.testing.assert_allclose(projected(push, along_x, Projection(threshold=100, parallel=0)), [[0, 4]], atol=1e-6)
    np.testing.assert_allclose(projected(push, along_x, Projection(threshold=100, parallel=0.5)), [[1.5, 4]], atol=1e-6)
    np.testing.assert_allclose(projected(push, along_x, Projection(threshold=2.5, parallel=1)), [[1.5, 2]], atol=1e-6)
    np.testing.assert_allclose(projected(0 * push, along_x, Projection()), [[0, 0]])


def test_samples_of_a_batch_are_shortened_by_themselves() -> None:
    push, prediction = jnp.array([[0.0, 8.0], [0.0, 1.0]]), jnp.array([[1.0, 0.0], [1.0, 0.0]])
    np.testing.assert_allclose(projected(push, prediction, Projection(threshold=2)), [[0, 2], [0, 1]], atol=1e-6)


def test_negative_momentum_makes_a_lasting_push_fade() -> None:
    conditions, found = pushes(Guidance(2.0, 1.0), FULL, wordless, silent)
    velocity, memory = adaptive(predict, conditions, found, Projection(-0.75, math.inf, 1.0))
    state = memory(X)
    seen = []
    for _ in range(3):
        v, state = velocity(X, T, state)
        seen.append(float(v[0, 0]))
    np.testing.assert_allclose(seen, [103 + 100, 103 + 25, 103 + 81.25])
    moved = integrate([Stage(velocity, 0, 3, memory)], X, np.array([3.0, 2.0, 1.0, 0.0]))
    np.testing.assert_allclose(moved[0, 0], -sum(seen), rtol=1e-6)
