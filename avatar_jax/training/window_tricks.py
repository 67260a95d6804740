"""Kling-Avatar's training tricks on windows of the embedded generator: how the last frame is given, and small faces."""

from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from avatar_jax.models.segment import GRID, GRID_CHANNELS, WindowConditions
from avatar_jax.training.losses import GRID_CELLS, PATCH_SIDE

LastFrame = Literal["hard", "soft", "shifted"]
"""How the last key frame of a sub-clip is given.

hard: as the window's own frame, which comes back as it is given, mouth and all.
soft: as a picture at the time of the frame before it, a first guess of that frame which the sound may correct.
shifted: as a picture that comes `shift` frames after the window's last one, so that it is never reached.
"""
SMALL_CELLS = 6
"""Width of the face in a padded grid of eight cells."""


def last_frame_as(cond: WindowConditions, kind: LastFrame, shift: float = 4.0) -> WindowConditions:
    """Windows of which the first and one other frame are known, that other one given in another way.

    Its slot holds the picture and stands for no frame of the video any more: it hears nothing.
    """
    if kind == "hard":
        return cond
    known_BT, times_BT = cond.known_mask_BT, cond.times_BT
    places = jnp.arange(known_BT.shape[1])
    last_B = jnp.max(jnp.where(known_BT, places, 0), axis=1)
    two_B = (known_BT.sum(1) == 2) & known_BT[:, 0]
    slot_BT = two_B[:, None] & (places == last_B[:, None])
    before_B1 = jnp.take_along_axis(times_BT, jnp.maximum(last_B - 1, 0)[:, None], axis=1)
    stride_B1 = times_BT[:, 1:2] - times_BT[:, :1]
    times_BT = jnp.where(slot_BT, before_B1 + (shift if kind == "shifted" else 0.0) * stride_B1, times_BT)
    return cond.replace(times_BT=times_BT, audio_BTUM=cond.audio_BTUM * ~slot_BT[:, :, None, None])


def padded(
    latents_BTPC: Float[Array, "B T P C"], points_B32: Float[Array, "B 3 2"], key: jax.Array, share: float
) -> tuple[Float[Array, "B T P C"], Float[Array, "B 3 2"], Bool[Array, "B"]]:
    """(latents, face points, which windows): in a `share` of the windows the face is three quarters as large, anywhere
    in a grid that is empty (zero) around it. The pose patch stays as it is."""
    B, T = latents_BTPC.shape[:2]
    pick_key, place_key = jax.random.split(key)
    small_B = jax.random.bernoulli(pick_key, share, (B,))
    room = GRID_CELLS - SMALL_CELLS
    at_B2 = jax.random.randint(place_key, (B, 2), 0, room + 1)
    cells = cells_of(latents_BTPC[:, :, :-1, :GRID_CHANNELS])
    shrunk = jax.image.resize(cells, (B, T, SMALL_CELLS, SMALL_CELLS, cells.shape[-1]), "linear")

    def put(shrunk: jax.Array, at_2: jax.Array) -> jax.Array:
        empty = jnp.zeros((T, GRID_CELLS, GRID_CELLS, shrunk.shape[-1]), shrunk.dtype)
        return jax.lax.dynamic_update_slice(empty, shrunk, (0, at_2[0], at_2[1], 0))

    grid = patches_of(jax.vmap(put)(shrunk, at_B2))
    moved_BTPC = latents_BTPC.at[:, :, :-1, :GRID_CHANNELS].set(grid)
    # Points are (x, y); places are (row, column).
    moved_B32 = (points_B32 * SMALL_CELLS + at_B2[:, None, ::-1]) / GRID_CELLS
    pick = small_B[:, None, None]
    return jnp.where(pick[..., None], moved_BTPC, latents_BTPC), jnp.where(pick, moved_B32, points_B32), small_B


def cells_of(patches: jax.Array) -> jax.Array:
    """[B, T, 16, 4 c] -> [B, T, 8, 8, c]: a patch holds 2x2 cells, row, column, channel."""
    B, T = patches.shape[:2]
    x = patches.reshape(B, T, GRID, GRID, PATCH_SIDE, PATCH_SIDE, -1)
    return x.transpose(0, 1, 2, 4, 3, 5, 6).reshape(B, T, GRID_CELLS, GRID_CELLS, -1)


def patches_of(cells: jax.Array) -> jax.Array:
    """Inverse of `cells_of`."""
    B, T = cells.shape[:2]
    x = cells.reshape(B, T, GRID, PATCH_SIDE, GRID, PATCH_SIDE, -1)
    return x.transpose(0, 1, 2, 4, 3, 5, 6).reshape(B, T, GRID * GRID, -1)
