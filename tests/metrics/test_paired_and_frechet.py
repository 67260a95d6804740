"""Statistics over cases, and distances between sets of features, by hand."""

import numpy as np
import pytest

from avatar_jax.metrics.frechet import frechet
from avatar_jax.metrics.paired import difference, interval, sign_flip_p


def test_interval_by_hand() -> None:
    found = interval(np.array([1.0, 2.0, np.nan, 6.0]))
    assert (found.mean, found.median, found.cases) == (3.0, 2.0, 3)
    assert 1.0 <= found.low < 3.0 < found.high <= 6.0
    assert interval(np.full(5, 2.0))[:4] == (2.0, 2.0, 2.0, 2.0)
    assert interval(np.array([np.nan])).cases == 0 and np.isnan(interval(np.array([])).mean)


def test_interval_holds_the_mean_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    found = [interval(rng.normal(0, 1, 40), seed) for seed in range(120)]
    assert 0.88 < np.mean([x.low < 0 < x.high for x in found]) < 0.99


def test_sign_patterns_are_counted() -> None:
    # Of eight patterns of 1, 2, 3 two reach 6; of 1, -2, 3 (sum 2) all but the two whose sum is 0.
    assert sign_flip_p(np.array([1.0, 2.0, 3.0])) == 2 / 8
    assert sign_flip_p(np.array([1.0, -2.0, 3.0])) == 6 / 8
    assert sign_flip_p(np.zeros(4)) == 1
    assert sign_flip_p(np.ones(14)) == 2 / 2**14
    assert sign_flip_p(np.ones(60)) == 1 / 20_001
    assert np.isnan(sign_flip_p(np.array([])))


def test_only_cases_of_both_count() -> None:
    found = difference(np.array([1.0, 2.0, np.nan, 5.0]), np.array([0.0, 0.0, 3.0, np.nan]))
    assert (found.mean, found.cases, found.p) == (1.5, 2, 0.5)


def test_frechet_of_lines_by_hand() -> None:
    """Means 0 and 3, variances 2 and 8: 9 + 2 + 8 - 2 * 4."""
    assert frechet(np.array([[-1.0], [1.0]]), np.array([[1.0], [5.0]])) == pytest.approx(11)


def test_frechet_of_clouds() -> None:
    rng = np.random.default_rng(1)
    a = rng.normal(size=(4000, 3)) * [1, 2, 3]
    assert frechet(a, a) == pytest.approx(0, abs=1e-9)
    assert frechet(a, a + np.array([1, 2, 0])) == pytest.approx(5, abs=1e-6)
    # Along its own axes: the sum of (3 - 1)^2, (6 - 2)^2, (9 - 3)^2 up to sampling; turned, the same number.
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    wide = frechet(a, 3 * a)
    assert wide == pytest.approx(56, rel=0.1)
    assert frechet(a @ turn, 3 * a @ turn) == pytest.approx(wide, rel=1e-6)
    assert np.isnan(frechet(a[:1], a))
