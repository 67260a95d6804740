"""A loaded video DiT called the way the released code calls it: channels-first video in, velocity out."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from avatar_jax.models.dit import DiT
from avatar_jax.nn.patch import grid_positions, patchify, unpatchify
from avatar_jax.weights.families import Family

TEXT_TOKENS = 512


def velocity(
    family: Family,
    params: dict[str, Any],
    video_BCTHW: np.ndarray,
    timestep: np.ndarray,
    text_BLE: np.ndarray,
    audio_BTUM: Any = None,
    image_BIE: np.ndarray | None = None,
) -> np.ndarray:
    """The model's output [B, C, T, H, W]; `timestep` in [0, 1000], [B] or [B, N]; text is zero-padded to 512."""
    B, _, T, H, W = video_BCTHW.shape
    text = np.zeros((B, 1, TEXT_TOKENS, text_BLE.shape[-1]), np.float32)
    text[:, 0, : text_BLE.shape[1]] = text_BLE
    times = jnp.tile(jnp.arange(T, dtype=jnp.float32), (B, 1))
    with jax.default_matmul_precision("highest"):
        patches = jax.jit(DiT(family.dit).apply)(
            {"params": params["dit"]},
            patchify(jnp.asarray(video_BCTHW.transpose(0, 2, 3, 4, 1))),
            jnp.asarray(timestep, jnp.float32) / 1000,
            grid_positions(times, H // 2, W // 2),
            jnp.asarray(text),
            jnp.ones((B, T, 1)),
            audio_BTUM,
            None if image_BIE is None else jnp.asarray(image_BIE),
        )
    return np.asarray(unpatchify(patches, H // 2)).transpose(0, 4, 1, 2, 3)


def relative_error(ours: Any, theirs: np.ndarray) -> float:
    """Largest difference, in units of the reference's largest value."""
    return float(np.abs(np.asarray(ours) - theirs).max() / np.abs(theirs).max())
