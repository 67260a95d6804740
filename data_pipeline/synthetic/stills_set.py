"""Writes the memory-mapped folder of stills that `avatar_jax.training.stills` reads."""

import json
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from data_pipeline.synthetic.state import COLUMN, EMOTIONS, STATE, emotion_face
from data_pipeline.synthetic.stills import Stills, stills

FELT = {"smile": 1.0, "brow": 1.0, "frown": 8.0, "squint": 8.0}
"""Columns that tell an emotion's intensity; the last two have no other source of variation, so they weigh more."""
CHUNK = 50


def intensity(states_KS: np.ndarray, emotions_K: np.ndarray) -> np.ndarray:
    """[K] intensity 0 to 1 with which each state shows its emotion: weighted least squares on the face's columns."""
    columns, weight = [COLUMN[name] for name in FELT], np.array(list(FELT.values()))
    faces = np.array([[emotion_face(EMOTIONS[e], 1.0).get(name, 0.0) for name in FELT] for e in emotions_K])
    shown = np.sum(weight * faces * states_KS[:, columns], axis=-1)
    return np.clip(shown / np.maximum(np.sum(weight * faces**2, axis=-1), 1e-6), 0, 1).astype(np.float32)


def rows(of: Stills) -> dict[str, np.ndarray]:
    """One row of each array of the folder."""
    state = np.concatenate([of.states, of.emotions[:, None], intensity(of.states, of.emotions)[:, None]], axis=-1)
    marks = np.concatenate([of.landmarks[name] for name in ("mouth", "eye_l", "eye_r", "face_box")])
    return {"portraits": of.ref, "frames": of.frames, "states": state.astype(np.float32), "landmarks": marks}


def _fill(folder: str, seed: int, first: int, count: int, per_identity: int) -> int:
    """Write `count` identities from number `first` on into the arrays in place."""
    arrays = {p.stem: np.load(p, mmap_mode="r+") for p in Path(folder).glob("*.npy")}
    for i, of in enumerate(stills(seed, count, per_identity, first=first)):
        for name, row in rows(of).items():
            arrays[name][first + i] = row
    return count


def write_stills(
    folder: str | Path,
    seed: int,
    count: int,
    per_identity: int = 7,
    workers: int = 1,
    progress: Callable[[int], object] = lambda done: None,
) -> None:
    """`count` identities with a portrait and per_identity - 1 frames each; same seed, same bytes.

    48 KB on disk per picture. `progress` is called with the number of identities that were just written.
    """
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    for name, row in rows(next(stills(seed, 1, per_identity))).items():
        dtype = np.uint8 if name in ("portraits", "frames") else np.float32
        np.lib.format.open_memmap(out / f"{name}.npy", "w+", dtype, (count, *row.shape)).flush()
    jobs = [(str(out), seed, i, min(CHUNK, count - i), per_identity) for i in range(0, count, CHUNK)]
    with get_context("spawn").Pool(workers) as pool:
        for done in [pool.apply_async(_fill, job) for job in jobs]:
            progress(done.get())
    (out / "columns.json").write_text(json.dumps([*STATE, "emotion", "intensity"]))
