"""Lip sync read from frames: how well the mouth of a video follows a known or heard mouth track."""

import numpy as np


def correlation(read_T: np.ndarray, true_T: np.ndarray) -> float:
    """Pearson correlation of two tracks of equal length; nan where either does not move."""
    if read_T.shape != true_T.shape or read_T.ndim != 1:
        raise ValueError(f"correlation needs two tracks of one length, got {read_T.shape} and {true_T.shape}")
    a, b = read_T - read_T.mean(), true_T - true_T.mean()
    scale = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / scale if scale > 1e-9 else float("nan")


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


def closure_recall(read_T: np.ndarray, closed_T: np.ndarray, shut_below: float, slack: int = 1) -> float:
    """Share of lip closures (runs of true `closed_T`) in which the mouth is read shut within +-`slack` frames."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], closed_T.astype(int), [0]])))
    runs = list(zip(edges[::2], edges[1::2], strict=True))
    if not runs:
        return float("nan")
    hits = [read_T[max(0, a - slack) : b + slack].min() < shut_below for a, b in runs]
    return float(np.mean(hits))
