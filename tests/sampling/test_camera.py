"""The camera's path: smooth, true to a steady move, the same for every frame rate."""

from fractions import Fraction

import numpy as np
import pytest

from avatar_jax.models.avatar_codec import POSE_PATCH
from avatar_jax.sampling.camera import CAMERA, CameraConfig, camera_path, steady

FPS, STRIDE = Fraction(25, 2), 3


def blueprint(camera_N3: np.ndarray) -> np.ndarray:
    latents = np.random.default_rng(0).standard_normal((len(camera_N3), 17, 136)).astype(np.float32)
    latents[:, POSE_PATCH, CAMERA] = camera_N3
    return latents


def test_a_trembling_camera_becomes_smooth_and_nothing_else_changes() -> None:
    rng = np.random.default_rng(1)
    trembling = blueprint(np.linspace(0, 1, 40)[:, None] + 0.1 * rng.standard_normal((40, 3)))
    calm = steady(trembling, STRIDE, FPS, CameraConfig())
    jitter = [np.abs(np.diff(x[:, POSE_PATCH, CAMERA], 2, axis=0)).mean() for x in (trembling, calm)]
    assert jitter[1] < 0.15 * jitter[0]
    others = np.ones((17, 136), bool)
    others[POSE_PATCH, CAMERA] = False
    np.testing.assert_array_equal(calm[:, others], trembling[:, others])


def test_a_steady_push_in_stays_as_it_is() -> None:
    move = blueprint(np.linspace(0, 1, 30)[:, None] * np.array([1.0, 0.5, -0.5]))
    np.testing.assert_allclose(steady(move, STRIDE, FPS, CameraConfig()), move, atol=1e-5)


@pytest.mark.parametrize("frames", [2, 3, 4])
def test_short_blueprints_have_a_path_too(frames: int) -> None:
    latents = steady(blueprint(np.arange(frames)[:, None] * np.ones(3)), STRIDE, FPS, CameraConfig())
    halfway = camera_path(latents, STRIDE).follow(latents[0], Fraction(3, 2))
    np.testing.assert_allclose(halfway[POSE_PATCH, CAMERA], 0.5, atol=1e-6)


def test_frames_at_any_rate_lie_on_one_path() -> None:
    latents = blueprint(np.cumsum(np.random.default_rng(2).standard_normal((10, 3)), axis=0))
    path = camera_path(latents, STRIDE)
    coarse = list(path.along(latents[:8], Fraction(1)))
    fine = list(path.along(np.repeat(latents, 2, axis=0)[:15], Fraction(1, 2)))
    for i, frame in enumerate(coarse):
        np.testing.assert_array_equal(frame[POSE_PATCH, CAMERA], fine[2 * i][POSE_PATCH, CAMERA])
    np.testing.assert_allclose(coarse[3][POSE_PATCH, CAMERA], latents[1, POSE_PATCH, CAMERA], rtol=1e-5)
