"""Windows for the generator's training, cut from clips of latents at any of its frame spacings.

This is the data side of `training.dit_stage`, whose docstring names every key.
"""

from collections.abc import Sequence

import numpy as np

from avatar_jax.director.plan import local_prompt, paraphrase, shot_clocks, shots_at
from avatar_jax.director.storyline import Storyline, parse
from avatar_jax.models.audio_encoder import audio_tokens
from avatar_jax.models.segment import FACE_LABELS
from avatar_jax.models.text_encoder import LENGTH, tokenize
from data_pipeline.source import Record
from data_pipeline.synthetic.clip import FPS
from data_pipeline.synthetic.state import COLUMN

MODEL_FPS = 12.5
_FACE = [COLUMN[name] for name in FACE_LABELS]
SHOTS = 3
CANONICAL = 0.5
"""Share of windows whose shots all speak the director's canonical sentence; the others are paraphrased."""


def storyline_of(record: Record) -> Storyline:
    return parse(str(record["storyline"]))


def sample_window(record: Record, rng: np.random.Generator, stride: float, frames: int) -> dict[str, np.ndarray]:
    """`frames` latents of one clip, `stride` frames of 12.5 fps apart, from a random start, and what belongs to them.

    Raises ValueError where the clip is too short or the stride falls between the clip's 25 frames a second.
    """
    step, exact = round(stride * FPS / MODEL_FPS), stride * FPS / MODEL_FPS
    room = len(record["latents_TPC"]) - (frames - 1) * step
    if step != exact or step < 1 or room < 1:
        have = len(record["latents_TPC"])
        raise ValueError(f"no window of {frames} frames with stride {stride} in a clip of {have} frames at {FPS} fps")
    rows = rng.integers(room) + step * np.arange(frames)
    seconds = rows / FPS
    storyline = storyline_of(record)
    weights_TS = shots_at(storyline, seconds)
    seen = np.flatnonzero(weights_TS.max(0) > 0)[:SHOTS]
    said = local_prompt if rng.random() < CANONICAL else lambda shot: paraphrase(shot, rng)
    text_ids_SL = np.zeros((SHOTS, LENGTH), np.int32)
    shot_weights_TS = np.zeros((frames, SHOTS), np.float32)
    clocks_TS2 = np.zeros((frames, SHOTS, 2), np.float32)
    clocks_TS2[:, : len(seen)] = shot_clocks(record["spans_S2"][seen], seconds)
    for place, shot in enumerate(seen):
        text_ids_SL[place] = tokenize(said(storyline.shots[shot]))
        shot_weights_TS[:, place] = weights_TS[:, shot]
    return {
        "latents_TPC": record["latents_TPC"][rows],
        "times_T": (seconds * MODEL_FPS).astype(np.float32),
        "audio_TUM": np.asarray(audio_tokens(record["audio_FM"], seconds), np.float16),
        "text_ids_SL": text_ids_SL,
        "shot_weights_TS": shot_weights_TS / shot_weights_TS.sum(-1, keepdims=True),
        "clocks_TS2": clocks_TS2,
        "face_points_32": record["face_points_32"],
        "portrait_PC": record["portrait_PC"],
        "labels_TK": record["states_TS"][rows][:, _FACE].astype(np.float32),
    }


class ClipWindows:
    """`training.dit_stage.WindowSource` over records of latents: `source(rng, stride, frames)` is one window."""

    def __init__(self, records: Sequence[Record]) -> None:
        self.records = records

    def __call__(self, rng: np.random.Generator, stride: float, frames: int) -> dict[str, np.ndarray]:
        return sample_window(self.records[int(rng.integers(len(self.records)))], rng, stride, frames)
