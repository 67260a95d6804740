"""What the pipeline's replaceable parts promise: clips to look at, experts that judge them, face finders, encoders."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from jaxtyping import Bool, Float, Float32, UInt8

from data_pipeline.records import Record, Result, Status


@dataclass(frozen=True)
class Tracks:
    """Where the speaker's head and mouth are in every frame of a clip.

    heads_TB, mouths_TB: x, y, width, height as shares of the frame's width and height. pose_T3: yaw, pitch, roll in
    radians, NaN where the finder cannot tell. found_T: frames in which the head was seen; others are interpolated.
    speakers: heads that stay in the picture. drawn: whether the clip shows a drawing.
    """

    heads_TB: Float32[np.ndarray, "T 4"]
    mouths_TB: Float32[np.ndarray, "T 4"]
    pose_T3: Float32[np.ndarray, "T 3"]
    found_T: Bool[np.ndarray, " T"]
    speakers: int
    drawn: bool


class Clip(Protocol):
    """A normalised clip: `FPS` frames a second, upright, SDR, 16 kHz mono sound that starts with the first frame.

    `clips.StoredClip` reads one from a build's store, `clips.MemoryClip` holds one in arrays (training, tests).
    """

    @property
    def record(self) -> Record: ...

    @property
    def count(self) -> int:
        """Number of frames T."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the frames as stored."""
        ...

    @property
    def mono(self) -> Float32[np.ndarray, " n"]:
        """The clip's sound in [-1, 1], about T / 25 * 16000 samples."""
        ...

    @property
    def tracks(self) -> Tracks | None:
        """Heads and mouths, or None before the faces stage."""
        ...

    def frames(self, side: int | None = None, step: int = 1) -> Iterator[UInt8[np.ndarray, "H W 3"]]:
        """Every `step`-th frame as RGB, decoded anew; with `side`, shrunk until the shorter side has that length."""
        ...

    def path(self) -> Path:
        """A local video file that holds the clip's frames, from `record.span[0]` on."""
        ...


@dataclass(frozen=True)
class Verdict:
    """What an expert says. `status` "unavailable" (score None) where it cannot judge; such a clip is never passed.

    score: larger is better, compared with the expert's threshold; evidence_frame: the frame that decided, from 0.
    facts: further JSON values to keep (an offset in frames, say).
    """

    score: float | None
    status: Status
    evidence_frame: int | None = None
    reason: str = ""
    facts: Mapping[str, Any] | None = None


class Expert(Protocol):
    """Judges one quality of a clip. Made once per worker, then called for many clips; holds no state between them.

    name: short, for file names and manifests. version: changes whenever a verdict could change (code or weights).
    """

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str: ...

    @property
    def threshold(self) -> float: ...

    def judge(self, clip: Clip) -> Verdict: ...


@dataclass(frozen=True)
class Head:
    """One head in one frame: box in shares of the frame (x, y, width, height), hair line to chin.

    mouth: box of the mouth where the finder sees it, else None; pose: yaw, pitch, roll in radians, or None.
    """

    box: tuple[float, float, float, float]
    mouth: tuple[float, float, float, float] | None = None
    pose: tuple[float, float, float] | None = None


class FaceFinder(Protocol):
    """Finds all heads in frames of one clip. A mediapipe or any other finder is passed by its dotted name."""

    @property
    def version(self) -> str: ...

    def find(self, frames: Sequence[UInt8[np.ndarray, "H W 3"]]) -> list[list[Head]]: ...


class LatentEncoder(Protocol):
    """Makes the arrays of a latent record from a clip; raises `Unencodable` for a clip that it cannot represent."""

    @property
    def version(self) -> str: ...

    def encode(self, clip: Clip, storyline: str) -> dict[str, Float[np.ndarray, "..."]]: ...


class Unencodable(ValueError):
    """A clip that the encoder cannot represent; the text says why."""


def to_result(expert: Expert, verdict: Verdict) -> Result:
    """The manifest's line of a verdict."""
    score = None if verdict.score is None else round(float(verdict.score), 6)
    return Result(
        f"experts.{expert.name}",
        expert.version,
        verdict.status,
        verdict.reason,
        score,
        expert.threshold,
        verdict.evidence_frame,
        facts=dict(verdict.facts or {}),
    )
