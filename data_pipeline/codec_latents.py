"""The avatar codec on a whole clip: latents of its frames, in calls of one shape, and the portrait's own."""

from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from avatar_jax.models.avatar_codec import AvatarCodec, CodecConfig
from avatar_jax.weights import ship

CHUNK = 20
"""Frames per call, one compiled shape for clips of any length."""

Params = Any


def sized(path: Path, sizes: type) -> tuple[Params, Any]:
    """A shipped network's parameters, and its config: `sizes` with what the file's note tells.

    Raises:
        WeightsError: if the file is missing or damaged.
    """
    params, note = ship.load(path)
    told = (note.get("config") or {}).get("model") or {}
    return params, sizes(**{name: tuple(x) if isinstance(x, list) else x for name, x in told.items()})


@partial(jax.jit, static_argnums=(0, 1))
def _applied(config: CodecConfig, method: str, params: Params, *arrays: jax.Array) -> jax.Array:
    """A method of the codec on one clip; arrays of more than two dimensions are pictures of 0 to 255."""
    given = (x.astype(jnp.float32) / 127.5 - 1 if x.ndim > 2 else x for x in arrays)
    made: Any = AvatarCodec(config).apply({"params": params}, *(x[None] for x in given), method=method)
    return made[0]


def clip_latents(
    config: CodecConfig,
    params: Params,
    frames_THW3: np.ndarray,
    pose_TZ: np.ndarray,
    portrait_HW3: np.ndarray,
    method: str = "encode",
) -> np.ndarray:
    """Latents [T, 17, 139] float16 of uint8 frames, their poses and hands [T, 11], and a portrait of SIZE pixels.

    method: `AvatarCodec.encode`, or `encode_faces` for face windows that are un-warped already.
    """
    count, padding = len(frames_THW3), -len(frames_THW3) % CHUNK
    frames = np.concatenate([frames_THW3, np.repeat(frames_THW3[-1:], padding, axis=0)])
    poses = np.pad(pose_TZ, ((0, padding), (0, 0)), mode="edge").astype(np.float32)
    parts = [
        np.asarray(_applied(config, method, params, frames[at : at + CHUNK], poses[at : at + CHUNK], portrait_HW3))
        for at in range(0, len(frames), CHUNK)
    ]
    return np.concatenate(parts)[:count].astype(np.float16)


def portrait_latent(config: CodecConfig, params: Params, portrait_HW3: np.ndarray) -> np.ndarray:
    """The own latent [17, 139] float16 of a uint8 portrait of SIZE pixels."""
    return np.asarray(_applied(config, "portrait_latent", params, portrait_HW3), np.float16)
