"""Hand-computed values of the metrics."""

import numpy as np
import pytest

from avatar_jax.metrics import quality, sync


def test_correlation_of_scaled_track_is_one_and_of_reversed_is_minus_one() -> None:
    track = np.array([0.0, 1.0, 0.5, 2.0])
    assert sync.correlation(3 * track + 7, track) == pytest.approx(1)
    assert sync.correlation(-track, track) == pytest.approx(-1)
    assert np.isnan(sync.correlation(np.ones(4), track))


@pytest.mark.parametrize("late", [-3, 0, 2])
def test_best_offset_finds_a_planted_shift(late: int) -> None:
    true = np.random.default_rng(0).standard_normal(100)
    assert sync.best_offset(np.roll(true, late), true, 5) == late


def test_closure_recall_counts_runs_with_slack() -> None:
    closed = np.array([0, 1, 1, 0, 0, 0, 1, 0, 0, 0], bool)
    read = np.array([1, 1, 1, 0.1, 1, 1, 1, 1, 1, 0.1])
    assert sync.closure_recall(read, closed, 0.35) == 0.5
    assert np.isnan(sync.closure_recall(read, np.zeros(10, bool), 0.35))


def test_psnr_of_a_constant_error() -> None:
    a = np.full((2, 4, 4, 3), 100, np.uint8)
    assert quality.psnr(a, a + 10) == pytest.approx(10 * np.log10(255**2 / 100), abs=1e-4)
    assert quality.psnr(a, a) == float("inf")


def test_seam_ratio_sees_a_jump_only_at_the_seam() -> None:
    frames = np.arange(20, dtype=np.uint8).reshape(20, 1, 1, 1) * np.ones((1, 4, 4, 3), np.uint8)
    assert quality.seam_ratio(frames, [10]) == pytest.approx(1)
    frames[10:] += 50
    assert quality.seam_ratio(frames, [10]) == pytest.approx((51 + 1) / 2)


def test_color_drift_is_a_slope_per_ten_seconds() -> None:
    frames = (100 + np.arange(50)).astype(np.uint8).reshape(50, 1, 1, 1) * np.ones((1, 2, 2, 3), np.uint8)
    assert quality.color_drift(frames, 25) == pytest.approx(250, rel=1e-3)


def test_lifeless_frames_are_named() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (20, 8, 8, 3), dtype=np.uint8)
    assert quality.is_lifeless(noise) is None
    assert quality.is_lifeless(noise // 32) == "black"
    assert quality.is_lifeless(np.full((20, 8, 8, 3), 90, np.uint8)) == "flat"
    assert quality.is_lifeless(np.repeat(noise[:1], 20, 0)) == "frozen"


def test_shut_threshold_is_the_smallest_that_finds_the_closures() -> None:
    track = np.array([0.5, 0.03, 0.5, 0.2, 0.5, 0.085, 0.5])
    closed = np.isin(np.arange(7), [1, 5])
    assert sync.shut_threshold([track], [closed]) == pytest.approx(0.09)
    assert sync.shut_threshold([track], [closed], wanted=0.5) == pytest.approx(0.04)


def test_frames_near_seams() -> None:
    assert np.flatnonzero(sync.near([0, 6], 8, 1)).tolist() == [0, 1, 5, 6, 7]
    assert sync.runs(np.array([1, 1, 0, 1], bool)) == [(0, 2), (3, 4)]


def test_unsteadiness_ignores_even_motion() -> None:
    even, shaking = np.arange(6.0), np.array([0.0, 1.0, 0.0, 1.0, 0.0, 1.0])
    np.testing.assert_allclose(quality.unsteadiness(np.stack([even, shaking], axis=-1)), [0, 2])


def test_drift_is_the_steepest_slope_without_its_sign() -> None:
    line = np.arange(25)[:, None] * np.array([[0.1, -0.4]])
    assert quality.drift(line, 25) == pytest.approx(100)
    assert quality.drift(-line, 25) == pytest.approx(100)
    assert quality.loss(line[:, 1], 25) == pytest.approx(100) and quality.loss(line[:, 0], 25) == pytest.approx(-25)
    assert quality.loss(line[:1, 0], 25) == 0
