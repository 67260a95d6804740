"""Audio-visual sync: SyncNet's confidence and offset, with our small network or with the published one's weights."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from avatar_jax.mesh import make_mesh
from avatar_jax.metrics.av_offset import REACH, AVOffset, av_offset, overlap_distances, padded_distances
from avatar_jax.models.mfcc import mfcc
from avatar_jax.models.syncnet import PUBLISHED, SMALL, SyncNetConfig, embed_clip, relative, windows
from avatar_jax.weights.load import Request, load
from data_pipeline.clips import crops
from data_pipeline.experts.framing import face_squares, mouth_squares
from data_pipeline.experts.trained import Faces, kind, load_trained, no_judge, version
from data_pipeline.protocol import Clip, Tracks, Verdict

WITHIN = 3
"""Frames of offset with which a clip still passes: what later stages correct, or a person hardly notices."""
PUBLISHED_CONFIDENCE, PUBLISHED_WITHIN = 3.0, 6
"""With which LatentSync (arXiv 2412.09262) keeps clips, for the published weights alone."""


@dataclass(frozen=True)
class SyncReader:
    """A SyncNet with what comes before and after it."""

    config: SyncNetConfig
    params: Any = field(repr=False)
    squares: Callable[[Tracks, tuple[int, int]], np.ndarray]
    hear: Callable[[np.ndarray], np.ndarray]
    mean_distances: Callable[[np.ndarray, np.ndarray], np.ndarray]

    def read(self, clip: Clip, tracks: Tracks) -> AVOffset:
        """Offset and confidence; the clip has more than REACH windows."""
        pictures = crops(clip, self.squares(tracks, clip.size), self.config.side)
        seen = np.stack([channels(picture, self.config.colours) for picture in pictures])
        return av_offset(self.mean_distances(*embed_clip(self.config, self.params, seen, self.hear(mfcc(clip.mono)))))


def channels(rgb: np.ndarray, colours: int) -> np.ndarray:
    """Brightness alone, or blue before green and red."""
    return cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)[..., None] if colours == 1 else rgb[..., ::-1]


@dataclass(frozen=True)
class SyncExpert:
    """Score: SyncNet's confidence; facts: offset in frames and distance. A confident clip that is off is rejected."""

    threshold: float
    version: str
    reader: SyncReader = field(repr=False)
    within: int = WITHIN
    faces: Faces = "drawn"
    name: str = "sync"

    def judge(self, clip: Clip) -> Verdict:
        tracks = clip.tracks
        if tracks is None or self.faces not in (kind(tracks), "all"):
            return no_judge(tracks, self.faces)
        if (count := windows(clip.count, len(clip.mono) // 160 - 1)) <= REACH:
            return Verdict(None, "unavailable", reason=f"{count} windows, an offset needs more than {REACH}")
        read = self.reader.read(clip, tracks)
        facts = {"offset": read.offset, "distance": round(read.distance, 4)}
        if read.confidence < self.threshold:
            reason = f"sound and mouth do not belong together ({read.confidence:.3f} < {self.threshold:.3f})"
            return Verdict(read.confidence, "rejected", reason=reason, facts=facts)
        if abs(read.offset) > self.within:
            reason = f"the sound is {read.offset} frames early, at most {self.within} either way pass"
            return Verdict(read.confidence, "rejected", reason=reason, facts=facts)
        return Verdict(read.confidence, "passed", facts=facts)


def small_squares(tracks: Tracks, size: tuple[int, int]) -> np.ndarray:
    """The mouth's square, less the border that training cuts away at random."""
    del size
    boxes, keep = mouth_squares(tracks), SMALL.side / 44
    side = boxes[:, 2] * keep
    return np.stack([boxes[:, 0] + (boxes[:, 2] - side) / 2, boxes[:, 1], side, 0 * side], axis=-1)


def small_reader(params: Any) -> SyncReader:
    return SyncReader(SMALL, params, small_squares, relative, overlap_distances)


def published_reader(params: Any) -> SyncReader:
    return SyncReader(PUBLISHED, params, face_squares, np.asarray, padded_distances)


def sync_expert(path: Path | None = None) -> SyncExpert:
    """With our own network: the shipped weights, or those of a file."""
    trained = load_trained("syncnet", path)
    return SyncExpert(trained.threshold, trained.version, small_reader(trained.params), faces=trained.faces)


def published_sync_expert(path: Path) -> SyncExpert:
    """With the published weights, converted to safetensors.

    Raises:
        WeightsError: if a key is missing, unexpected or of another shape.
    """
    params = load(Request("syncnet", str(path)), make_mesh(), np.float32).params
    file = path if path.is_file() else next(iter(sorted(path.glob("*.safetensors"))))
    reader, name = published_reader(params), version("published", file)
    return SyncExpert(PUBLISHED_CONFIDENCE, name, reader, PUBLISHED_WITHIN, "recorded")
