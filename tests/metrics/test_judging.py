"""Cutting a face out of a frame, and correcting where it was thought to be."""

import cv2
import numpy as np

from avatar_jax.metrics import judging
from avatar_jax.models import pose as poses
from avatar_jax.models.judge import FACE_POINT, FRAME

PLACE = np.array([0.56, 0.43, 0.2, 0.15])


def test_correction_undoes_a_miss() -> None:
    missed = PLACE + np.array([0.02, -0.01, 0.05, -0.08])
    np.testing.assert_allclose(judging.corrected(missed, judging.rest_of(missed, PLACE)), PLACE, atol=1e-12)
    np.testing.assert_allclose(judging.rest_of(PLACE, PLACE), 0)


def test_second_look_is_the_same_wherever_the_face_is() -> None:
    """A picture moved by the face's similarity, looked at where it went, gives the look at home."""
    small = np.random.default_rng(0).integers(0, 255, (12, 12, 3), dtype=np.uint8)
    portrait = cv2.resize(small, (FRAME, FRAME), interpolation=cv2.INTER_CUBIC)
    pose = np.array([[0.2, 0.03, -0.02, 0.03, -0.02, 0.15, 0.4, 0.3]])
    a, b, x, y = poses.portrait_to_screen(pose)[0, 3]
    move = np.array([[a, -b, FRAME * x - 0.5 + 0.5 * (a - b)], [b, a, FRAME * y - 0.5 + 0.5 * (a + b)]])
    frame = cv2.warpAffine(portrait, move, (FRAME, FRAME), borderMode=cv2.BORDER_REPLICATE)
    at = poses.apply(poses.portrait_to_screen(pose)[:, 3], np.array(FACE_POINT))[0]
    seen = judging.face_at(frame, np.array([*at, pose[0, 0], pose[0, 5]])).astype(float)
    home = judging.face_at(portrait, judging.AT_HOME).astype(float)
    assert np.abs(seen - home)[20:-20, 20:-20].mean() < 3


def test_looks_have_the_sizes_that_the_judge_expects() -> None:
    frame = np.random.default_rng(0).integers(0, 255, (512, 512, 3), dtype=np.uint8)
    assert judging.at_reading_size(frame).shape == (256, 256, 3)
    assert judging.small(judging.at_reading_size(frame)).shape == (64, 64, 3)
