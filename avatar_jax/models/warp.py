"""Warps of pictures: bilinear sampling, and folding blocks of cells into channels and back.

Coordinates are in picture widths, x to the right, y down; the picture covers [0, 1] and the centre of pixel i lies
at (i + 0.5) / size. A similarity is (a, b, x, y) as in `avatar_jax.models.pose`.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Image = Float[Array, "H W C"]
Points = Float[Array, "*shape 2"]


def grid(size: int, low: float = 0.0, high: float = 1.0) -> Float[Array, "S S 2"]:
    """Centres (x, y) of size x size pixels that cover [low, high] in both directions."""
    line = low + (high - low) * (jnp.arange(size) + 0.5) / size
    return jnp.stack(jnp.meshgrid(line, line, indexing="xy"), axis=-1)


def neighbours(image_HWC: Image) -> Float[Array, "HW 4C"]:
    """A row per pixel with its value and those of the pixels right, below and right below, edges repeated.

    `sample` then reads one row per point instead of four, which is what makes it fast on a CPU.
    """
    height, width, channels = image_HWC.shape
    padded = jnp.pad(image_HWC, ((0, 1), (0, 1), (0, 0)), mode="edge")
    corners = [padded[:height, :width], padded[:height, 1:], padded[1:, :width], padded[1:, 1:]]
    return jnp.concatenate(corners, axis=-1).reshape(height * width, 4 * channels)


def sample_rows(rows: Float[Array, "HW 4C"], height: int, width: int, points: Points) -> Float[Array, "*shape C"]:
    """`sample` on rows made by `neighbours`, for a picture that is read many times."""
    x = jnp.clip(points[..., 0] * width - 0.5, 0.0, width - 1.0)
    y = jnp.clip(points[..., 1] * height - 0.5, 0.0, height - 1.0)
    column, row = jnp.floor(x), jnp.floor(y)
    fx, fy = (x - column)[..., None], (y - row)[..., None]
    index = row.astype(jnp.int32) * width + column.astype(jnp.int32)
    values = rows.at[index].get(mode="promise_in_bounds")
    here, right, below, diagonal = jnp.split(values, 4, axis=-1)
    top, bottom = here + fx * (right - here), below + fx * (diagonal - below)
    return top + fy * (bottom - top)


def sample(image_HWC: Image, points: Points) -> Float[Array, "*shape C"]:
    """Bilinear values of one picture at points (x, y); outside, the nearest edge pixel."""
    height, width, _ = image_HWC.shape
    return sample_rows(neighbours(image_HWC), height, width, points)


sample_batch = jax.vmap(sample)
"""`sample` over a leading axis of both arguments: picture i is read at points i."""


def space_to_depth(x: Float[Array, "B H W C"], block: int) -> Float[Array, "B h w D"]:
    """Fold blocks of block x block cells into channels, ordered (row, column, channel)."""
    batch, height, width, channels = x.shape
    x = x.reshape(batch, height // block, block, width // block, block, channels).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(batch, height // block, width // block, block * block * channels)


def depth_to_space(x: Float[Array, "B h w D"], block: int) -> Float[Array, "B H W C"]:
    """Inverse of `space_to_depth`."""
    batch, height, width, depth = x.shape
    channels = depth // (block * block)
    x = x.reshape(batch, height, width, block, block, channels).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(batch, height * block, width * block, channels)


def upsample(x: Float[Array, "B h w C"], factor: int) -> Float[Array, "B H W C"]:
    """Bilinear enlargement by a whole factor, half-pixel centres, edges repeated."""
    batch, height, width, channels = x.shape
    return jax.image.resize(x, (batch, height * factor, width * factor, channels), "linear")
