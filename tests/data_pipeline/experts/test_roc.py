"""Curves, areas and thresholds by hand."""

import numpy as np
import pytest

from avatar_jax.metrics.roc import auc, passing, roc, threshold_at

GOOD = np.array([True, True, True, True, False, False, False, False])
SCORES = np.array([0.9, 0.8, 0.7, 0.3, 0.6, 0.3, 0.2, 0.1])


def test_curve_has_a_point_for_every_score() -> None:
    curve = roc(GOOD, SCORES)
    assert curve.thresholds.tolist() == [np.inf, 0.9, 0.8, 0.7, 0.6, 0.3, 0.2, 0.1]
    assert curve.false_positive.tolist() == [0, 0, 0, 0, 0.25, 0.5, 0.75, 1]
    assert curve.true_positive.tolist() == [0, 0.25, 0.5, 0.75, 0.75, 1, 1, 1]


def test_area_counts_pairs_and_halves_of_ties() -> None:
    # Of 16 pairs the good one is below in one (0.3 against 0.6) and equal in one.
    assert auc(GOOD, SCORES) == pytest.approx(14.5 / 16)
    assert auc(GOOD, -SCORES) == pytest.approx(1.5 / 16)
    assert auc(GOOD, 0 * SCORES) == 0.5


@pytest.mark.parametrize(
    ("allowed", "threshold", "rates"), [(0.0, 0.65, (0, 0.75)), (0.25, 0.65, (0, 0.75)), (1.0, 0.25, (0.5, 1))]
)
def test_threshold_lets_no_more_of_the_bad_pass(allowed: float, threshold: float, rates: tuple) -> None:
    found = threshold_at(roc(GOOD, SCORES), allowed)
    assert found == pytest.approx(threshold)
    assert passing(GOOD, SCORES, found) == rates


def test_nothing_passes_where_a_bad_one_is_best() -> None:
    good, scores = np.array([True, False]), np.array([0.2, 0.9])
    assert passing(good, scores, threshold_at(roc(good, scores), 0.0)) == (0, 0)


def test_a_curve_needs_good_bad_and_numbers() -> None:
    for good, scores in ((GOOD | True, SCORES), (GOOD, SCORES * np.nan)):
        with pytest.raises(ValueError, match="want both"):
            roc(good, scores)
