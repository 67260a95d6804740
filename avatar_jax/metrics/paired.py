"""What a number of cases says: its interval, and whether two systems differ on the same cases."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

DRAWS = 2000
EXACT = 14
"""Up to this many cases all sign patterns are counted; beyond, SAMPLED random ones."""
SAMPLED = 20_000


class Interval(NamedTuple):
    """Mean and median over `cases`, and the 95 % interval of the mean when cases are drawn anew (bootstrap)."""

    mean: float
    median: float
    low: float
    high: float
    cases: int


class Difference(NamedTuple):
    """Mean of a - b over the cases that both have, its 95 % interval, and the p-value of no difference."""

    mean: float
    low: float
    high: float
    p: float
    cases: int


NONE = Interval(float("nan"), float("nan"), float("nan"), float("nan"), 0)


def interval(values: Float[np.ndarray, " n"], seed: int = 0) -> Interval:
    """Of the finite values; nan where there are none (Efron 1979, percentiles)."""
    kept = np.asarray(values, np.float64)
    kept = kept[np.isfinite(kept)]
    if not len(kept):
        return NONE
    rows = np.random.default_rng(seed).integers(len(kept), size=(DRAWS, len(kept)))
    low, high = np.quantile(kept[rows].mean(axis=1), [0.025, 0.975])
    return Interval(float(kept.mean()), float(np.median(kept)), float(low), float(high), len(kept))


def difference(a: Float[np.ndarray, " n"], b: Float[np.ndarray, " n"], seed: int = 0) -> Difference:
    """Over the places where both are finite."""
    apart = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    apart = apart[np.isfinite(apart)]
    found = interval(apart, seed)
    return Difference(found.mean, found.low, found.high, sign_flip_p(apart, seed), found.cases)


def sign_flip_p(differences: Float[np.ndarray, " n"], seed: int = 0) -> float:
    """Two-sided p-value of the paired permutation test (Fisher 1935): the share of sign patterns whose mean lies as far
    from 0 as the one that was seen, which itself counts; nan without cases."""
    apart = np.asarray(differences, np.float64)
    if not len(apart):
        return float("nan")
    if len(apart) <= EXACT:
        patterns = np.arange(2 ** len(apart))[:, None] >> np.arange(len(apart)) & 1
    else:
        patterns = np.random.default_rng(seed).integers(2, size=(SAMPLED, len(apart)))
    flipped = np.abs((2 * patterns - 1) @ apart)
    # Sums that are equal on paper differ by rounding.
    as_far = int((flipped >= np.abs(apart.sum()) * (1 - 1e-9)).sum())
    return as_far / len(patterns) if len(apart) <= EXACT else (as_far + 1) / (len(patterns) + 1)
