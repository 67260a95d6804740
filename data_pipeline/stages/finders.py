"""Face finders that need no downloaded weights: OpenCV's cascades for photographs, the gate's reader for drawings.

Any other, mediapipe's landmarks for example, is a `protocol.FaceFinder` whose factory the setting `faces.finder` names.
"""

import functools
import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from avatar_jax.media import BadInput
from avatar_jax.media.face import HEAD_HEIGHT, find_faces, is_drawn
from avatar_jax.metrics.reading import read_frames
from avatar_jax.models.avatar_codec import PICTURE
from avatar_jax.models.pose import PARALLAX
from avatar_jax.models.reader import Reader, ReaderConfig
from avatar_jax.weights import ship
from data_pipeline.protocol import FaceFinder, Head

BELOW, WIDE = 0.141, 0.37
"""The mouth of a drawn head: below its middle, in portrait widths at zoom 1, and its width in widths of the head."""
RADIANS = 0.6
"""Radians of a drawn head at yaw or pitch 1, about: its features shift as those of a head turned that far."""


def named(dotted: str) -> Any:
    """What "package.module:name" names.

    Raises:
        BadInput: there is no such thing.
    """
    module, _, name = dotted.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise BadInput("setting", dotted, "package.module:name of a factory", str(error)) from error


@functools.cache
def gate() -> tuple[Reader, Any]:
    """The shipped reader, loaded once per process."""
    params, note = ship.load(ship.SHIPPED / "gate.safetensors")
    return Reader(ReaderConfig(**(note.get("config") or {}).get("model", {}))), params


def square(frame: np.ndarray, pixels: int = PICTURE) -> tuple[np.ndarray, tuple[float, float, float]]:
    """The part of a frame that the reader looks at, resampled; its left, top and side in the frame's pixels."""
    height, width = frame.shape[:2]
    side = min(height, width)
    left, top = (width - side) // 2, (height - side) // 4
    cut = cv2.resize(frame[top : top + side, left : left + side], (pixels, pixels), interpolation=cv2.INTER_AREA)
    return cut, (left, top, side)


@dataclass(frozen=True)
class DrawnFinder:
    """Reads drawn heads with their pose. It answers for every frame, so it must be given drawings of one head."""

    version: str = "gate-2"

    def find(self, frames: Sequence[np.ndarray]) -> list[list[Head]]:
        reader, params = gate()
        cuts = [square(frame) for frame in frames]
        seen = read_frames(reader, params, [picture for picture, _ in cuts])
        columns = ("face_x", "face_y", "face_size", "log_zoom", "yaw", "pitch", "roll")
        heads = []
        for i, (frame, (_, (left, top, side))) in enumerate(zip(frames, cuts, strict=True)):
            x, y, size, zoom, yaw, pitch, roll = (float(seen.of(name)[i]) for name in columns)
            tall = HEAD_HEIGHT * float(np.exp(zoom))
            height, width = frame.shape[:2]
            box = (left + (x - size / 2) * side, top + (y - tall / 2) * side, size * side, tall * side)
            shares = (box[0] / width, box[1] / height, box[2] / width, box[3] / height)
            # Features move with the pose, further than the head: the mouth is where `models.pose` draws it.
            right, down = PARALLAX[0] * yaw, BELOW + PARALLAX[1] * pitch
            across = x + np.exp(zoom) * (np.cos(roll) * right - np.sin(roll) * down)
            along = y + np.exp(zoom) * (np.sin(roll) * right + np.cos(roll) * down)
            wide = WIDE * size * side
            mouth = ((left + across * side - wide / 2) / width, (top + along * side - 0.3 * wide) / height)
            heads.append(
                [Head(shares, (*mouth, wide / width, 0.6 * wide / height), (RADIANS * yaw, RADIANS * pitch, roll))]
            )
        return heads


@dataclass(frozen=True)
class CascadeFinder:
    """Frontal faces of photographs; says nothing of their pose."""

    version: str = "cascade-1"

    def find(self, frames: Sequence[np.ndarray]) -> list[list[Head]]:
        found = []
        for frame in frames:
            height, width = frame.shape[:2]
            boxes = find_faces(frame)
            found.append([Head((x / width, y / height, w / width, h / height)) for x, y, w, h in boxes])
        return found


def finder_for(frames: Sequence[np.ndarray], origin: str, setting: str) -> tuple[FaceFinder, bool]:
    """The finder of the setting, else one that suits the frames; and whether they are drawn: told, or as they look."""
    looked = [is_drawn(frames[i]) for i in sorted({0, len(frames) // 2, len(frames) - 1})]
    drawn = origin == "synthetic" or 2 * sum(looked) > len(looked)
    if setting:
        factory: Callable[[], FaceFinder] = named(setting)
        return factory(), drawn
    return (DrawnFinder() if drawn else CascadeFinder()), drawn
