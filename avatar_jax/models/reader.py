"""A small CNN that reads a 128 px frame of a talking portrait: mouth, eyes, pose, place, clarity, identity, emotion.

Two instances are trained: `gate` (with blur, noise and planted occlusion) scores candidates while a video is made;
`judge` (other data, other seed, other width) is used by the evaluation alone, so nobody optimises what is scored.
"""

from dataclasses import dataclass
from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from avatar_jax.models.avatar_codec import Residual
from avatar_jax.models.warp import space_to_depth

READINGS = (
    "open", "spread", "smile", "brow", "blink", "hand", "occlude", "yaw", "pitch", "roll", "log_zoom",
    "face_x", "face_y", "face_size", "clarity",
)  # fmt: skip
"""Columns of `Reading.values`. Units of the renderer's state; face_x, face_y: centre of the face box and face_size: its
width, in picture widths; occlude: hidden part of the mouth, 0 to 1; clarity: 1 sharp, 0 hopelessly blurred."""
CENTRE = (0.4, 0, 0, 0, 0.1, 0.1, 0.1, 0, 0, 0, 0.1, 0.5, 0.45, 0.4, 0.8)
SPREAD = (0.35, 0.4, 0.4, 0.4, 0.3, 0.4, 0.3, 0.5, 0.4, 0.1, 0.2, 0.12, 0.12, 0.12, 0.3)
"""About the mean and standard deviation of each reading: the network's outputs are of order one."""
EMOTIONS = ("calm", "excitement", "confusion", "sadness", "surprise", "anger", "joy", "neutral")
IDENTITY = 64


class Reading(NamedTuple):
    """values [B, R] in the order of `READINGS`; identity [B, 64] of length 1; emotion [B, 8] logits."""

    values: Float[Array, "B R"]
    identity: Float[Array, "B 64"]
    emotion: Float[Array, "B 8"]

    def of(self, name: str) -> Float[Array, " B"]:
        """One column by its name."""
        return self.values[:, READINGS.index(name)]


@dataclass(frozen=True)
class ReaderConfig:
    """Widths at 32 x 32, 16 x 16 and 8 x 8 cells, and of the layer that sees them all."""

    shallow: int = 40
    middle: int = 64
    deep: int = 112
    head: int = 160


class Reader(nn.Module):
    """Frames [B, 128, 128, 3] in [-1, 1] -> `Reading`."""

    config: ReaderConfig = ReaderConfig()

    @nn.compact
    def __call__(self, frames: Float[Array, "B 128 128 3"]) -> Reading:
        c = self.config
        x = nn.silu(nn.Conv(c.shallow, (3, 3))(space_to_depth(frames, 4)))
        x = Residual()(nn.Dense(c.middle)(space_to_depth(x, 2)))
        x = Residual()(nn.Dense(c.deep)(space_to_depth(x, 2)))
        x = nn.silu(nn.RMSNorm()(x))
        # A few channels keep their place, since most readings are about where things are.
        placed = nn.Dense(24)(x).reshape(x.shape[0], -1)
        h = nn.silu(nn.RMSNorm()(nn.Dense(c.head)(jnp.concatenate([placed, x.mean((1, 2))], axis=-1))))
        values = nn.Dense(len(READINGS))(h) * jnp.array(SPREAD) + jnp.array(CENTRE)
        identity = nn.Dense(IDENTITY)(nn.silu(nn.Dense(c.head)(jnp.concatenate([h, x.mean((1, 2))], axis=-1))))
        length = jnp.sqrt(jnp.sum(identity**2, axis=-1, keepdims=True) + 1e-6)
        return Reading(values, identity / length, nn.Dense(len(EMOTIONS))(h))
