"""The camera's path: decided once, by the blueprint, and followed by every frame of the video.

Zoom and pan are part of every frame's latent. Made window by window they tremble by a pixel or so, which on a still
background is the first thing that one sees; a real camera has weight. So the blueprint's path is smoothed (Savitzky and
Golay 1964: a local polynomial, which leaves a steady move as it is), and each frame takes its zoom and pan from the
path at its own instant. Redoing a sub-clip therefore cannot change the camera.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from jaxtyping import Float
from scipy.interpolate import PchipInterpolator
from scipy.signal import savgol_filter

from avatar_jax.models.avatar_codec import PATCH_CHANNELS, POSE_PATCH, POSE_SCALE
from avatar_jax.models.pose import POSE
from avatar_jax.timeline import frames_in

FIRST = PATCH_CHANNELS - len(POSE_SCALE)
CAMERA = slice(FIRST + POSE.index("log_zoom"), FIRST + POSE.index("pan_y") + 1)
"""Channels of the pose patch that belong to the camera."""


@dataclass(frozen=True)
class CameraConfig:
    """`seconds` of blueprint that each point of the path is fitted to, by a polynomial of `degree`."""

    seconds: float = 3.2
    degree: int = 2


@dataclass(frozen=True)
class CameraPath:
    """Zoom and pan at any instant, in model frames."""

    path: PchipInterpolator

    def follow(self, latents_PC: Float[np.ndarray, "P C"], time: Fraction) -> Float[np.ndarray, "P C"]:
        """A frame's latents with the path's camera at its instant."""
        moved = latents_PC.copy()
        moved[POSE_PATCH, CAMERA] = self.path(float(time))
        return moved

    def along(self, stream: Iterable[np.ndarray], step: Fraction) -> Iterator[np.ndarray]:
        """`follow` for frames at 0, step, 2 step ... model frames."""
        return (self.follow(latents, i * step) for i, latents in enumerate(stream))


def steady(
    blueprint_NPC: Float[np.ndarray, "N P C"], stride: int, fps: Fraction, config: CameraConfig
) -> Float[np.ndarray, "N P C"]:
    """The blueprint with a smooth camera; its frames lie `stride` model frames apart, `fps` model frames a second."""
    wanted = 2 * round(frames_in(config.seconds, fps) / stride / 2) + 1
    window = min(wanted, len(blueprint_NPC) - (len(blueprint_NPC) + 1) % 2)
    steadied = blueprint_NPC.copy()
    if window > config.degree:
        steadied[:, POSE_PATCH, CAMERA] = savgol_filter(
            blueprint_NPC[:, POSE_PATCH, CAMERA], window, config.degree, axis=0
        )
    return steadied


def camera_path(blueprint_NPC: Float[np.ndarray, "N P C"], stride: int) -> CameraPath:
    """The path through the cameras of a blueprint of two frames or more."""
    times = stride * np.arange(len(blueprint_NPC))
    return CameraPath(PchipInterpolator(times, blueprint_NPC[:, POSE_PATCH, CAMERA].astype(np.float64), axis=0))
