"""Lip sync read from frames: how well the mouth of a video follows a known or heard mouth track."""

from collections.abc import Sequence

import numpy as np


def correlation(read_T: np.ndarray, true_T: np.ndarray) -> float:
    """Pearson correlation of two tracks of equal length; nan where either does not move."""
    if read_T.shape != true_T.shape or read_T.ndim != 1:
        raise ValueError(f"correlation needs two tracks of one length, got {read_T.shape} and {true_T.shape}")
    return pooled_correlation(read_T[:, None], true_T[:, None])


def pooled_correlation(read_TC: np.ndarray, true_TC: np.ndarray) -> float:
    """`correlation` over several columns at once, each about its own mean, so that a column counts by how much it
    moves."""
    if not len(read_TC):
        return float("nan")
    a, b = read_TC - read_TC.mean(axis=0), true_TC - true_TC.mean(axis=0)
    scale = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / scale if scale > 1e-9 else float("nan")


def shift_correlations(read_TC: np.ndarray, true_STC: np.ndarray) -> np.ndarray:
    """[S] pooled correlation of a track with each of S shifted others of the same length; 0 where either is still.

    Unlike in `best_offset` nothing is cut off at the ends, which short clips need: the truth is known beyond them.
    """
    return np.nan_to_num(np.array([pooled_correlation(read_TC, true_TC) for true_TC in true_STC]))


def lead(correlation_S: np.ndarray, apart: int) -> float:
    """By how much the middle one of evenly spaced shifts fits better than the best one `apart` or more steps away;
    below 0 the clip is out of sync."""
    middle = len(correlation_S) // 2
    far = np.abs(np.arange(len(correlation_S)) - middle) >= apart
    return float(correlation_S[middle] - correlation_S[far].max())


def best_offset(read_T: np.ndarray, true_T: np.ndarray, reach: int) -> int:
    """Shift of the video, in frames, at which it follows the track best; 0 is in sync, +1 is one frame late."""
    length = len(read_T)
    scores = {
        shift: correlation(
            read_T[max(0, shift) : length + min(0, shift)], true_T[max(0, -shift) : length - max(0, shift)]
        )
        for shift in range(-reach, reach + 1)
    }
    finite = {shift: score for shift, score in scores.items() if np.isfinite(score)}
    return max(finite, key=lambda shift: (finite[shift], -abs(shift))) if finite else 0


def runs(flags_T: np.ndarray) -> list[tuple[int, int]]:
    """(first, stop) of every stretch of true flags."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags_T.astype(int), [0]])))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def closures_hit(read_T: np.ndarray, closed_T: np.ndarray, shut_below: float, slack: int = 1) -> list[bool]:
    """For each lip closure (a run of true `closed_T`), whether the mouth is read shut within +-`slack` frames."""
    return [bool(read_T[max(0, a - slack) : b + slack].min() < shut_below) for a, b in runs(closed_T)]


def closure_recall(read_T: np.ndarray, closed_T: np.ndarray, shut_below: float, slack: int = 1) -> float:
    """Share of lip closures in which the mouth is read shut within +-`slack` frames; nan where there are none."""
    hits = closures_hit(read_T, closed_T, shut_below, slack)
    return float(np.mean(hits)) if hits else float("nan")


def shut_threshold(tracks: Sequence[np.ndarray], closed: Sequence[np.ndarray], wanted: float = 0.98) -> float:
    """The reading below which a mouth counts as shut: the smallest one that finds a share `wanted` of the closures in
    the readings of true frames, so that as little as possible is found by chance."""
    candidates = np.arange(0.02, 0.401, 0.01)
    for threshold in candidates:
        hits = [h for t, c in zip(tracks, closed, strict=True) for h in closures_hit(t, c, float(threshold))]
        if hits and np.mean(hits) >= wanted:
            return float(threshold)
    return float(candidates[-1])


def near(frames: Sequence[int], count: int, reach: int) -> np.ndarray:
    """[count] true within +-`reach` of the given frames."""
    out = np.zeros(count, bool)
    for frame in frames:
        out[max(0, frame - reach) : frame + reach + 1] = True
    return out
