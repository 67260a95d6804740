"""Lip closures seen, less those seen where the mouth must be open: a shut mouth alone earns nothing."""

import numpy as np
from jaxtyping import Float

from avatar_jax.metrics.sync import closure_recall

WIDE = 0.35
"""A true opening from which nobody would call a mouth shut."""


def closure_contrast(
    read_T: Float[np.ndarray, " T"], true_T: Float[np.ndarray, " T"], closed_T: np.ndarray, shut_below: float
) -> float:
    """Recall of closures minus the share of wide open frames in which the mouth is read shut (Youden 1950): 1 is right,
    0 is what a still mouth gets; nan where the clip has no closures or no open frames."""
    wide = np.asarray(true_T) > WIDE
    if not wide.any():
        return float("nan")
    return closure_recall(read_T, closed_T, shut_below) - float((read_T[wide] < shut_below).mean())
