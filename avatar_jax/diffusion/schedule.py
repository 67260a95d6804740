"""Noise levels: lists for sampling (host, NumPy) and draws for training."""

from typing import TypeVar

import jax
import numpy as np

Levels = TypeVar("Levels", np.ndarray, jax.Array)


def shifted(t: Levels, shift: float) -> Levels:
    """More of the steps near the noise: s t / (1 + (s - 1) t). Esser et al. 2024, section 5.3.2."""
    return shift * t / (1 + (shift - 1) * t)


def sigmas(steps: int, shift: float = 1.0) -> np.ndarray:
    """steps + 1 levels from 1 to 0, evenly spaced before the shift."""
    return shifted(np.linspace(1, 0, steps + 1), shift).astype(np.float32)


def wan_euler_sigmas(steps: int, shift: float) -> np.ndarray:
    """The list of MultiTalk, InfiniteTalk and SkyReels-V3: times 1000 .. 1 shifted, then 0."""
    return np.append(shifted(np.linspace(1000, 1, steps) / 1000, shift), 0).astype(np.float32)


def wan_unipc_sigmas(steps: int, shift: float) -> np.ndarray:
    """The list of diffusers' UniPC with flow sigmas (Wan, EchoMimicV3): the first is clipped below 1."""
    levels = shifted(np.linspace(1, 1 / 1000, steps + 1)[:-1], shift)
    return np.append(np.minimum(levels, 1 - 1e-6), 0).astype(np.float32)


def wan_unipc_times(steps: int, shift: float) -> np.ndarray:
    """What the model is told at each step of that list: diffusers cuts its timesteps (0 to 1000) to whole numbers."""
    levels = shifted(np.linspace(1, 1 / 1000, steps + 1)[:-1], shift)
    return (np.floor(np.minimum(levels, 1 - 1e-6) * 1000) / 1000).astype(np.float32)


def training_times(key: jax.Array, count: int, mean: float = 1.3, deviation: float = 1.0) -> jax.Array:
    """[count] times in (0, 1): sigmoid of a normal draw. A mean above zero shows the model more of the noisy end."""
    return jax.nn.sigmoid(mean + deviation * jax.random.normal(key, (count,)))
