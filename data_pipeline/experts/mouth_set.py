"""Clear and spoilt mouths of drawn characters: endless for training, held-out ones for the measurements."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from tqdm import tqdm

from data_pipeline.clips import MemoryClip
from data_pipeline.experts.rendered import true_tracks
from data_pipeline.experts.spoil import CONTEXT, KINDS, MIDDLE, cut_out, lived_in
from data_pipeline.records import FPS, SOUND_RATE
from data_pipeline.synthetic.clip import HELD_OUT_IDENTITIES
from data_pipeline.synthetic.identity import make_identity
from data_pipeline.synthetic.judged import random_state
from data_pipeline.synthetic.render import occlusion, render
from data_pipeline.synthetic.state import COLUMN

SAMPLES = SOUND_RATE // FPS
RENDERED = 320
"""Pixels of a drawing: a head is about as wide as CONTEXT."""
BARE = 0.02
"""Part of a clear mouth that a hand may cover."""
FIRST_IDENTITY = 6_000_000


def contexts(seed: int, each: int, side: int = RENDERED) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Heads about their mouths, uint8 [each, CONTEXT, CONTEXT, 3], of the character of a seed, none of them covered;
    with the frames and states that they are cut from."""
    rng, who = np.random.default_rng([seed, 11]), make_identity(seed)
    states = np.stack([random_state(rng)[0] for _ in range(each)])
    states[occlusion(who, states) > BARE, COLUMN["hand"]] = 0
    frames, tracks = render(who, states, side), true_tracks(who, states)
    out = []
    for frame, head, mouth in zip(frames, tracks.heads_TB * side, tracks.mouths_TB * side, strict=True):
        view = (float(mouth[0] + mouth[2] / 2), float(mouth[1] + mouth[3] / 2), float(head[2]))
        out.append(cut_out(frame, view, CONTEXT))
    return np.stack(out), frames, states


@dataclass(frozen=True)
class Mouths:
    """Contexts of many characters in memory."""

    contexts_NHW3: np.ndarray

    @classmethod
    def draw(cls, identities: int, each: int, first: int = FIRST_IDENTITY) -> "Mouths":
        seeds = tqdm(range(first, first + identities), unit="character", desc="mouths")
        return cls(np.concatenate([contexts(seed, each)[0] for seed in seeds]))

    def batch(self, rng: np.random.Generator, count: int) -> dict[str, np.ndarray]:
        """`training.classifier_stage.Examples`: every second one is spoilt, at times in two ways."""
        rows = [self.example(rng, bool(i % 2)) for i in range(count)]
        return {"picture": np.stack(rows), "good": (np.arange(count) % 2 == 0).astype(np.float32)}

    def example(self, rng: np.random.Generator, spoilt: bool) -> np.ndarray:
        picture, view = self.contexts_NHW3[rng.integers(len(self.contexts_NHW3))], MIDDLE
        if rng.random() < 0.5:
            picture = np.ascontiguousarray(picture[:, ::-1])
        if spoilt:
            names = list(rng.choice(list(KINDS), 2 if rng.random() < 0.15 else 1, replace=False))
            for name in names:
                picture, moved = KINDS[name](rng, picture)
                view = moved if moved != MIDDLE else view
        # The light changes before the codec: a spoilt picture is lived in too, and neither way gives the answer away.
        return cut_out(*lived_in(rng, picture, view))


def held_out_crops(part: int, identities: int, each: int = 2) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """(crops, good, kinds) of characters that no network has seen: each clear crop beside one of every kind."""
    crops, good, kinds = [], [], []
    first = HELD_OUT_IDENTITIES + 100_000 * (part + 1)
    for seed in range(first, first + identities):
        rng = np.random.default_rng([seed, 12])
        for picture in contexts(seed, each)[0]:
            for kind in ("clear", *KINDS):
                spoilt, view = KINDS[kind](rng, picture) if kind in KINDS else (picture, MIDDLE)
                crops.append(cut_out(*lived_in(rng, spoilt, view)))
                good.append(kind == "clear")
                kinds.append(kind)
    return np.stack(crops), np.array(good), kinds


def spoilt_clip(seed: int, kind: str, count: int = 12) -> MemoryClip:
    """`count` frames of a held-out character whose head, in all of them or in a stretch of at least half, is spoilt in
    one way; "clear" is none. Misalignment is in the tracks, all else in the frames."""
    rng, who = np.random.default_rng([seed, 13]), make_identity(seed)
    _, frames, states = contexts(seed, count)
    tracks = true_tracks(who, states)
    length = count if rng.random() < 0.5 else int(rng.integers(count // 2, count))
    start = int(rng.integers(count - length + 1))
    mouths = tracks.mouths_TB.copy()
    for t in range(count):
        head, mouth = tracks.heads_TB[t] * RENDERED, tracks.mouths_TB[t] * RENDERED
        view = (float(mouth[0] + mouth[2] / 2), float(mouth[1] + mouth[3] / 2), float(head[2]))
        picture, seen = cut_out(frames[t], view, CONTEXT), MIDDLE
        if kind in KINDS and start <= t < start + length:
            picture, seen = KINDS[kind](rng, picture)
        picture, _ = lived_in(rng, picture, MIDDLE)
        paste(frames[t], picture, view)
        mouths[t, :2] += (np.array(seen[:2]) - CONTEXT / 2) * view[2] / CONTEXT / RENDERED
        tracks.heads_TB[t, 2] *= seen[2] / MIDDLE[2]
    return MemoryClip(frames, np.zeros(count * SAMPLES, np.float32), replace(tracks, mouths_TB=mouths))


def paste(frame: np.ndarray, picture: np.ndarray, view: tuple[float, float, float]) -> None:
    """Put what `cut_out` cut back into the frame, in place, as far as it lies inside."""
    x, y, length = view
    scale = length / CONTEXT
    start = (x - length / 2 + scale / 2 - 0.5, y - length / 2 + scale / 2 - 0.5)
    matrix = np.array([[scale, 0, start[0]], [0, scale, start[1]]])
    size = (frame.shape[1], frame.shape[0])
    inside = cv2.warpAffine(np.ones(picture.shape[:2], np.float32), matrix, size)[..., None]
    laid = cv2.warpAffine(picture, matrix, size, borderMode=cv2.BORDER_REPLICATE)
    frame[:] = np.where(inside > 0.99, laid, frame)
