"""Picture quality against known frames, and steadiness through seams and over time."""

import numpy as np


def psnr(made: np.ndarray, true: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB of uint8 frames, pooled over all pixels; inf where they are equal."""
    if made.shape != true.shape:
        raise ValueError(f"psnr needs equal shapes, got {made.shape} and {true.shape}")
    error = np.mean((made.astype(np.float32) - true.astype(np.float32)) ** 2)
    return float(10 * np.log10(255.0**2 / error)) if error > 0 else float("inf")


def seam_ratio(frames_THW3: np.ndarray, seams: list[int]) -> float:
    """Mean absolute change at the seams over the mean change elsewhere; 1 means that no seam can be seen."""
    change_T = np.abs(np.diff(frames_THW3.astype(np.float32), axis=0)).mean(axis=(1, 2, 3))
    at = np.zeros(len(change_T), bool)
    for seam in seams:
        at[max(0, seam - 1) : seam + 1] = True
    if not at.any() or at.all() or change_T[~at].mean() == 0:
        return float("nan")
    return float(change_T[at].mean() / change_T[~at].mean())


def color_drift(frames_THW3: np.ndarray, fps: float) -> float:
    """Drift of the mean colour in levels of 255 per 10 seconds: the slope of a straight line, largest channel."""
    means_T3 = frames_THW3.reshape(len(frames_THW3), -1, 3).astype(np.float32).mean(axis=1)
    if len(means_T3) < 2:
        return 0.0
    seconds = np.arange(len(means_T3)) / fps
    return float(10 * np.abs(np.polyfit(seconds, means_T3, 1)[0]).max())


def is_lifeless(frames_THW3: np.ndarray) -> str | None:
    """Why these frames must not be returned as a success: "black", "flat" or "frozen"; None where they are alive."""
    frames = frames_THW3.astype(np.float32)
    if frames.max() < 16:
        return "black"
    if frames.std(axis=(1, 2, 3)).max() < 2:
        return "flat"
    if len(frames) > 12 and np.abs(np.diff(frames, axis=0)).max() < 2:
        return "frozen"
    return None
