"""Video latents <-> patches, and the positions of patches. Wan's two layouts differ: see each function."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def patchify(video_BTHWC: Float[Array, "B T H W C"], side: int = 2) -> jax.Array:
    """[B, T, H, W, C] -> [B, T, P, C * side^2], P row-major; inside a patch channel, row, column (a conv's order)."""
    B, T, H, W, C = video_BTHWC.shape
    x = video_BTHWC.reshape(B, T, H // side, side, W // side, side, C)
    return x.transpose(0, 1, 2, 4, 6, 3, 5).reshape(B, T, (H // side) * (W // side), C * side * side)


def unpatchify(patches_BTPC: Float[Array, "B T P C"], rows: int, side: int = 2) -> jax.Array:
    """[B, T, P, side^2 * C] -> [B, T, H, W, C]; inside a patch row, column, channel (the head's order)."""
    B, T, P, C = patches_BTPC.shape
    x = patches_BTPC.reshape(B, T, rows, P // rows, side, side, C // side**2)
    return x.transpose(0, 1, 2, 4, 3, 5, 6).reshape(B, T, rows * side, (P // rows) * side, C // side**2)


def grid_positions(times_BT: Float[Array, "B T"], rows: int, columns: int, extra: int = 0) -> jax.Array:
    """(time, row, column) of every token, [B, T * (rows * columns + extra), 3], float32.

    `extra` patches after the grid of each frame (the pose) lie on the grid's diagonal, just past its last corner.
    """
    row, column = jnp.meshgrid(jnp.arange(rows), jnp.arange(columns), indexing="ij")
    beyond = max(rows, columns) + jnp.arange(extra)
    place_P2 = jnp.stack([jnp.append(row.ravel(), beyond), jnp.append(column.ravel(), beyond)], axis=-1)
    B, T = times_BT.shape
    P = rows * columns + extra
    time_BTP1 = jnp.broadcast_to(times_BT[:, :, None, None], (B, T, P, 1))
    place_BTP2 = jnp.broadcast_to(place_P2.astype(jnp.float32), (B, T, P, 2))
    return jnp.concatenate([time_BTP1.astype(jnp.float32), place_BTP2], axis=-1).reshape(B, T * P, 3)


def spread(value_BTX: jax.Array, tokens: int, padded: int = 0) -> jax.Array:
    """What each frame has, for all of its patches: [B, T, X] -> [B, tokens, X]; the last `padded` tokens get zeros."""
    patches = (tokens - padded) // value_BTX.shape[1]
    return jnp.pad(jnp.repeat(value_BTX, patches, axis=1), ((0, 0), (0, padded), (0, 0)))
