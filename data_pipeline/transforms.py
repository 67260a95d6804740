"""From a clip of a finished set to one training example: a random window, what the model may know of it, its mouth.

`LatentWindow` cuts encoded clips, `PixelWindow` decodes videos; both give, beside their pictures:

| key | shape, dtype | meaning |
|---|---|---|
| known_T | [T] bool | latents that the model is given (first, last, one in the middle, none) |
| keep_NAME | [] bool | False where the condition NAME (text, audio, reference) is to be dropped |
| mouth_THW | [T, H, W] float32 | share of each latent's place that the mouth covers (where the places are a grid) |
| start | [] float32 | seconds in the clip at which the window begins |

All randomness comes from the generator that the loader gives.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import av
import cv2
import numpy as np
from jaxtyping import Float, UInt8

from data_pipeline.buckets import Bucket
from data_pipeline.dataset.schema import AUDIO_RATE

Known = Callable[[np.random.Generator, int], np.ndarray]
"""(generator, latents) -> which of them are known."""


def none(rng: np.random.Generator, count: int) -> np.ndarray:
    return np.zeros(count, bool)


def first(rng: np.random.Generator, count: int) -> np.ndarray:
    return np.arange(count) == 0


def first_and_last(rng: np.random.Generator, count: int) -> np.ndarray:
    return np.isin(np.arange(count), [0, count - 1])


def first_and_middle(rng: np.random.Generator, count: int) -> np.ndarray:
    """The first and one other, anywhere: what lies behind it is made freely."""
    return np.isin(np.arange(count), [0, int(rng.integers(1, max(2, count)))])


@dataclass(frozen=True)
class Conditions:
    """What is known how often, and which condition is dropped how often."""

    known: Mapping[Known, float] = field(
        default_factory=lambda: {first: 0.4, first_and_last: 0.3, first_and_middle: 0.2, none: 0.1}
    )
    drop: Mapping[str, float] = field(default_factory=lambda: {"text": 0.1, "audio": 0.1, "reference": 0.1})

    def draw(self, rng: np.random.Generator, count: int) -> dict[str, np.ndarray]:
        odds = np.array(list(self.known.values()))
        chosen = list(self.known)[rng.choice(len(odds), p=odds / odds.sum())]
        kept = {f"keep_{name}": np.asarray(rng.random() >= odds) for name, odds in self.drop.items()}
        return {"known_T": chosen(rng, count)} | kept


@dataclass(frozen=True)
class Borders:
    """Random empty padding: in a share of examples the picture is made smaller and set anywhere on an empty canvas.

    So small faces are seen too. `smallest`: least side of the picture, as a share of what would fill the canvas.
    """

    share: float = 0.0
    smallest: float = 0.5


@dataclass(frozen=True)
class Placement:
    """A picture of `size` (height, width) scaled by `scale` with its corner at (`left`, `top`) of a canvas."""

    size: tuple[int, int]
    canvas: Bucket
    scale: float
    left: int
    top: int

    def picture(self, frame: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "H W 3"]:
        """The frame on its canvas, which is black where the picture does not reach."""
        height, width = (max(1, round(side * self.scale)) for side in self.size)
        method = cv2.INTER_AREA if self.scale < 1 else cv2.INTER_LINEAR
        scaled = frame if self.scale == 1 else cv2.resize(frame, (width, height), interpolation=method)
        out = np.zeros((self.canvas.height, self.canvas.width, 3), np.uint8)
        y, x = max(0, self.top), max(0, self.left)
        shown = scaled[y - self.top : self.canvas.height - self.top, x - self.left : self.canvas.width - self.left]
        out[y : y + shown.shape[0], x : x + shown.shape[1]] = shown
        return out

    def boxes(self, boxes_T4: Float[np.ndarray, "T 4"]) -> Float[np.ndarray, "T 4"]:
        """Boxes in shares of the picture -> in shares of the canvas."""
        height, width = self.size
        canvas = np.array([self.canvas.width, self.canvas.height] * 2, np.float32)
        scaled = boxes_T4 * np.array([width, height, width, height], np.float32) * self.scale
        return (scaled + np.array([self.left, self.top, 0, 0], np.float32)) / canvas


def place(
    rng: np.random.Generator,
    size: tuple[int, int],
    canvas: Bucket,
    borders: Borders,
    face: Sequence[float] | None = None,
) -> Placement:
    """Fill the canvas, cutting as little as possible with the face in view; or leave a border, cutting nothing.

    Args:
        face: x, y, width, height in shares of the picture, the centre of the cut; the picture's centre without it.
    """
    height, width = size
    fill, fit = (pick(canvas.height / height, canvas.width / width) for pick in (max, min))
    if rng.random() < borders.share:
        scale = fit * rng.uniform(borders.smallest, 1)
        free = [side - max(1, round(inner * scale)) for side, inner in ((canvas.width, width), (canvas.height, height))]
        left, top = (int(rng.integers(0, max(0, room) + 1)) for room in free)
        return Placement(size, canvas, scale, left, top)
    centre = (0.5, 0.5) if face is None else (face[0] + face[2] / 2, face[1] + face[3] / 2)

    def offset(side: int, inner: int, about: float) -> int:
        whole = max(1, round(inner * fill))
        return int(np.clip(round(side / 2 - about * whole), side - whole, 0))

    return Placement(
        size, canvas, fill, offset(canvas.width, width, centre[0]), offset(canvas.height, height, centre[1])
    )


def coverage(boxes_T4: Float[np.ndarray, "T 4"], rows: int, columns: int) -> Float[np.ndarray, "T rows columns"]:
    """Share of every cell of a grid over the picture that a box covers, 0 to 1."""

    def along(start: np.ndarray, length: np.ndarray, cells: int) -> np.ndarray:
        edges = np.arange(cells + 1, dtype=np.float32)
        inside = np.clip(edges, start[:, None] * cells, (start + length)[:, None] * cells)
        return np.diff(inside, axis=1)

    x, y, w, h = np.asarray(boxes_T4, np.float32).T
    return along(y, h, rows)[:, :, None] * along(x, w, columns)[:, None, :]


def per_latent(x_T: np.ndarray, frames_per_latent: int) -> np.ndarray:
    """The largest value within each latent's frames: one frame in the first, `frames_per_latent` in all others."""
    starts = [0, *range(1, len(x_T), frames_per_latent)]
    return np.maximum.reduceat(x_T, starts, axis=0)


def latent_count(frames: int, frames_per_latent: int) -> int:
    return 1 + -(-(frames - 1) // frames_per_latent)


def span(x_F: np.ndarray, start: int, count: int) -> np.ndarray:
    """`count` rows from `start` on, zeros where there are none: sound may end before the picture does."""
    rows = x_F[start : start + count]
    return np.concatenate([rows, np.zeros((count - len(rows), *x_F.shape[1:]), x_F.dtype)])


def too_short(example: Mapping[str, Any], frames: int) -> ValueError:
    return ValueError(f"clip {example['clip']}: {example['frames']} frames, a window has {frames}; choose longer clips")


@dataclass(frozen=True)
class LatentWindow:
    """Example of the `latents` set -> window of `frames` frames (at the clip's rate) in latents, and its sound.

    latents_THWC (or latents_TPC where the places are no grid), audio_FM: the features of exactly these seconds,
    text_LE: `text` rows of encoder states, zeros after the last. A window begins at any latent where each is one
    frame, else where an encoded window of the clip begins: a causal codec's first latent is unlike its others.
    """

    frames: int
    conditions: Conditions = field(default_factory=Conditions)
    text: int = 0

    def __call__(self, example: Mapping[str, Any], rng: np.random.Generator) -> dict[str, np.ndarray]:
        each, fps = int(example["frames_per_latent"]), float(example["fps"])
        count, latents_TPC, starts = latent_count(self.frames, each), example["latents_TPC"], example["starts"]
        if len(starts):
            window, chosen = len(latents_TPC) // len(starts), int(rng.integers(len(starts)))
            row, room, start = chosen * window, window - count, float(starts[chosen])
        else:
            room = len(latents_TPC) - count
            row = int(rng.integers(room + 1)) if each == 1 and room >= 0 else 0
            start = row / fps
        if room < 0:
            raise too_short(example, self.frames)
        rate = float(example["audio_rate"])
        at, first_frame = round(start * rate), round(start * fps)
        out: dict[str, np.ndarray] = {
            "audio_FM": span(example["audio_FM"], at, round(self.frames / fps * rate)),
            "start": np.asarray(start, np.float32),
            **self.conditions.draw(rng, count),
        }
        if self.text:
            out["text_LE"] = span(example["text_LE"][: self.text], 0, self.text)
        rows, columns = (int(side) for side in example["grid"])
        taken = latents_TPC[row : row + count]
        if rows * columns == 0:
            return out | {"latents_TPC": taken}
        mouths_T4 = example["mouths_T4"][first_frame : first_frame + self.frames]
        boxes_T4 = mouths_T4 if len(mouths_T4) else np.zeros((self.frames, 4), np.float32)
        mouth_THW = per_latent(coverage(boxes_T4, rows, columns), each)
        return out | {"latents_THWC": taken.reshape(count, rows, columns, -1), "mouth_THW": mouth_THW}


@dataclass(frozen=True)
class PixelWindow:
    """Example of the `media` set -> `frames` frames on a canvas, and exactly their sound.

    frames_THW3 uint8, audio_N int16 at 16 kHz, picture_4: the box of the picture on the canvas in shares of it.
    `cell`: pixels a side of one place of the codec, `frames_per_latent`: its frames; both shape the mouth's mask.
    """

    frames: int
    canvas: Bucket
    conditions: Conditions = field(default_factory=Conditions)
    borders: Borders = field(default_factory=Borders)
    cell: int = 16
    frames_per_latent: int = 4

    def __call__(self, example: Mapping[str, Any], rng: np.random.Generator) -> dict[str, np.ndarray]:
        room, fps = int(example["frames"]) - self.frames, float(example["fps"])
        if room < 0:
            raise too_short(example, self.frames)
        begin = int(rng.integers(room + 1))
        faces_T4, mouths_T4 = (example[name][begin : begin + self.frames] for name in ("faces_T4", "mouths_T4"))
        height, width = (int(side) for side in example["size"])
        at = place(rng, (height, width), self.canvas, self.borders, faces_T4.mean(0) if len(faces_T4) else None)
        boxes_T4 = at.boxes(mouths_T4) if len(mouths_T4) else np.zeros((self.frames, 4), np.float32)
        rows, columns = self.canvas.height // self.cell, self.canvas.width // self.cell
        sound = span(example["audio"], round(begin / fps * AUDIO_RATE), round(self.frames / fps * AUDIO_RATE))
        return {
            "frames_THW3": decode(example["video"], begin, self.frames, fps, at.picture, self.canvas),
            "audio_N": sound,
            "picture_4": at.boxes(np.array([[0, 0, 1, 1]], np.float32))[0],
            "mouth_THW": per_latent(coverage(boxes_T4, rows, columns), self.frames_per_latent),
            "start": np.asarray(begin / fps, np.float32),
            **self.conditions.draw(rng, latent_count(self.frames, self.frames_per_latent)),
        }


def decode(
    video: bytes,
    begin: int,
    count: int,
    fps: float,
    picture: Callable[[UInt8[np.ndarray, "h w 3"]], UInt8[np.ndarray, "H W 3"]],
    canvas: Bucket,
) -> UInt8[np.ndarray, "count H W 3"]:
    """Frames `begin` to `begin + count` of an mp4 file of constant rate, each through `picture`.

    Decoding starts at the key frame before and uses one thread: loaders have their own.

    Raises:
        ValueError: the file ends earlier.
    """
    out = np.empty((count, canvas.height, canvas.width, 3), np.uint8)
    done = 0
    with av.open(io.BytesIO(video), "r") as container:
        stream = container.streams.video[0]
        stream.thread_type, stream.codec_context.thread_count = "NONE", 1
        base = float(stream.time_base or 1)
        container.seek(int(begin / fps / base), stream=stream, backward=True)
        for frame in container.decode(stream):
            number = round((frame.pts or 0) * base * fps)
            if number >= begin:
                out[done] = picture(frame.to_ndarray(format="rgb24", threads=1))
                done += 1
            if done == count:
                return out
    raise ValueError(f"video: {done} of {count} frames from frame {begin} on")
