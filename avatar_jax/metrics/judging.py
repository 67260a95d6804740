"""Reads frames of a video with the judge: where the face is, what it does, what it says, whose it is."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import cv2
import jax
import jax.numpy as jnp
import numpy as np

from avatar_jax.models.judge import (
    COLUMNS,
    FACE_PIXELS,
    FACE_POINT,
    FACE_WINDOW,
    FRAME,
    PLACE,
    WHOLE,
    WHOLE_PIXELS,
    Judge,
    JudgeConfig,
    Near,
)

CHUNK = 32
"""Frames per call: one compiled shape for videos of any length."""
SIZES = (-0.6, 0.9)
"""Logarithms of the smallest and of the largest face that is looked for."""
AT_HOME = np.array([*FACE_POINT, 0.0, 0.0])
"""PLACE in the portrait itself."""


@dataclass(frozen=True)
class Judged:
    """T frames: values [T, 22] in the order of `judge.COLUMNS`, emotion and viseme logits [T, 8], identity [T, 64]."""

    values: np.ndarray
    emotion: np.ndarray
    viseme: np.ndarray
    identity: np.ndarray

    def of(self, name: str) -> np.ndarray:
        """One column by its name, [T]."""
        return self.values[:, COLUMNS.index(name)]


def at_reading_size(frame_HW3: np.ndarray) -> np.ndarray:
    """The square uint8 frame at the 256 px that the judge sees."""
    if frame_HW3.shape[:2] == (FRAME, FRAME):
        return frame_HW3
    way = cv2.INTER_AREA if frame_HW3.shape[0] > FRAME else cv2.INTER_CUBIC
    return cv2.resize(frame_HW3, (FRAME, FRAME), interpolation=way)


def small(frame_HW3: np.ndarray) -> np.ndarray:
    """The first look: all of a 256 px frame at 64 px."""
    return cv2.resize(frame_HW3, (WHOLE_PIXELS, WHOLE_PIXELS), interpolation=cv2.INTER_AREA)


def face_at(frame_HW3: np.ndarray, place: np.ndarray) -> np.ndarray:
    """The second look: FACE_WINDOW of the portrait's face, seen in a 256 px frame at `place` (PLACE), as 112 px."""
    x, y, log_size, roll = (float(v) for v in place)
    left, top, right, _ = FACE_WINDOW
    step = (right - left) / FACE_PIXELS
    a, b = np.exp(log_size) * np.cos(roll), np.exp(log_size) * np.sin(roll)
    u, v = left + 0.5 * step - FACE_POINT[0], top + 0.5 * step - FACE_POINT[1]
    # Pixel (i, j) of the look -> pixel of the frame, centres at whole numbers.
    across, down = FRAME * step * np.array([a, b]), FRAME * step * np.array([-b, a])
    start = FRAME * np.array([a * u - b * v + x, b * u + a * v + y]) - 0.5
    matrix = np.stack([across, down, start], axis=-1)
    way = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(frame_HW3, matrix, (FACE_PIXELS, FACE_PIXELS), flags=way, borderMode=cv2.BORDER_REPLICATE)


def rest_of(place: np.ndarray, true: np.ndarray) -> np.ndarray:
    """What is left to correct at `place` [..., 4] for a face that is at `true`: what `Near.rest` learns."""
    away = (true[..., 0] - place[..., 0] + 1j * (true[..., 1] - place[..., 1])) / np.exp(
        place[..., 2] + 1j * place[..., 3]
    )
    return np.stack([away.real, away.imag, true[..., 2] - place[..., 2], true[..., 3] - place[..., 3]], axis=-1)


def corrected(place: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """The place that `rest` points to; inverse of `rest_of`."""
    away = (rest[..., 0] + 1j * rest[..., 1]) * np.exp(place[..., 2] + 1j * place[..., 3])
    there = [
        place[..., 0] + away.real,
        place[..., 1] + away.imag,
        place[..., 2] + rest[..., 2],
        place[..., 3] + rest[..., 3],
    ]
    return np.stack(there, axis=-1)


def to_unit(pixels: Any) -> jax.Array:
    return jnp.asarray(pixels, jnp.float32) / 127.5 - 1


@partial(jax.jit, static_argnums=(0, 1))
def _apply(config: JudgeConfig, method: str, params: Any, *pictures: jax.Array) -> Any:
    return Judge(config).apply({"params": params}, *(to_unit(p) for p in pictures), method=method)


def chunks(frames: Iterable[np.ndarray]) -> Iterator[tuple[np.ndarray, int]]:
    """(CHUNK frames at 256 px, how many of them are not filling)."""
    stream = iter(frames)
    while held := [at_reading_size(frame) for frame in islice(stream, CHUNK)]:
        yield np.stack(held + [held[-1]] * (CHUNK - len(held))), len(held)


def judge_frames(params: Any, config: JudgeConfig, frames: Iterable[np.ndarray], portrait_HW3: np.ndarray) -> Judged:
    """What the judge reads in uint8 frames of any size (a stream will do) of a video made from `portrait_HW3`.

    The second look is taken twice: first to correct the place of the face, then to read.
    """
    portrait = at_reading_size(portrait_HW3)
    beside = np.repeat(small(portrait)[None], CHUNK, axis=0)
    beside_face = np.repeat(face_at(portrait, AT_HOME)[None], CHUNK, axis=0)
    at = [WHOLE.index(name) for name in PLACE]
    parts: list[tuple[np.ndarray, ...]] = []

    def second_look(frames_BHW3: np.ndarray, place_B4: np.ndarray) -> tuple[Near, np.ndarray]:
        """What is seen at `place_B4`, and the corrected place."""
        place_B4 = place_B4.astype(np.float64)
        place_B4[:, 2] = np.clip(place_B4[:, 2], *SIZES)
        faces = np.stack([face_at(f, p) for f, p in zip(frames_BHW3, place_B4, strict=True)])
        near: Near = jax.device_get(_apply(config, "read", params, faces, beside_face))
        return near, corrected(place_B4, np.asarray(near.rest))

    for frames_BHW3, count in chunks(frames):
        whole = np.array(_apply(config, "whole", params, np.stack([small(f) for f in frames_BHW3]), beside))
        _, place = second_look(frames_BHW3, whole[:, at])
        near, whole[:, at] = second_look(frames_BHW3, place)
        values = np.concatenate([whole, near.values], axis=-1)
        parts.append(tuple(np.asarray(x)[:count] for x in (values, near.emotion, near.viseme, near.identity)))
    return Judged(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def recognise(params: Any, config: JudgeConfig, portraits: Iterable[np.ndarray]) -> np.ndarray:
    """Identities [N, 64] of uint8 portraits of any size."""
    found = []
    for portraits_BHW3, count in chunks(portraits):
        faces = np.stack([face_at(p, AT_HOME) for p in portraits_BHW3])
        found.append(np.asarray(_apply(config, "recognise", params, faces))[:count])
    return np.concatenate(found)
