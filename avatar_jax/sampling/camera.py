"""The storyline's camera written into latents: every frame takes zoom and pan from one path, at its own instant.

The path is known before anything is sampled, so redoing a sub-clip cannot change the camera.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from jaxtyping import Float

from avatar_jax.director.camera import CAMERA, Path
from avatar_jax.models.avatar_codec import FIRST_POSE, POSE_PATCH, POSE_SCALE
from avatar_jax.models.pose import POSE

COLUMNS = slice(FIRST_POSE + POSE.index(CAMERA[0]), FIRST_POSE + POSE.index(CAMERA[-1]) + 1)
"""Channels of the pose patch that belong to the camera."""
SCALE = np.array([POSE_SCALE[POSE.index(name)] for name in CAMERA])


@dataclass(frozen=True)
class CameraPath:
    """`path` in seconds; `fps` model frames a second."""

    path: Path
    fps: Fraction

    def at(self, latents_NPC: Float[np.ndarray, "N P C"], times: Iterable[Fraction | int]) -> np.ndarray:
        """Latents of frames at these times (model frames) with the path's camera."""
        moved = latents_NPC.copy()
        seconds = np.array([float(time / self.fps) for time in times])
        moved[:, POSE_PATCH, COLUMNS] = self.path(seconds) / SCALE
        return moved

    def along(self, stream: Iterable[np.ndarray], step: Fraction) -> Iterator[np.ndarray]:
        """`at` for frames at 0, step, 2 step ... model frames, one by one."""
        return (self.at(latents[None], [i * step])[0] for i, latents in enumerate(stream))
