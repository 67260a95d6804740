"""What the face of generated latents shows: a linear readout of labels such as the mouth's opening.

The codec's latents hold these almost linearly, so a ridge regression fitted on clean latents reads generated ones
without decoding a picture. It is part of the generator's loss and watches training; finished videos are judged by
other readers.
"""

import numpy as np
from jaxtyping import Float


def fit_ridge(
    features: Float[np.ndarray, "n f"], label: Float[np.ndarray, "n *k"], strength: float = 30.0
) -> np.ndarray:
    """Weights [f + 1, *k] (the last is the offset) of a linear readout; features of about unit size."""
    x = np.append(features, np.ones((len(features), 1)), axis=1).astype(np.float64)
    penalty = strength * np.eye(x.shape[1])
    penalty[-1, -1] = 0
    return np.linalg.solve(x.T @ x + penalty, x.T @ label.astype(np.float64))


def read(weights: np.ndarray, features: Float[np.ndarray, "n f"]) -> np.ndarray:
    return features @ weights[:-1] + weights[-1]


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson correlation of two series; 0 where one of them does not vary."""
    a, b = a - a.mean(), b - b.mean()
    size = np.sqrt((a * a).sum() * (b * b).sum())
    return float((a * b).sum() / size) if size > 0 else 0.0
