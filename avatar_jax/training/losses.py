"""Loss of the embedded generator: squared error of the clean latents, where it matters for a face.

Errors count on unknown frames only. Grid cells near the mouth weigh up to 11, near the eyes up to 5; the pose has its
own mean, and its error is also asked to be smooth in time, since a trembling head is seen at errors that a wrong but
steady head hides. What a linear readout tells of the face (opening, smile, brows, gaze ...) has a term of its own:
those few directions are what viewers see and a small part of the latents' variance.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

GRID_CELLS, PATCH_SIDE = 8, 2


@dataclass(frozen=True)
class LossWeights:
    """Peaks and radii (in widths of the face window) of the weights on the 8x8 grid, and the weight of the pose."""

    mouth: float = 10.0
    mouth_radius: float = 0.16
    eyes: float = 4.0
    eyes_radius: float = 0.12
    pose: float = 1.0
    pose_motion: float = 2.0
    """On the change of the pose error from one frame to the next."""
    face: float = 0.3
    """On the error of the readout, in standard deviations of each label; its first label, the mouth's opening, counts
    `opening` times."""
    opening: float = 3.0


def face_weights(points_B32: Float[Array, "B 3 2"], weights: LossWeights, channels: int) -> Float[Array, "B P C"]:
    """Weights of the grid patches' channels: 1 plus Gaussians about the mouth and the two eyes.

    Args:
        points_B32: (x, y) of mouth, left eye, right eye, 0..1 over the grid.
        channels: latent channels of one grid cell; a patch holds 2x2 cells, row, column, channel.
    """
    centre = (jnp.arange(GRID_CELLS) + 0.5) / GRID_CELLS
    peaks = jnp.array([weights.mouth, weights.eyes, weights.eyes])
    radii = jnp.array([weights.mouth_radius, weights.eyes_radius, weights.eyes_radius])
    x_B3, y_B3 = points_B32[..., 0], points_B32[..., 1]
    across_B3W = jnp.exp(-(((centre - x_B3[..., None]) / radii[:, None]) ** 2) / 2)
    down_B3H = jnp.exp(-(((centre - y_B3[..., None]) / radii[:, None]) ** 2) / 2)
    cells_BHW = 1 + jnp.einsum("f,bfh,bfw->bhw", peaks, down_B3H, across_B3W)
    B, side = cells_BHW.shape[0], GRID_CELLS // PATCH_SIDE
    patches = cells_BHW.reshape(B, side, PATCH_SIDE, side, PATCH_SIDE).transpose(0, 1, 3, 2, 4)
    return jnp.repeat(patches.reshape(B, side * side, PATCH_SIDE**2), channels, axis=-1)


def mean_where(values: jax.Array, where: jax.Array) -> jax.Array:
    """Mean of `values` over the entries where the (broadcast) mask is true; 0 if there are none."""
    where = jnp.broadcast_to(where, values.shape).astype(values.dtype)
    return (values * where).sum() / jnp.maximum(where.sum(), 1)


def window_loss(
    predicted_BTPC: Float[Array, "B T P C"],
    clean_BTPC: Float[Array, "B T P C"],
    known_BT: Bool[Array, "B T"],
    points_B32: Float[Array, "B 3 2"],
    weights: LossWeights,
    grid_channels: int,
    readout_FK: Float[Array, "F K"] | None = None,
    readable_B: Bool[Array, "B"] | None = None,
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """(loss, its parts). The last patch is the pose, in the channels from `grid_channels` on.

    `readout_FK` maps the flattened grid to labels of the face in standard deviations, in windows that are `readable_B`
    (where faces are at their usual place).
    """
    error_BTPC = predicted_BTPC - clean_BTPC
    grid_BTPC, pose_BTZ = error_BTPC[:, :, :-1, :grid_channels], error_BTPC[:, :, -1, grid_channels:]
    weight_B1PC = face_weights(points_B32, weights, grid_channels // PATCH_SIDE**2)[:, None]
    unknown_BT = ~known_BT
    scale = 1 / weight_B1PC.mean()
    grid = mean_where(scale * weight_B1PC * grid_BTPC**2, unknown_BT[:, :, None, None])
    pose = mean_where(pose_BTZ**2, unknown_BT[:, :, None])
    moving = (unknown_BT[:, 1:] | unknown_BT[:, :-1])[:, :, None]
    motion = mean_where((pose_BTZ[:, 1:] - pose_BTZ[:, :-1]) ** 2, moving)
    parts = {"grid": grid, "pose": pose, "pose_motion": motion}
    loss = grid + weights.pose * pose + weights.pose_motion * motion
    if readout_FK is not None and weights.face:
        read_BTK = grid_BTPC.reshape(*grid_BTPC.shape[:2], -1) @ readout_FK
        each_K = jnp.ones(read_BTK.shape[-1]).at[0].set(weights.opening)
        counts_BT = unknown_BT if readable_B is None else unknown_BT & readable_B[:, None]
        parts["face"] = mean_where(read_BTK**2 * each_K, counts_BT[:, :, None])
        loss += weights.face * parts["face"]
    return loss, parts
