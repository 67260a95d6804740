"""Flow, noise levels, solver and guidance against hand-computed values."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from avatar_jax.diffusion.flow import noised, velocity_from_x0, x0_from_velocity
from avatar_jax.diffusion.guidance import Guidance, branches, guided
from avatar_jax.diffusion.schedule import sigmas, training_times, wan_euler_sigmas, wan_unipc_sigmas
from avatar_jax.diffusion.solver import euler


def test_velocity_and_x0_are_inverse() -> None:
    x0, noise = jax.random.normal(jax.random.key(0), (2, 3, 4, 5))
    t = jnp.array([0.2, 0.7, 1.0])
    x_t = noised(x0, noise, t)
    velocity = velocity_from_x0(x_t, x0, t)
    np.testing.assert_allclose(velocity, noise - x0, atol=1e-5)
    np.testing.assert_allclose(x0_from_velocity(x_t, velocity, t), x0, atol=1e-5)


def test_times_may_differ_by_frame() -> None:
    x0, noise, t = jnp.zeros((1, 2, 3)), jnp.ones((1, 2, 3)), jnp.array([[0.25, 0.5]])
    np.testing.assert_allclose(noised(x0, noise, t)[0, :, 0], [0.25, 0.5])


def test_published_noise_levels() -> None:
    np.testing.assert_allclose(wan_euler_sigmas(8, 5.0)[-3:], [0.4563, 0.00498, 0], atol=5e-5)
    unipc = [1, 0.97225, 0.93758, 0.89301, 0.83361, 0.7505, 0.62594, 0.41861, 0]
    np.testing.assert_allclose(wan_unipc_sigmas(8, 5.0), unipc, atol=1e-5)
    np.testing.assert_allclose(sigmas(4), [1, 0.75, 0.5, 0.25, 0])


def test_training_sees_more_of_the_noisy_end() -> None:
    t = training_times(jax.random.key(0), 4000)
    assert t.min() > 0 and t.max() < 1
    np.testing.assert_allclose(jnp.median(t), 1 / (1 + np.exp(-1.3)), atol=0.02)


@pytest.mark.parametrize("steps", [1, 5])
def test_euler_on_the_exact_velocity_finds_x0(steps: int) -> None:
    x0, noise = jax.random.normal(jax.random.key(0), (2, 3, 4))
    found = euler(lambda x, t: velocity_from_x0(x, x0, jnp.full(3, t)), noise, sigmas(steps, shift=3.0))
    np.testing.assert_allclose(found, x0, atol=1e-5)


def test_euler_may_start_in_the_middle() -> None:
    found = euler(lambda x, t: jnp.full_like(x, 2.0), jnp.zeros(3), jnp.array([0.5, 0.25]))
    np.testing.assert_allclose(found, -0.5)


def predict(x: jax.Array, t: jax.Array, cond: dict) -> jax.Array:
    return x * 0 + 100 * cond["text"] + 10 * cond["audio"] + cond["other"]


FULL = {"text": jnp.full((2, 1), 1.0), "audio": jnp.full((2, 1), 1.0), "other": jnp.full((2, 1), 3.0)}


def run(scales: Guidance, negative: dict | None = None) -> tuple[float, int]:
    found = branches(
        scales, FULL, lambda c: {**c, "text": c["text"] * 0}, lambda c: {**c, "audio": c["audio"] * 0}, negative
    )
    assert sum(w for w, _ in found) == pytest.approx(1)
    return float(guided(predict, found)(jnp.zeros((2, 1)), jnp.array(0.5))[0, 0]), len(found)


@pytest.mark.parametrize(("text", "audio", "passes"), [(1, 1, 1), (1, 2, 2), (3, 1, 2), (2, 2, 2), (5, 4, 3)], ids=str)
def test_guidance_scales_each_effect_by_itself(text: float, audio: float, passes: int) -> None:
    value, count = run(Guidance(text, audio))
    assert (value, count) == (pytest.approx(100 * text + 10 * audio + 3), passes)


def test_negative_branch_pushes_away() -> None:
    negative = {**FULL, "other": FULL["other"] * 0}
    value, count = run(Guidance(1, 1, negative=0.5), negative)
    assert (value, count) == (pytest.approx(113 + 0.5 * 3), 2)
