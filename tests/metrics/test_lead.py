"""Sync of short clips against a sound that is known beyond their ends, by hand-computed values."""

import numpy as np
import pytest

from avatar_jax.metrics import quality, sync


def test_columns_count_by_how_much_they_move() -> None:
    read = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 0.1], [1.0, 0.1]])
    true = np.array([[0.0, 0.1], [1.0, 0.1], [0.0, 0.0], [1.0, 0.0]])
    # The first column agrees with 4 times 0.25, the second disagrees with 4 times 0.0025.
    assert sync.pooled_correlation(read, true) == pytest.approx((1 - 0.01) / (1 + 0.01))
    assert np.isnan(sync.pooled_correlation(np.ones((4, 2)), true))


def test_a_still_track_follows_nothing() -> None:
    true = np.random.default_rng(0).normal(size=(5, 8, 2))
    found = sync.shift_correlations(np.ones((8, 2)), true)
    np.testing.assert_array_equal(found, np.zeros(5))
    assert sync.lead(found, 2) == 0


def test_lead_is_over_the_best_shift_far_away() -> None:
    at = np.array([0.9, 0.2, 0.1, 0.7, 0.8, 0.3, 0.5])
    assert sync.lead(at, 3) == pytest.approx(0.7 - 0.9)
    assert sync.lead(at[1:-1], 2) == pytest.approx(0.7 - 0.3) == pytest.approx(at[3] - max(at[1], at[5]))


@pytest.mark.parametrize("late", [-2, 0, 3])
def test_a_planted_shift_has_the_lead(late: int) -> None:
    sound = np.random.default_rng(1).normal(size=(60, 2))
    shifts = range(-6, 7)
    read = sound[20 - late : 32 - late]
    found = sync.shift_correlations(read, np.stack([sound[20 - s : 32 - s] for s in shifts]))
    assert shifts[int(found.argmax())] == late and found.max() == pytest.approx(1)
    assert (sync.lead(found, 2) > 0) == (late == 0)


def test_short_clips_can_be_called_frozen() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (1, 8, 8, 3), dtype=np.uint8)
    still = np.repeat(noise, 6, axis=0)
    assert quality.is_lifeless(still) is None
    assert quality.is_lifeless(still, least=6) == "frozen"
