"""A denoiser without a network: the clean latent is a known function of time, so that results can be computed by hand.

It knows no randomness, but copies a little of its noise where asked to, and lets every frame of a window depend on
every known frame of that window, as attention does.
"""

import numpy as np

from avatar_jax.diffusion.guidance import Guidance
from avatar_jax.sampling.windows import FRAMES, Predict, Windows

P, C = 3, 5


def truth(times: np.ndarray) -> np.ndarray:
    """[..., P, C] at these model-frame times."""
    phase = np.arange(P * C).reshape(P, C)
    return np.sin(0.3 * np.asarray(times, np.float64)[..., None, None] + phase).astype(np.float32)


def noise(stage: str, index: int, attempt: int) -> np.ndarray:
    seed = [sum(stage.encode()), index, attempt]
    return np.random.default_rng(seed).standard_normal((FRAMES, P, C)).astype(np.float32)


class ToyDenoiser:
    """`noisy`: share of the noise that stays in the result; `leak`: share of the known frames' mean that spreads."""

    def __init__(self, noisy: float = 0.0, leak: float = 0.0):
        self.noisy, self.leak = noisy, leak
        self.seen: list[Windows] = []

    def __call__(self, windows: Windows, guidance: Guidance) -> Predict:
        self.seen.append(windows)
        clean = truth(windows.times_BT)
        known = windows.known_BT[..., None, None]
        spread = (windows.known_BTPC * known).sum(axis=1, keepdims=True) / np.maximum(
            known.sum(axis=1, keepdims=True), 1
        )

        def predict(x: np.ndarray, t: float) -> np.ndarray:
            made = clean + self.leak * spread + self.noisy * x
            return np.where(known, windows.known_BTPC, made).astype(np.float32)

        return predict
