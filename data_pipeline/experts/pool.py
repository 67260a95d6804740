"""Rendered clips as small arrays, from which the training of the continuity and the sync expert draws.

    python -m data_pipeline experts data --out DIR --count 400

Shards of `SHARD` clips, each written whole or not at all: a stopped run goes on where it was.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from avatar_jax.models.mfcc import mfcc
from data_pipeline.clips import crops
from data_pipeline.experts.framing import mouth_squares
from data_pipeline.experts.rendered import memory_clip
from data_pipeline.source import Record, RecordSource, RecordWriter
from data_pipeline.synthetic.clip import make_clip
from data_pipeline.synthetic.state import POSE_COLUMNS

SHARD, SECONDS = 20, 4.0
RENDERED, WHOLE, MOUTH = 176, 64, 44
"""Pixels: of the drawing, of the kept small frame, of the kept square about the mouth (training cuts 40 of them)."""
FIRST_SEED = 5_000_000
"""The generator's own training clips have seeds from 0 on."""


def luma(frames_THW3: np.ndarray) -> np.ndarray:
    """[T, H, W] uint8 brightness."""
    return np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames_THW3])


def small(frames_THW3: np.ndarray, side: int = WHOLE) -> np.ndarray:
    """[T, side, side] uint8 brightness of whole frames, whatever their proportions."""
    shrunk = [cv2.resize(frame, (side, side), interpolation=cv2.INTER_AREA) for frame in frames_THW3]
    return luma(np.stack(shrunk))


def pool_record(seed: int) -> dict[str, np.ndarray]:
    """whole_THW and mouth_THW brightness, mfcc_FK, pose_TZ of the training clip of a seed."""
    drawn = make_clip(seed, "train", (SECONDS, SECONDS))
    clip = memory_clip(drawn, RENDERED)
    assert clip.tracks is not None
    return {
        "whole_THW": small(clip.frames_THW3),
        "mouth_THW": luma(crops(clip, mouth_squares(clip.tracks), MOUTH, list(clip.frames_THW3))),
        "mfcc_FK": mfcc(clip.mono).astype(np.float16),
        "pose_TZ": drawn.states_TS[:, POSE_COLUMNS].astype(np.float32),
    }


def write_pool(out: Path, count: int) -> None:
    """The shards of `count` clips that `out` lacks."""
    shards = [out / f"{i:05d}.array_record" for i in range(-(-count // SHARD))]
    missing = [path for path in shards if not path.exists()]
    with tqdm(total=len(missing) * SHARD, unit="clip", desc="clips for the experts") as bar:
        for path in missing:
            first = FIRST_SEED + int(path.stem) * SHARD
            with RecordWriter(path) as writer:
                for seed in range(first, first + SHARD):
                    writer.write(pool_record(seed))
                    bar.update()


@dataclass(frozen=True)
class Pool:
    """All clips of a folder, in memory: 0.6 MB each."""

    clips: tuple[Record, ...]

    @classmethod
    def open(cls, folder: Path) -> "Pool":
        """Raises FileNotFoundError where there is none."""
        return cls(tuple(RecordSource(folder)))
