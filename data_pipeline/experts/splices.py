"""Windows and clips with and without a camera switch, from rendered clips (`pool`) or held-out ones.

A splice joins two characters, two framings of one picture, or two instants of one clip; or one picture dissolves into
another. Nobody sees the cut between two instants that look alike, so a jump moves the face by at least `SEEN_MOVE`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import UInt8

from avatar_jax.models.pose import apply, portrait_to_screen
from data_pipeline.clips import MemoryClip
from data_pipeline.experts.pool import Pool
from data_pipeline.synthetic.clip import make_clip
from data_pipeline.synthetic.state import POSE_COLUMNS

FRAMES = 6
"""Frames of a window; a splice lies between the third and the fourth."""
BEFORE = FRAMES // 2
SEEN_MOVE = 0.02
"""In picture widths: what a mouth or an eye moves at least across a jump cut."""
LONGEST_DISSOLVE = 8
Rng = np.random.Generator
Window = UInt8[np.ndarray, "6 H W"]


def move(pose_TZ: np.ndarray, a: int, b: int) -> float:
    """How far the farther of two points of the face moves between two frames, in picture widths."""
    points = np.array([[0.41, 0.45], [0.5, 0.6]])
    at = apply(portrait_to_screen(pose_TZ[[a, b]].astype(np.float64))[:, None, 3], points[None])
    return float(np.linalg.norm(at[1] - at[0], axis=-1).max())


def jump(rng: Rng, pose_TZ: np.ndarray, low: int, high: int) -> tuple[int, int] | None:
    """(last frame before, first frame after) of a jump within a clip that can be seen."""
    for _ in range(12):
        a, b = (int(v) for v in rng.integers(low, high, 2))
        if abs(a - b) >= 6 and move(pose_TZ, a, b) >= SEEN_MOVE:
            return a, b
    return None


def reframed(rng: Rng, frames_THW: np.ndarray) -> np.ndarray:
    """The same pictures through another camera: closer by 12 to 70 %, and off to a side; or closer before, in turn."""
    height, width = frames_THW.shape[1:3]
    zoom = rng.uniform(1.12, 1.7)
    room = (1 - 1 / zoom) / 2
    x, y = 0.5 + rng.uniform(-room, room), 0.5 + rng.uniform(-room, room)
    matrix = np.array([[1 / zoom, 0, (x - 0.5 / zoom) * width], [0, 1 / zoom, (y - 0.5 / zoom) * height]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = [cv2.warpAffine(f, matrix, (width, height), flags=flags) for f in frames_THW]
    return np.stack(warped)


@dataclass(frozen=True)
class Splices:
    """Examples for the continuity classifier from a pool of small grey clips."""

    pool: Pool

    def batch(self, rng: Rng, count: int) -> dict[str, np.ndarray]:
        """`training.classifier_stage.Examples`: half of them continuous."""
        rows = [self.continuous(rng) if i % 2 == 0 else self.spliced(rng) for i in range(count)]
        picture = np.stack([recorded(rng, row) for row in rows]).transpose(0, 2, 3, 1)
        return {"picture": np.ascontiguousarray(picture), "good": (np.arange(count) % 2 == 0).astype(np.float32)}

    def stretch(self, rng: Rng, length: int) -> np.ndarray:
        """Consecutive frames of any clip; now and then every second one, since people move faster than drawings."""
        frames = self.pool.clips[rng.integers(len(self.pool.clips))]["whole_THW"]
        step = 2 if rng.random() < 0.12 else 1
        start = int(rng.integers(len(frames) - step * length))
        return frames[start : start + step * length : step]

    def continuous(self, rng: Rng) -> Window:
        window = self.stretch(rng, FRAMES)
        return reframed(rng, window) if rng.random() < 0.25 else window

    def spliced(self, rng: Rng) -> Window:
        return SPLICES[str(rng.choice(list(SPLICES)))](self, rng)

    def other(self, rng: Rng) -> Window:
        return np.concatenate([self.stretch(rng, BEFORE), self.stretch(rng, BEFORE)])

    def reframe(self, rng: Rng) -> Window:
        window = self.stretch(rng, FRAMES)
        part = slice(BEFORE, None) if rng.random() < 0.5 else slice(0, BEFORE)
        out = window.copy()
        out[part] = reframed(rng, window[part])
        return out

    def jump(self, rng: Rng) -> Window:
        while True:
            clip = self.pool.clips[rng.integers(len(self.pool.clips))]
            frames = clip["whole_THW"]
            if found := jump(rng, clip["pose_TZ"], BEFORE, len(frames) - BEFORE):
                a, b = found
                return np.concatenate([frames[a - BEFORE + 1 : a + 1], frames[b : b + BEFORE]])

    def dissolve(self, rng: Rng) -> Window:
        length = int(rng.integers(1, LONGEST_DISSOLVE + 1))
        a, b = (self.stretch(rng, FRAMES).astype(np.float32) for _ in range(2))
        share = np.clip((np.arange(FRAMES) - (FRAMES - 1) / 2) / length + 0.5, 0, 1)[:, None, None]
        return np.round((1 - share) * a + share * b).astype(np.uint8)


SPLICES: dict[str, Callable[[Splices, Rng], Window]] = {
    "other": Splices.other,
    "reframe": Splices.reframe,
    "jump": Splices.jump,
    "dissolve": Splices.dissolve,
}


def recorded(rng: Rng, window: Window) -> Window:
    """What cameras and codecs add to every frame alike: light that drifts a little, grain, a shaking hand."""
    x = window.astype(np.float32)
    drift = 1 + rng.normal(0, 0.01) * np.arange(len(x))[:, None, None]
    x = x * rng.uniform(0.7, 1.25) * drift + rng.uniform(-15, 15)
    if rng.random() < 0.5:
        x = x + rng.normal(0, rng.uniform(0, 4), x.shape)
    if rng.random() < 0.25:
        shake = np.cumsum(rng.normal(0, 0.25, (len(x), 2)), axis=0)
        size = x.shape[2], x.shape[1]
        x = np.stack(
            [
                cv2.warpAffine(f, np.array([[1, 0, dx], [0, 1, dy]]), size, borderMode=cv2.BORDER_REPLICATE)
                for f, (dx, dy) in zip(x.astype(np.float32), shake, strict=True)
            ]
        )
    return np.clip(x, 0, 255).astype(np.uint8)


def spliced_clip(seed: int, kind: str, seconds: float = 4.0, side: int = 128) -> MemoryClip:
    """A held-out clip with one splice of a kind at a random place; "continuous" has none."""
    rng = np.random.default_rng([seed, 14])
    drawn = make_clip(seed, "heldout", (seconds, seconds))
    frames, sound = drawn.frames(side), drawn.speech.wave.astype(np.float32) / 32768
    count = len(frames)
    at = int(rng.integers(count // 5, count - count // 5))
    if kind in ("other", "dissolve"):
        other = make_clip(seed + 500_000, "heldout", (seconds, seconds)).frames(side)
        length = 1 if kind == "other" else int(rng.integers(2, LONGEST_DISSOLVE + 1))
        share = np.clip((np.arange(count) - at + 0.5) / length + 0.5, 0, 1)[:, None, None, None]
        frames = np.round((1 - share) * frames + share * other[:count]).astype(np.uint8)
    elif kind == "reframe":
        frames = np.concatenate([frames[:at], reframed(rng, frames[at:])])
    elif kind == "jump":
        found = jump(rng, drawn.states_TS[:, POSE_COLUMNS], count // 5, count - count // 5)
        if found is None:
            return spliced_clip(seed + 250_000, kind, seconds, side)
        # Frames are left out, or shown again, between the two.
        frames = np.concatenate([frames[: found[0] + 1], frames[found[1] :]])
    return MemoryClip(frames, sound[: len(frames) * 640])
