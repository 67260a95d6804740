"""Key-frame scores that need no reader of faces: likeness, free view, sharpness and visible change.

The readers of the embedded model know drawn faces alone. These are plain measurements against the portrait, so they
hold for any face; what they cannot tell (a closed eye, a hand before the mouth) is said in docs of the config files.
"""

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from avatar_jax.sampling.keyframes import FrameScores

THUMBNAIL = 16
"""Side of the grey copies whose distance is visible change."""
VISIBLE = 0.1
"""Root-mean-square change, white being 1, that counts as one unit of motion."""
DARK, BRIGHT = 0.04, 0.96
BINS = 12
"""Colour bins per axis."""


def score_frames(
    frames_NHW3: UInt8[np.ndarray, "N H W 3"],
    tokens_NIE: Float[np.ndarray, "N I E"],
    portrait_HW3: UInt8[np.ndarray, "H W 3"],
    portrait_IE: Float[np.ndarray, "I E"],
) -> FrameScores:
    """Scores in [0, 1] of frames against the portrait at the same size, from their pixels and their picture tokens."""
    sharp = sharpness(portrait_HW3)
    return FrameScores(
        identity=np.clip([likeness(tokens, portrait_IE) for tokens in tokens_NIE], 0, 1),
        occlusion=np.array([min(exposed(f, portrait_HW3), unobstructed(f, portrait_HW3)) for f in frames_NHW3]),
        clarity=np.clip([sharpness(frame) / max(sharp, 1e-9) for frame in frames_NHW3], 0, 1),
        look_ND=np.stack([thumbnail(frame) for frame in frames_NHW3]) / VISIBLE,
    )


def grey(frame: np.ndarray) -> np.ndarray:
    """Brightness in [0, 1]."""
    return cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255


def sharpness(frame: np.ndarray) -> float:
    """Variance of the Laplacian: high where edges are crisp."""
    return float(cv2.Laplacian(grey(frame), cv2.CV_32F).var())


def likeness(tokens_IE: np.ndarray, other_IE: np.ndarray) -> float:
    """Cosine of the mean picture tokens."""
    a, b = tokens_IE.mean(axis=0), other_IE.mean(axis=0)
    return float(a @ b / max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-9))


def exposed(frame: np.ndarray, portrait: np.ndarray) -> float:
    """Share of pixels that are neither black nor burnt out, compared with the portrait's."""
    shares = [float(((y > DARK) & (y < BRIGHT)).mean()) for y in (grey(frame), grey(portrait))]
    return min(1.0, shares[0] / max(shares[1], 1e-3))


def unobstructed(frame: np.ndarray, portrait: np.ndarray) -> float:
    """How much of the middle has colours that the portrait has there: a hand or an object before the face lowers it."""
    histograms = [colours(picture) for picture in (frame, portrait)]
    return float(np.minimum(*histograms).sum())


def colours(picture: np.ndarray) -> np.ndarray:
    """Histogram of the middle half's colours without their brightness, blurred so that small shifts cost little."""
    height, width = picture.shape[:2]
    middle = picture[height // 8 : height - height * 3 // 8, width // 4 : width - width // 4]
    lab = cv2.cvtColor(middle, cv2.COLOR_RGB2LAB)[..., 1:].reshape(-1, 2).astype(np.float64)
    counts, _, _ = np.histogram2d(lab[:, 0], lab[:, 1], bins=BINS, range=((64, 192), (64, 192)))
    smooth = cv2.GaussianBlur(counts, (3, 3), 0)
    return smooth / max(smooth.sum(), 1e-9)


def thumbnail(frame: np.ndarray) -> np.ndarray:
    return cv2.resize(grey(frame), (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA).ravel()
