"""Rendered clips as the experts see clips: frames, sound, and tracks that are exact because the drawing is ours."""

import numpy as np

from avatar_jax.models.pose import apply, portrait_to_screen
from data_pipeline.clips import MemoryClip
from data_pipeline.protocol import Tracks
from data_pipeline.synthetic.clip import Clip
from data_pipeline.synthetic.identity import Identity
from data_pipeline.synthetic.render import landmarks, render
from data_pipeline.synthetic.state import COLUMN, POSE_COLUMNS

HEAD, FACE = 2, 3
"""Layers of `models.pose`: the head with its hair, and the features in it, which parallax moves further."""
MOUTH_HEIGHT = 0.7
"""Of a mouth's box, in its widths."""


def true_tracks(who: Identity, states_TS: np.ndarray) -> Tracks:
    """Where head and mouth are drawn in square frames of these states."""
    pose_TZ = np.asarray(states_TS)[:, POSE_COLUMNS].astype(np.float64)
    layers_T44, zoom_T = portrait_to_screen(pose_TZ), np.exp(pose_TZ[:, 0])
    marks = landmarks(who)
    left, top, right, bottom = marks["face_box"]
    head_T2 = apply(layers_T44[:, HEAD], np.array([(left + right) / 2, (top + bottom) / 2]))
    mouth_T2 = apply(layers_T44[:, FACE], np.array(marks["mouth"][:2]))
    wide = 2 * marks["mouth"][2]

    def boxes(centre_T2: np.ndarray, width: float, height: float) -> np.ndarray:
        size_T2 = zoom_T[:, None] * np.array([width, height])
        return np.concatenate([centre_T2 - size_T2 / 2, size_T2], axis=-1).astype(np.float32)

    turn_T3 = np.full((len(pose_TZ), 3), np.nan, np.float32)
    turn_T3[:, 2] = states_TS[:, COLUMN["roll"]]
    heads_TB, mouths_TB = boxes(head_T2, right - left, bottom - top), boxes(mouth_T2, wide, MOUTH_HEIGHT * wide)
    return Tracks(heads_TB, mouths_TB, turn_T3, np.ones(len(pose_TZ), bool), 1, True)


def memory_clip(clip: Clip, side: int) -> MemoryClip:
    """A synthetic clip in arrays, frames of `side` x `side` pixels."""
    frames = render(clip.identity, clip.states_TS, side)
    mono = clip.speech.wave.astype(np.float32) / 32768
    return MemoryClip(frames, mono, true_tracks(clip.identity, clip.states_TS))
