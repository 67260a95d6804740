"""Picture quality against known frames, and steadiness through seams and over time."""

from collections.abc import Sequence

import numpy as np


def psnr(made: np.ndarray, true: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB of uint8 frames, pooled over all pixels; inf where they are equal."""
    if made.shape != true.shape:
        raise ValueError(f"psnr needs equal shapes, got {made.shape} and {true.shape}")
    error = np.mean((made.astype(np.float32) - true.astype(np.float32)) ** 2)
    return float(10 * np.log10(255.0**2 / error)) if error > 0 else float("inf")


def changes(frames_THW3: np.ndarray) -> np.ndarray:
    """Mean absolute change from each frame to the next, [T - 1]."""
    return np.abs(np.diff(frames_THW3.astype(np.float32), axis=0)).mean(axis=(1, 2, 3))


def change_ratio(change_T: np.ndarray, seams: Sequence[int]) -> float:
    """Mean of `changes` into and out of the frames at the seams over its mean elsewhere; nan where either is empty."""
    at = np.zeros(len(change_T), bool)
    for seam in seams:
        at[max(0, seam - 1) : seam + 1] = True
    if not at.any() or at.all() or change_T[~at].mean() == 0:
        return float("nan")
    return float(change_T[at].mean() / change_T[~at].mean())


def seam_ratio(frames_THW3: np.ndarray, seams: Sequence[int]) -> float:
    """Mean absolute change at the seams over the mean change elsewhere; 1 means that no seam can be seen."""
    return change_ratio(changes(frames_THW3), seams)


def drift(track_TC: np.ndarray, fps: float) -> float:
    """Drift per 10 seconds: the slope of the straight line through each column, the steepest one, without its sign."""
    if len(track_TC) < 2:
        return 0.0
    seconds = np.arange(len(track_TC)) / fps
    return float(10 * np.abs(np.polyfit(seconds, track_TC.astype(np.float64), 1)[0]).max())


def loss(track_T: np.ndarray, fps: float) -> float:
    """What a score loses per 10 seconds: the slope of the straight line through it, downwards; below 0 where it gains.

    Unlike `drift` it keeps the sign, so that the ups and downs of single videos cancel in a mean over many.
    """
    if len(track_T) < 2:
        return 0.0
    return float(-10 * np.polyfit(np.arange(len(track_T)) / fps, track_T.astype(np.float64), 1)[0])


def color_drift(frames_THW3: np.ndarray, fps: float) -> float:
    """Drift of the mean colour in levels of 255 per 10 seconds, largest channel."""
    return drift(frames_THW3.reshape(len(frames_THW3), -1, 3).astype(np.float32).mean(axis=1), fps)


def unsteadiness(track_TC: np.ndarray) -> np.ndarray:
    """Mean absolute second difference of each column, per frame; nan for fewer than three frames."""
    if len(track_TC) < 3:
        return np.full(track_TC.shape[1:], np.nan)
    return np.abs(np.diff(track_TC, n=2, axis=0)).mean(axis=0)


def is_lifeless(frames_THW3: np.ndarray, least: int = 13) -> str | None:
    """Why these frames must not be returned as a success: "black", "flat" or "frozen"; None where they are alive.

    Fewer than `least` frames are never called frozen.
    """
    frames = frames_THW3.astype(np.float32)
    if frames.max() < 16:
        return "black"
    if frames.std(axis=(1, 2, 3)).max() < 2:
        return "flat"
    if len(frames) >= least and np.abs(np.diff(frames, axis=0)).max() < 2:
        return "frozen"
    return None
