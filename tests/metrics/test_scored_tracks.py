"""Sharpness, motion, jumps, stops, silence, length: pictures and tracks whose numbers are known."""

import cv2
import numpy as np
import pytest

from avatar_jax.metrics import jumps, liveness, motion
from avatar_jax.metrics.length import length_error
from avatar_jax.metrics.lip_closure import closure_contrast
from avatar_jax.metrics.quiet import quiet
from avatar_jax.metrics.sharpness import sharpness


def texture(side: int) -> np.ndarray:
    small = np.random.default_rng(0).integers(0, 255, (12, 12, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC))


def test_sharpness_of_stripes_by_hand() -> None:
    """Stripes of one pixel, 0 and 255: the Laplacian is 510 with either sign everywhere."""
    stripes = np.zeros((512, 512, 3), np.uint8)
    stripes[:, ::2] = 255
    assert sharpness(stripes) == pytest.approx(510**2)
    assert sharpness(np.full((512, 512, 3), 90, np.uint8)) == 0


def test_blur_and_small_size_are_seen() -> None:
    picture = np.random.default_rng(0).integers(0, 255, (512, 512, 3), dtype=np.uint8)
    blurred = np.asarray(cv2.GaussianBlur(picture, (0, 0), 2))
    assert sharpness(blurred) < 0.05 * sharpness(picture)
    small = np.asarray(cv2.resize(picture, (128, 128), interpolation=cv2.INTER_AREA))
    assert sharpness(small) < 0.05 * sharpness(picture)


def test_flow_of_a_moved_picture() -> None:
    """Three of 96 pixels to the right in 0.2 s: 15.6 % of the width a second."""
    picture = cv2.cvtColor(texture(96), cv2.COLOR_RGB2GRAY).astype(np.uint8)
    moved = motion.flow(picture, np.roll(picture, 3, axis=1), 0.2)[12:-12, 12:-12]
    assert np.median(moved[..., 0]) == pytest.approx(15.6, rel=0.1)
    assert abs(np.median(moved[..., 1])) < 1
    assert motion.amount(motion.flow(picture, picture, 0.2)) < 0.1


def test_diversity_is_of_changes_not_of_a_pan() -> None:
    pan = np.zeros((6, 4, 4, 2))
    pan[..., 0] = 5
    assert motion.diversity(pan) == 0
    swing = pan * np.array([1, -1] * 3)[:, None, None, None]
    assert motion.diversity(swing) == pytest.approx(5)
    assert np.isnan(motion.diversity(pan[:1]))
    assert motion.spread(np.array([[1.0, 0.0], [-1.0, 0.0]]), np.array([0.5, 1.0])) == pytest.approx(1.0)
    points = np.array([[0.0, 0.0], [0.2, 0.0], [9.0, 9.0]])
    assert motion.hand_variance(points, np.array([True, True, False])) == pytest.approx(1.0)


def test_jumps_against_the_median() -> None:
    change = np.ones(50)
    change[19], change[40] = 5, 3
    assert jumps.seam_jump(change, [20]) == 5
    assert jumps.seam_jump(change, [20, 30]) == 3
    assert np.isnan(jumps.seam_jump(change, [])) and np.isnan(jumps.seam_jump(np.zeros(50), [20]))
    assert jumps.largest_jump(change, 10) == pytest.approx((5 + 3 + 1) / 3)
    change[20] = 5
    assert jumps.largest_jump(change, 10) == pytest.approx((5 + 3 + 1) / 3)


def test_stops_and_darkness() -> None:
    most = np.full(100, 9.0)
    most[:20], most[50:55] = 0.1, 0.1
    assert liveness.frozen_share(most, 25) == pytest.approx(0.2)
    assert liveness.black_share(np.array([0.0, 3.0, 90.0, 200.0])) == 0.5
    flicker = np.tile(np.array([[0, 60], [60, 0]], np.uint8), (256, 256))[..., None].repeat(3, axis=-1)
    assert np.abs(liveness.blocks(flicker) - liveness.blocks(flicker[::-1])).max() < liveness.STILL


def test_a_shut_mouth_earns_no_closures() -> None:
    true = np.tile([0.0, 0.1, 0.6, 0.8], 10)
    closed = true < 0.05
    assert closure_contrast(true, true, closed, 0.14) == 1
    assert closure_contrast(0 * true, true, closed, 0.14) == 0
    assert np.isnan(closure_contrast(true, 0 * true, closed, 0.14))


def test_silence_is_where_nothing_is_heard() -> None:
    rate, seconds = 16_000, np.arange(0, 4, 1 / 16_000)
    tone = np.sin(2 * np.pi * 220 * seconds) * ((seconds > 1) & (seconds < 2))
    times = np.array([0.1, 0.7, 0.95, 1.5, 2.1, 2.5, 3.9])
    assert quiet(tone, rate, times).tolist() == [True, True, False, False, False, True, True]
    assert quiet(0 * tone, rate, times).all()


def test_length_is_exact() -> None:
    assert length_error(50, 32_000, 16_000, 25) == 0
    assert length_error(49, 32_000, 16_000, "25") == -1
    # 2.02 s at 25 a second is 50.5 frames: halves go up.
    assert length_error(51, 32_320, 16_000, 25) == 0
