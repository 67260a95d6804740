"""Batches of windows and the solver loop that turns noise into latents, whatever is known about them.

Everything here is NumPy and knows no model: a `Denoiser` is bound to a batch of windows once (which prepares sound
and text at the windows' own instants) and then called at every noise level. Times are model frames (12.5 per second),
real-valued, on the recording's own clock.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float, Float32

from avatar_jax.diffusion.guidance import Guidance
from avatar_jax.diffusion.schedule import sigmas

FRAMES = 16
"""Frames of one window: the model's only length."""


@dataclass(frozen=True)
class Windows:
    """B windows of T instants and the latents that are known about them.

    Unknown frames of `known_BTPC` are zeros. `hint_BT` in [0, 1] pulls frames towards `hint_BTPC` while the noise is
    high (by hint * the next noise level), and lets go of them at the end: how a key frame is a wish, not a fact.
    """

    times_BT: Float[np.ndarray, "B T"]
    known_BTPC: Float32[np.ndarray, "B T P C"]
    known_BT: Bool[np.ndarray, "B T"]
    hint_BTPC: Float32[np.ndarray, "B T P C"] | None = None
    hint_BT: Float32[np.ndarray, "B T"] | None = None

    def __len__(self) -> int:
        return len(self.times_BT)

    def hinted(self, hint_BTPC: np.ndarray, hint_BT: np.ndarray) -> "Windows":
        return replace(self, hint_BTPC=hint_BTPC.astype(np.float32), hint_BT=hint_BT.astype(np.float32))


Predict = Callable[[np.ndarray, float], np.ndarray]
"""(x_BTPC, noise level) -> clean windows."""
Denoiser = Callable[[Windows, Guidance], Predict]
Noise = Callable[[str, int, int], np.ndarray]
"""(stage, index, attempt) -> [T, P, C] normal numbers, the same at every call."""


@dataclass(frozen=True)
class SolverConfig:
    """Noise levels and guidance of one stage."""

    steps: int = 6
    shift: float = 1.0
    guidance: Guidance = field(default_factory=lambda: Guidance(text=1.0, audio=1.0))

    @property
    def levels(self) -> np.ndarray:
        return sigmas(self.steps, self.shift)


def windows_at(times_BT: np.ndarray, latent_shape: tuple[int, int]) -> Windows:
    """Windows at these times of which nothing is known."""
    times_BT = np.asarray(times_BT, np.float64)
    return Windows(times_BT, np.zeros((*times_BT.shape, *latent_shape), np.float32), np.zeros(times_BT.shape, bool))


def windows_of(times_BT: np.ndarray, track_NPC: np.ndarray, frame_BT: np.ndarray, known_BT: np.ndarray) -> Windows:
    """Windows at these times in which entry (b, t) is frame `frame_BT` of the track wherever `known_BT` says so."""
    frame_BT = np.clip(frame_BT, 0, len(track_NPC) - 1)
    known = np.where(known_BT[..., None, None], track_NPC[frame_BT], np.float32(0)).astype(np.float32)
    return Windows(np.asarray(times_BT, np.float64), known, np.asarray(known_BT, bool))


def pull(windows: Windows, x0_BTPC: np.ndarray, t: float) -> np.ndarray:
    """Clean windows moved towards their hints by hint * t."""
    if windows.hint_BTPC is None or windows.hint_BT is None:
        return x0_BTPC
    share = (windows.hint_BT * t)[..., None, None]
    return x0_BTPC + share * (windows.hint_BTPC - x0_BTPC)


def euler_step(x: np.ndarray, clean: np.ndarray, now: float, then: float) -> np.ndarray:
    """From noise level `now` to `then` along the line that ends in `clean` (diffusion/flow.py, on the host)."""
    return x + (then - now) / now * (x - clean)


def solve(denoise: Denoiser, windows: Windows, noise_BTPC: np.ndarray, solver: SolverConfig) -> np.ndarray:
    """Clean windows [B, T, P, C]; known frames come back exactly."""
    predict = denoise(windows, solver.guidance)
    x = noise_BTPC
    for now, then in pairwise(solver.levels):
        x0 = pull(windows, predict(x, float(now)), float(then))
        x = euler_step(x, x0, now, then)
    return np.where(windows.known_BT[..., None, None], windows.known_BTPC, x).astype(np.float32)


def waves(count: int, size: int) -> list[range]:
    """0 .. count - 1 in runs of `size`. A redo runs the same waves again, so that bytes stay the same."""
    return [range(start, min(start + size, count)) for start in range(0, count, size)]
