"""Clips to look at and to listen to: from arrays, or from the normalised files of a build's store."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from jaxtyping import Float, Float32, UInt8

from data_pipeline.protocol import Clip, Tracks
from data_pipeline.records import FPS, SOUND_RATE, Record, Source


def fitted(frame: UInt8[np.ndarray, "H W 3"], side: int | None) -> UInt8[np.ndarray, "h w 3"]:
    """The frame, shrunk until its shorter side has `side` pixels; never enlarged."""
    height, width = frame.shape[:2]
    if side is None or min(height, width) <= side:
        return frame
    scale = side / min(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(frame, size, interpolation=cv2.INTER_AREA)


@dataclass(frozen=True)
class MemoryClip:
    """A clip held in arrays: frames [T, H, W, 3] uint8 and its sound at 16 kHz in [-1, 1]."""

    frames_THW3: UInt8[np.ndarray, "T H W 3"]
    mono: Float32[np.ndarray, " n"]
    tracks: Tracks | None = None
    record: Record = field(default_factory=lambda: Record("memory", Source("memory"), (0, 0)))

    @property
    def count(self) -> int:
        return len(self.frames_THW3)

    @property
    def size(self) -> tuple[int, int]:
        return self.frames_THW3.shape[2], self.frames_THW3.shape[1]

    def frames(self, side: int | None = None, step: int = 1) -> Iterator[UInt8[np.ndarray, "H W 3"]]:
        return (fitted(frame, side) for frame in self.frames_THW3[::step])

    def path(self) -> Path:
        raise ValueError("a clip in memory has no file")


@dataclass(frozen=True)
class StoredClip:
    """A clip of a normalised source: `video` (constant frame rate, no sound) and `sound` (int16 .npy at 16 kHz)."""

    record: Record
    video: Path
    sound: Path
    tracks: Tracks | None = None

    @property
    def first(self) -> int:
        return self.record.span[0] if self.record.span else 0

    @property
    def count(self) -> int:
        return self.record.frames

    @property
    def size(self) -> tuple[int, int]:
        return size_of(self.video)

    @property
    def mono(self) -> Float32[np.ndarray, " n"]:
        samples = np.load(self.sound, mmap_mode="r")
        start, end = (frame * SOUND_RATE // FPS for frame in (self.first, self.first + self.count))
        return samples[start:end].astype(np.float32) / 32768

    def frames(self, side: int | None = None, step: int = 1) -> Iterator[UInt8[np.ndarray, "H W 3"]]:
        for index, frame in decoded(self.video, self.first, self.first + self.count):
            if (index - self.first) % step == 0:
                yield to_rgb(frame, side)

    def path(self) -> Path:
        return self.video


@cache
def size_of(path: Path) -> tuple[int, int]:
    """Width and height of a video."""
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        return context.width, context.height


def decoded(path: Path, first: int, end: int) -> Iterator[tuple[int, Any]]:
    """(number, frame) of frames [first, end) of a file with a constant rate of `FPS`; seeks to the key frame before.

    Decoders run in one thread: workers share the cores, and one thread gives the most frames per core.
    """
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type, stream.codec_context.thread_count = "NONE", 1
        base = stream.time_base or 1
        container.seek(int(first / FPS / base), stream=stream, backward=True)
        for frame in container.decode(stream):
            number = round((frame.pts or 0) * base * FPS)
            if number >= end:
                return
            if number >= first:
                yield number, frame


def to_rgb(frame: Any, side: int | None = None) -> UInt8[np.ndarray, "H W 3"]:
    """RGB of a decoded frame, its shorter side at most `side`."""
    scale = 1.0 if side is None else min(1.0, side / min(frame.width, frame.height))
    if scale == 1.0:
        return frame.to_ndarray(format="rgb24", threads=1)
    width, height = max(1, round(frame.width * scale)), max(1, round(frame.height * scale))
    return frame.to_ndarray(format="rgb24", width=width, height=height, interpolation="AREA", threads=1)


def crops(
    clip: Clip, boxes_TB: Float[np.ndarray, "T 4"], side: int, frames: Sequence[np.ndarray] | None = None
) -> UInt8[np.ndarray, "T side side 3"]:
    """The square about each box (of its longer side), resampled to `side`; parts outside repeat the edge.

    `boxes_TB` are shares of the frame, as in `Tracks`; `frames`: the clip's frames where they are decoded already.
    """
    out = np.empty((len(boxes_TB), side, side, 3), np.uint8)
    for i, frame in enumerate(clip.frames() if frames is None else frames):
        height, width = frame.shape[:2]
        x, y, w, h = boxes_TB[i] * np.array([width, height, width, height], np.float32)
        length = max(float(w), float(h), 2.0)
        scale = length / side
        left, top = x + w / 2 - length / 2, y + h / 2 - length / 2
        matrix = np.array([[scale, 0, left + scale / 2 - 0.5], [0, scale, top + scale / 2 - 0.5]])
        if scale > 1.5:
            # Shrunk first, so that nothing aliases.
            frame = cv2.resize(frame, None, fx=1 / scale, fy=1 / scale, interpolation=cv2.INTER_AREA)
            matrix = np.array([[1.0, 0, left / scale], [0, 1.0, top / scale]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        out[i] = cv2.warpAffine(frame, matrix, (side, side), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return out
