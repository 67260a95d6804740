"""The camera's path: what the storyline says, the same for every frame rate, and nothing else is touched."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from avatar_jax.director.camera import LIMITS, MOVES, camera_path
from avatar_jax.director.storyline import Shot
from avatar_jax.models.avatar_codec import PATCH_CHANNELS, PATCHES, POSE_PATCH
from avatar_jax.sampling.camera import COLUMNS, SCALE, CameraPath

FPS = Fraction(25, 2)


def shots(*cameras: str, seconds: float = 10.0, **more: object) -> list[Shot]:
    at = [Decimal(str(i * seconds)) for i in range(len(cameras) + 1)]
    return [
        Shot(start=at[i], end=at[i + 1], camera=camera, camera_amount=1, **more) for i, camera in enumerate(cameras)
    ]


@pytest.mark.parametrize("camera", list(MOVES))
def test_a_move_takes_its_whole_shot_however_long(camera: str) -> None:
    column = ("log_zoom", "pan_x", "pan_y").index(MOVES[camera][0])
    track = camera_path(shots("static", camera, "static", seconds=40.0))(np.arange(0, 120, 0.04))[:, column]
    before, during, after = np.split(track, [1000, 2000])
    assert np.ptp(before) == 0 and np.ptp(after) < 1e-9
    assert np.sign(during[-1] - during[0]) == np.sign(MOVES[camera][1]) and abs(during[-1] - during[0]) > 0.1
    assert (np.diff(during) * np.sign(MOVES[camera][1]) >= 0).all()
    assert np.abs(np.diff(track, 2)).max() < 1e-4


def test_many_moves_stay_within_the_limits() -> None:
    track = camera_path(shots(*list(MOVES) * 3, "push_in", "push_in", "push_in"))(np.arange(0, 210, 0.2))
    for i, (low, high) in enumerate(LIMITS.values()):
        assert track[:, i].min() >= low - 1e-9 and track[:, i].max() <= high + 1e-9


def test_a_static_storyline_shows_the_portrait_as_it_is_and_leaning_in_comes_nearer() -> None:
    assert not camera_path(shots("static", "static"))(np.arange(0, 20, 0.1)).any()
    near = camera_path(shots("static", action="lean_in"))(np.array([0.0, 5.0, 10.0]))[:, 0]
    np.testing.assert_allclose(near, [0, 0.08, 0], atol=1e-6)


def test_frames_at_any_rate_lie_on_one_path_and_keep_all_else() -> None:
    latents = np.random.default_rng(0).standard_normal((9, PATCHES, PATCH_CHANNELS)).astype(np.float32)
    path = CameraPath(camera_path(shots("push_in", seconds=1.0)), FPS)
    coarse = path.at(latents, range(9))
    fine = list(path.along(np.repeat(latents, 2, axis=0), Fraction(1, 2)))
    for i, frame in enumerate(coarse):
        np.testing.assert_array_equal(frame, fine[2 * i])
    seconds = np.arange(9) / 12.5
    np.testing.assert_allclose(coarse[:, POSE_PATCH, COLUMNS] * SCALE, path.path(seconds), atol=1e-6)
    others = np.ones((PATCHES, PATCH_CHANNELS), bool)
    others[POSE_PATCH, COLUMNS] = False
    np.testing.assert_array_equal(coarse[:, others], latents[:, others])
