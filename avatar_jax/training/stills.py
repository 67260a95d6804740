"""Rendered stills on disk, the training data of the gate's reader.

A folder holds memory-mapped arrays, one row per identity: `portraits.npy` [N, 128, 128, 3] and `frames.npy`
[N, K, 128, 128, 3] (uint8), `states.npy` [N, K, S] (the renderer's state of each frame; `columns.json` names the
columns, which end with `emotion`, a number in EMOTIONS, and its `intensity`) and `landmarks.npy` [N, 11]: mouth x, y,
half width, left eye x, y, right eye x, y, face box left, top, right, bottom, in portrait coordinates.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avatar_jax.models.pose import POSE

MIRRORED_POSE = np.array([1, -1, 1, -1, 1, -1, -1, 1], np.float32)
"""Factors of a pose, in the order of `models.pose.POSE`, when the picture is mirrored."""


@dataclass(frozen=True)
class Stills:
    """Memory-mapped stills; identities with the last `held_out` rows kept for evaluation."""

    portraits: np.ndarray
    frames: np.ndarray
    states: np.ndarray
    landmarks: np.ndarray
    columns: tuple[str, ...]
    held_out: int = 64

    @classmethod
    def open(cls, folder: str | Path, held_out: int = 64) -> "Stills":
        """Raises FileNotFoundError, with the command that makes them, where the folder holds no stills."""
        names = ("portraits", "frames", "states", "landmarks")
        paths = [*(Path(folder) / f"{name}.npy" for name in names), Path(folder) / "columns.json"]
        if missing := [str(p) for p in paths if not p.exists()]:
            raise FileNotFoundError(
                f"no stills in {folder}: {missing[0]} is missing; make them with "
                f"`python -m data_pipeline synthetic --what stills --out {folder}`"
            )
        columns = tuple(json.loads(paths[-1].read_text()))
        return cls(*(np.load(p, mmap_mode="r") for p in paths[:-1]), columns=columns, held_out=held_out)

    def __len__(self) -> int:
        """Identities for training."""
        return len(self.portraits) - self.held_out

    def draw(self, rng: np.random.Generator, identities: int, each: int) -> dict[str, np.ndarray]:
        """`each` frames of `identities` training identities, flattened to one batch axis; see `draw_rows`."""
        return self.draw_rows(rng, rng.choice(len(self), identities, replace=False), each)

    def draw_rows(self, rng: np.random.Generator, rows: np.ndarray, each: int) -> dict[str, np.ndarray]:
        """`each` frames of every identity in `rows`; half of the identities show a frame with a hand if they have one,
        since a hand is the largest thing that the portrait does not show."""
        hands = self.states[rows][:, :, self.columns.index("hand")] > 0
        first = rng.random(hands.shape) + (hands & (rng.random((len(rows), 1)) < 0.5))
        columns = np.argsort(-first, axis=-1)[:, :each]
        return self.gather(np.repeat(rows, each), columns.reshape(-1))

    def gather(self, rows: np.ndarray, columns: np.ndarray) -> dict[str, np.ndarray]:
        """The frames (rows[i], columns[i]) with their portraits, states, poses, landmarks and identity numbers."""
        state, pose = self.states[rows, columns], [self.columns.index(name) for name in POSE]
        return {
            "portrait": self.portraits[rows],
            "frame": np.stack([self.frames[r, c] for r, c in zip(rows, columns, strict=True)]),
            "state": state,
            "pose": state[:, pose],
            "landmarks": self.landmarks[rows],
            "identity": np.asarray(rows, np.int32),
        }

    def held_out_batches(self, size: int, each: int) -> list[dict[str, np.ndarray]]:
        """The held-out identities, `each` first frames of every one, in batches of `size` frames."""
        identities = np.arange(len(self), len(self.portraits))
        rows, columns = np.repeat(identities, each), np.tile(np.arange(each), len(identities))
        return [self.gather(rows[i : i + size], columns[i : i + size]) for i in range(0, len(rows), size)]


def to_unit(pixels: np.ndarray) -> np.ndarray:
    """uint8 pixels -> float32 in [-1, 1]."""
    return pixels.astype(np.float32) / 127.5 - 1


def mirror(batch: dict[str, np.ndarray], which: np.ndarray) -> dict[str, np.ndarray]:
    """Mirror the chosen frames left to right: pictures, pose and landmarks (float keys `pose`, `landmarks`)."""
    flip = lambda x: np.where(which[:, None, None, None], x[:, :, ::-1], x)  # noqa: E731
    marks = batch["landmarks"].copy()
    # The eyes and the sides of the face box change places, too.
    marks[:, [0, 3, 4, 5, 6]] = marks[:, [0, 5, 6, 3, 4]]
    marks[:, [7, 9]] = marks[:, [9, 7]]
    marks[:, [0, 3, 5, 7, 9]] = 1 - marks[:, [0, 3, 5, 7, 9]]
    pose = np.where(which[:, None], batch["pose"] * MIRRORED_POSE, batch["pose"])
    marks = np.where(which[:, None], marks, batch["landmarks"])
    pictures = {name: flip(batch[name]) for name in ("portrait", "frame")}
    return batch | pictures | {"pose": pose, "landmarks": marks}


def tint(rng: np.random.Generator, pictures: list[np.ndarray], group: np.ndarray) -> list[np.ndarray]:
    """One change of colour per identity (same `group` number) for all its pictures in [-1, 1].

    Half of the identities keep their colours; the others get gains per channel, and some swap channels.
    """
    count = int(group.max()) + 1
    gain = np.where(rng.random((count, 1)) < 0.5, 1.0, rng.uniform(0.75, 1.15, (count, 3))).astype(np.float32)
    order = np.stack([rng.permutation(3) if rng.random() < 0.15 else np.arange(3) for _ in range(count)])

    def change(x: np.ndarray) -> np.ndarray:
        x = np.take_along_axis(x, order[group][:, None, None, :], axis=-1)
        return np.clip((x + 1) * gain[group][:, None, None, :], 0, 2) - 1

    return [change(x) for x in pictures]
