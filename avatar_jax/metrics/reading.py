"""Reads frames with one of the trained readers: mouth, eyes, pose, clarity, identity, emotion for every frame."""

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import cv2
import jax
import jax.numpy as jnp
import numpy as np

from avatar_jax.models.avatar_codec import PICTURE
from avatar_jax.models.reader import Reader, ReaderConfig, Reading

CHUNK = 32
"""Frames per call: one compiled shape for videos of any length."""


@partial(jax.jit, static_argnums=0)
def _read(config: ReaderConfig, params: Any, frames_BHW3: jax.Array) -> Reading:
    reading: Any = Reader(config).apply({"params": params}, frames_BHW3.astype(jnp.float32) / 127.5 - 1)
    return reading


def at_reading_size(frame_HW3: np.ndarray) -> np.ndarray:
    """The frame at the 128 px that readers see."""
    if frame_HW3.shape[:2] == (PICTURE, PICTURE):
        return frame_HW3
    return cv2.resize(frame_HW3, (PICTURE, PICTURE), interpolation=cv2.INTER_AREA)


def _chunks(frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    held: list[np.ndarray] = []
    for frame in frames:
        held.append(at_reading_size(frame))
        if len(held) == CHUNK:
            yield np.stack(held)
            held = []
    if held:
        yield np.stack(held)


def read_frames(params: Any, config: ReaderConfig, frames: Iterable[np.ndarray]) -> Reading:
    """Readings of uint8 frames of any size; NumPy arrays with one row per frame. Frames may be a stream."""
    parts: list[list[Any]] = []
    for chunk in _chunks(frames):
        padded = np.pad(chunk, ((0, CHUNK - len(chunk)), (0, 0), (0, 0), (0, 0)), mode="edge")
        parts.append([np.asarray(x)[: len(chunk)] for x in _read(config, params, padded)])
    columns: list[Any] = [np.concatenate(column) for column in zip(*parts, strict=True)]
    return Reading(*columns)
