"""The blueprint: one low-rate video of the whole recording, made in overlapping windows that share their latents.

At every noise level all windows are gathered from one track, denoised as a batch, and their clean frames averaged
back with triangular weights (MultiDiffusion, Bar-Tal et al. 2023). No window continues another, so nothing can drift
however long the recording is.
"""

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from avatar_jax.diffusion.guidance import Guidance
from avatar_jax.sampling.windows import FRAMES, Denoiser, Noise, SolverConfig, euler_step, windows_at


@dataclass(frozen=True)
class BlueprintConfig:
    """`stride`: model frames from one blueprint frame to the next; `hop`: blueprint frames between windows."""

    stride: int = 3
    hop: int = 8
    solver: SolverConfig = field(default_factory=lambda: SolverConfig(steps=4, guidance=Guidance(text=2.5, audio=1.5)))


@dataclass(frozen=True)
class BlueprintPlan:
    """`frames` blueprint frames are wanted; `track` of them are made, at least one window full."""

    frames: int
    track: int
    starts: tuple[int, ...]
    stride: int

    @property
    def index_BT(self) -> np.ndarray:
        """Track index of every frame of every window."""
        return np.array(self.starts)[:, None] + np.arange(FRAMES)

    @property
    def times(self) -> np.ndarray:
        """Model-frame times of the wanted frames."""
        return np.arange(self.frames) * self.stride


def plan_blueprint(model_frames: int, config: BlueprintConfig) -> BlueprintPlan:
    """Blueprint frames 0, stride, 2 stride ... up to or beyond the last model frame; always two or more."""
    frames = max(2, -(-(model_frames - 1) // config.stride) + 1)
    track = max(frames, FRAMES)
    starts = (*range(0, track - FRAMES, config.hop), track - FRAMES)
    return BlueprintPlan(frames, track, starts, config.stride)


TRIANGLE = np.minimum(np.arange(FRAMES) + 1, FRAMES - np.arange(FRAMES)).astype(np.float32)


def average(plan: BlueprintPlan, clean_BTPC: np.ndarray) -> np.ndarray:
    """Windows -> track [track, P, C]: mean where windows overlap, weighted towards each window's middle."""
    track = np.zeros((plan.track, *clean_BTPC.shape[2:]), np.float32)
    weight = np.zeros((plan.track, 1, 1), np.float32)
    for start, clean in zip(plan.starts, clean_BTPC, strict=True):
        track[start : start + FRAMES] += TRIANGLE[:, None, None] * clean
        weight[start : start + FRAMES] += TRIANGLE[:, None, None]
    return track / weight


def sample_blueprint(denoise: Denoiser, noise: Noise, plan: BlueprintPlan, config: BlueprintConfig) -> np.ndarray:
    """Latents [frames, P, C] of the blueprint."""
    chunks = [noise("blueprint", chunk, 0) for chunk in range(-(-plan.track // FRAMES))]
    x_NPC = np.concatenate(chunks)[: plan.track]
    windows = windows_at(plan.index_BT * plan.stride, x_NPC.shape[1:])
    predict = denoise(windows, config.solver.guidance)
    for now, then in pairwise(config.solver.levels):
        clean_NPC = average(plan, predict(x_NPC[plan.index_BT], float(now)))
        x_NPC = euler_step(x_NPC, clean_NPC, now, then)
    return x_NPC[: plan.frames].astype(np.float32)
