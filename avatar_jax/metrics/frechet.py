"""Frechet distance between two sets of features, each taken for a normal distribution: FID (Heusel et al. 2017, arXiv
1706.08500) on pictures, FVD (Unterthiner et al. 2018, arXiv 1812.01717) on clips.

The number belongs to the network that made the features: distances of different networks cannot be compared.
"""

from collections.abc import Callable
from typing import Protocol

import numpy as np
from jaxtyping import Float, UInt8


class PictureFeatures(Protocol):
    """A network for FID or for likeness: uint8 pictures [N, H, W, 3] of one size -> features [N, D]."""

    def __call__(self, pictures: UInt8[np.ndarray, "N H W 3"], /) -> Float[np.ndarray, "N D"]: ...


class ClipFeatures(Protocol):
    """A network for FVD: uint8 clips [N, CLIP, H, W, 3] -> features [N, D]."""

    def __call__(self, clips: UInt8[np.ndarray, "N F H W 3"], /) -> Float[np.ndarray, "N D"]: ...


CLIP = 16
"""Frames of a clip, one after the other."""
Factory = Callable[[], PictureFeatures | ClipFeatures]


def frechet(a_ND: Float[np.ndarray, "N D"], b_MD: Float[np.ndarray, "M D"]) -> float:
    """|mean a - mean b|^2 + tr(A + B - 2 (A B)^(1/2)) with covariances A and B; nan where a set has fewer than two.

    The trace of the root is that of (A^(1/2) B A^(1/2))^(1/2), which is symmetric: no complex rounding.
    """
    if min(len(a_ND), len(b_MD)) < 2:
        return float("nan")
    a, b = np.asarray(a_ND, np.float64), np.asarray(b_MD, np.float64)
    cov_a, cov_b = np.atleast_2d(np.cov(a, rowvar=False)), np.atleast_2d(np.cov(b, rowvar=False))
    values, vectors = np.linalg.eigh(cov_a)
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    cross = np.sqrt(np.clip(np.linalg.eigvalsh(root @ cov_b @ root), 0, None)).sum()
    away = a.mean(0) - b.mean(0)
    return max(0.0, float(away @ away + np.trace(cov_a) + np.trace(cov_b) - 2 * cross))
