"""A small CNN that reads a 128 px frame of a talking portrait: mouth, eyes, pose, place, clarity, identity, emotion.

It looks twice: at the small whole frame, to find the face; then at the face, upright and always of one size, where
a mouth is as large on a far head as on a near one.

It is the `gate`: trained with blur, noise and planted occlusion, it scores candidates while a video is made. Finished
videos are scored by another network on other data, `models.judge`, so nobody optimises what is scored.
"""

from dataclasses import dataclass
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from avatar_jax.models.conv import Residual
from avatar_jax.models.pose import apply
from avatar_jax.models.warp import grid, sample_batch, space_to_depth

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


WHOLE = ("hand", "roll", "log_zoom", "face_x", "face_y", "face_size")
"""Readings of the first look; the others come from the second."""
PLACE = ("face_x", "face_y", "face_size", "roll")
FACE_PIXELS, FACE_EXTENT = 80, 1.4
"""Side of the upright picture of the face, in pixels and in widths of the face box."""


@dataclass(frozen=True)
class ReaderConfig:
    """Widths of the second look at 20 x 20, 10 x 10 and 5 x 5 cells, and of the layer that sees them all."""

    shallow: int = 48
    middle: int = 64
    deep: int = 112
    head: int = 160


def face_picture(frames: Float[Array, "B 128 128 3"], place: Float[Array, "B 4"]) -> Float[Array, "B 80 80 3"]:
    """The face, upright and of one size. `place`: columns of PLACE."""
    side = FACE_EXTENT * jnp.clip(place[:, 2], 0.1, 1.5)
    cos, sin = side * jnp.cos(place[:, 3]), side * jnp.sin(place[:, 3])
    similarity = jnp.stack([cos, sin, place[:, 0], place[:, 1]], axis=-1)
    return sample_batch(frames, apply(similarity[:, None, None], grid(FACE_PIXELS, -0.5, 0.5)[None]))


def scaled(raw: Array, names: tuple[str, ...]) -> Array:
    """Network outputs of order one -> readings in their units."""
    columns = jnp.array([READINGS.index(name) for name in names])
    return raw * jnp.array(SPREAD)[columns] + jnp.array(CENTRE)[columns]


class Reader(nn.Module):
    """Frames [B, 128, 128, 3] in [-1, 1] -> `Reading`. In training, `place` tells where to take the second look."""

    config: ReaderConfig = ReaderConfig()

    @nn.compact
    def __call__(self, frames: Float[Array, "B 128 128 3"], place: Float[Array, "B 4"] | None = None) -> Reading:
        c = self.config
        small = jax.image.resize(frames, (frames.shape[0], 64, 64, 3), "linear", antialias=True)
        x = nn.silu(nn.Conv(32, (3, 3))(space_to_depth(small, 4)))
        x = nn.silu(nn.RMSNorm()(Residual()(nn.Dense(64)(space_to_depth(x, 2)))))
        h = nn.silu(nn.Dense(96)(nn.Dense(16)(x).reshape(x.shape[0], -1)))
        whole = scaled(nn.Dense(len(WHOLE))(h), WHOLE)
        if place is None:
            place = jnp.stack([whole[:, WHOLE.index(name)] for name in PLACE], axis=-1)

        y = nn.silu(nn.Conv(c.shallow, (3, 3))(space_to_depth(face_picture(frames, place), 4)))
        y = Residual()(nn.Dense(c.middle)(space_to_depth(y, 2)))
        # 10 x 10 cells fold into 5 x 5, which keep their place: a reading is about where things are.
        y = nn.silu(nn.RMSNorm()(Residual()(nn.Dense(c.deep)(space_to_depth(y, 2)))))
        g = nn.silu(nn.RMSNorm()(nn.Dense(c.head)(nn.Dense(40)(y).reshape(y.shape[0], -1))))
        face = tuple(name for name in READINGS if name not in WHOLE)
        near = scaled(nn.Dense(len(face))(g), face)
        columns = dict(zip(WHOLE + face, [*whole.T, *near.T], strict=True))
        identity = nn.Dense(IDENTITY)(nn.silu(nn.Dense(c.head)(jnp.concatenate([g, y.mean((1, 2))], axis=-1))))
        length = jnp.sqrt(jnp.sum(identity**2, axis=-1, keepdims=True) + 1e-6)
        values = jnp.stack([columns[name] for name in READINGS], axis=-1)
        return Reading(values, identity / length, nn.Dense(len(EMOTIONS))(g))
