"""Pictures in and out: the portrait at the model's size, the VAE both ways, picture tokens, colours."""

from collections.abc import Sequence
from math import log
from typing import Any

import cv2
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float32, UInt8

from avatar_jax.compilation import Program
from avatar_jax.mesh import fetched
from avatar_jax.models.clip_vision import clip_pixels, encode_pictures
from avatar_jax.models.suite import Part
from avatar_jax.models.vae_stages import VAEConfig
from avatar_jax.models.vae_stream import decode_stream, encode_stream
from avatar_jax.models.video_model import PATCH
from avatar_jax.models.video_vae import VideoVAE

TALLEST, WIDEST = 9 / 16, 16 / 9
"""Proportions (width by height) beyond which a portrait is cropped."""
AT_ONCE = 8
"""Pictures that are encoded to tokens together."""


def frame_size(width: int, height: int, area: int, cell: int, among: Sequence[float] = ()) -> tuple[int, int]:
    """(width, height) of the video: about `area` pixels, a portrait's proportions, whole patches of latents.

    `among`: proportions of which the nearest is taken.
    """
    ratio = min(max(width / height, TALLEST), WIDEST)
    ratio = min(among, key=lambda r: abs(log(r / ratio)), default=ratio)
    step = cell * PATCH
    wide, high = (max(step, step * round((area * r) ** 0.5 / step)) for r in (ratio, 1 / ratio))
    return wide, high


def fitted(
    picture: UInt8[np.ndarray, "H W 3"], size: tuple[int, int], centre: tuple[float, float]
) -> UInt8[np.ndarray, "H2 W2 3"]:
    """The picture at `size` (width, height): the largest part of these proportions, as near `centre` as fits."""
    height, width = picture.shape[:2]
    scale = min(width / size[0], height / size[1])
    wide, high = size[0] * scale, size[1] * scale
    left = min(max(centre[0] - wide / 2, 0), width - wide)
    top = min(max(centre[1] - high / 2, 0), height - high)
    part = picture[round(top) : max(round(top + high), round(top) + 1), round(left) : round(left + wide) or 1]
    return cv2.resize(part, size, interpolation=cv2.INTER_AREA if scale > 1 else cv2.INTER_CUBIC)


def _encode(config: VAEConfig, params: Any, frames_BFHW3: jax.Array) -> jax.Array:
    return encode_stream(VideoVAE(config), params, frames_BFHW3)


def _decode(config: VAEConfig, params: Any, latents_BTHWC: jax.Array) -> jax.Array:
    frames = decode_stream(VideoVAE(config), params, latents_BTHWC)
    return jnp.round((frames + 1) * 127.5).astype(jnp.uint8)


SMALL_TILES = {"xla_tpu_scoped_vmem_limit_kib": "16384"}
"""Of on-chip memory. With the 64 MiB that the launch files give the denoiser, convolutions get tiles so large that
the compiler makes the same ones smaller and smaller, several times over (docs/tpu.md)."""
encode_video = Program(_encode, SMALL_TILES, static=(0,))
"""(config, parameters, frames [B, F, H, W, 3] in [-1, 1]) -> latents [B, T, h, w, C], a few frames at a time."""
decode_video = Program(_decode, SMALL_TILES, static=(0,))
"""(config, parameters, latents [B, T, h, w, C]) -> uint8 frames [B, F, H, W, 3], a latent at a time."""


def picture_tokens(part: Part[Any], pictures: list[np.ndarray]) -> Float32[np.ndarray, "N I E"]:
    """Tokens of pictures of any size."""
    found = []
    for start in range(0, len(pictures), AT_ONCE):
        some = pictures[start : start + AT_ONCE]
        pixels = clip_pixels([*some, *[some[-1]] * (AT_ONCE - len(some))], part.config.side)
        tokens = encode_pictures(part.config, part.params, jnp.asarray(pixels))
        found.append(np.asarray(fetched(tokens), np.float32)[: len(some)])
    return np.concatenate(found)


def colour_matched(
    frames_FHW3: UInt8[np.ndarray, "F H W 3"], like: UInt8[np.ndarray, "H W 3"], strength: float
) -> UInt8[np.ndarray, "F H W 3"]:
    """All frames with one change of colour that gives them the mean and spread of `like` in Lab (Reinhard et al. 2001).

    One change for all of them: what the video itself does with its light stays.
    """
    if strength == 0:
        return frames_FHW3
    lab = [cv2.cvtColor(frame.astype(np.float32) / 255, cv2.COLOR_RGB2LAB) for frame in frames_FHW3]
    target = cv2.cvtColor(like.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    mean, spread = np.mean(lab, axis=(0, 1, 2)), np.std(lab, axis=(0, 1, 2))
    gain = target.std(axis=(0, 1)) / np.maximum(spread, 1e-3)
    matched = []
    for frame, pixels in zip(frames_FHW3, lab, strict=True):
        moved = ((pixels - mean) * gain + target.mean(axis=(0, 1))).astype(np.float32)
        colours = np.clip(cv2.cvtColor(moved, cv2.COLOR_LAB2RGB) * 255, 0, 255)
        matched.append(np.round(strength * colours + (1 - strength) * frame).astype(np.uint8))
    return np.stack(matched)
