"""Receiver operating characteristic of a score that says how good something is: larger is better."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float


class Roc(NamedTuple):
    """Shares of the bad and of the good that pass (score >= threshold), for falling thresholds."""

    thresholds: Float[np.ndarray, " n"]
    false_positive: Float[np.ndarray, " n"]
    true_positive: Float[np.ndarray, " n"]


def roc(good: Bool[np.ndarray, " k"], scores: Float[np.ndarray, " k"]) -> Roc:
    """One point for every different score, from nothing passes to all passes.

    Raises:
        ValueError: unless there are good and bad ones, and all scores are finite.
    """
    good, scores = np.asarray(good, bool), np.asarray(scores, np.float64)
    if not good.any() or good.all() or not np.isfinite(scores).all():
        raise ValueError(f"{int(good.sum())} good of {len(good)}, scores {scores.min()} to {scores.max()}: want both")
    order = np.argsort(-scores, kind="stable")
    last = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    passed_good, passed_bad = np.cumsum(good[order])[last], np.cumsum(~good[order])[last]
    return Roc(
        np.concatenate([[np.inf], scores[order][last]]),
        np.concatenate([[0.0], passed_bad / (~good).sum()]),
        np.concatenate([[0.0], passed_good / good.sum()]),
    )


def auc(good: Bool[np.ndarray, " k"], scores: Float[np.ndarray, " k"]) -> float:
    """Area under the curve: the chance that a good one scores above a bad one, ties counted half."""
    curve = roc(good, scores)
    return float(np.trapezoid(curve.true_positive, curve.false_positive))


def threshold_at(curve: Roc, false_positive: float) -> float:
    """The threshold at which most of the good pass while at most this share of the bad does.

    Where several do that, the one that stops most of the bad; halfway to the next score, so that neither side of the
    gap decides alone.
    """
    allowed = curve.false_positive <= false_positive
    place = int(np.argmax(curve.true_positive >= curve.true_positive[allowed].max()))
    if place == 0:
        return float(np.nextafter(curve.thresholds[1], np.inf))
    if place + 1 == len(curve.thresholds):
        return float(curve.thresholds[place])
    return float((curve.thresholds[place] + curve.thresholds[place + 1]) / 2)


def passing(good: Bool[np.ndarray, " k"], scores: Float[np.ndarray, " k"], threshold: float) -> tuple[float, float]:
    """(share of the bad, share of the good) that pass a threshold."""
    good, passed = np.asarray(good, bool), np.asarray(scores) >= threshold
    return float(passed[~good].mean()), float(passed[good].mean())
