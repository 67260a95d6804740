"""The output folder: what is saved while a video is made, and what lets a run go on, or redo a part.

    video.mp4 · storyline.json · blueprint.mp4 · keyframes.png · keyframes/ · report.json · manifest.json
    segments/plan.json      which request this folder belongs to (its fingerprint), key frames, redo counts
    segments/blueprint.npz  blueprint latents and what the gate reader saw in them
    segments/NNN.npz        latents of a sub-clip, the number of its seed and its scores

Every file appears whole or not at all, so a killed run leaves nothing that misleads the next. Where several processes
make one video, process 0 reads and writes, and tells the others what it found, so that all go the same way.
"""

import hashlib
import io
import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from avatar_jax.distributed import first, from_first
from avatar_jax.media import BadInput, unwritable, video

RESULTS = ("video.mp4", "report.json", "manifest.json")


def sha256(path: Path) -> str:
    """Hash of a file's bytes."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_of(value: Any) -> str:
    """Hash of a JSON value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def write_whole(path: Path, content: bytes) -> None:
    """Write a file under another name, then rename it."""
    if not first():
        return
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True) if path.parent.is_dir() else None
        raise unwritable(path, error) from error


def write_json(path: Path, value: Any) -> None:
    write_whole(path, (json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n").encode())


def write_arrays(path: Path, **arrays: np.ndarray) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    write_whole(path, buffer.getvalue())


def read_arrays(path: Path) -> dict[str, np.ndarray] | None:
    """The arrays of a file, or None where it is missing or damaged."""

    def load() -> dict[str, np.ndarray] | None:
        try:
            with np.load(path, allow_pickle=False) as file:
                return dict(file)
        except (OSError, ValueError, EOFError, KeyError):
            return None

    return from_first(load)


def read_json(path: Path) -> Any:
    """The JSON value of a file, or None where it is missing or damaged."""
    return from_first(partial(_json, path))


def write_video(path: Path, frames: Iterable[np.ndarray], fps: Fraction, count: int, audio: Path | None = None) -> None:
    """`media.video.write_video`, written by process 0; the others only take part in making the frames."""
    if first():
        video.write_video(path, frames, fps, count, audio)
        return
    for _ in frames:
        pass


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


@dataclass(frozen=True)
class OutputFolder:
    """One video's folder."""

    path: Path

    @property
    def segments(self) -> Path:
        return self.path / "segments"

    @property
    def plan(self) -> dict[str, Any]:
        return from_first(self._plan)

    def _plan(self) -> dict[str, Any]:
        found = _json(self.segments / "plan.json")
        return found if isinstance(found, dict) else {}

    def is_complete(self, fingerprint: str) -> bool:
        """Whether the video asked for is already here."""
        return from_first(partial(self._is_complete, fingerprint))

    def _is_complete(self, fingerprint: str) -> bool:
        manifest = _json(self.path / "manifest.json") or {}
        return manifest.get("fingerprint") == fingerprint and (self.path / "video.mp4").is_file()

    def open(self, fingerprint: str) -> dict[str, Any]:
        """Go on with this request's own work, or clear away another's; returns the saved plan, {} for a fresh start.

        Raises:
          BadInput: the folder cannot be made or written.
        """
        return from_first(partial(self._open, fingerprint))

    def _open(self, fingerprint: str) -> dict[str, Any]:
        if self.path.exists() and not self.path.is_dir():
            raise BadInput(
                f"--out {self.path}", "a file of that name", "the output is a folder", "choose another --out"
            )
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            plan = self._plan()
            for name in RESULTS:
                (self.path / name).unlink(missing_ok=True)
            if plan.get("fingerprint") != fingerprint:
                shutil.rmtree(self.segments, ignore_errors=True)
                shutil.rmtree(self.path / "keyframes", ignore_errors=True)
                plan = {}
            self.segments.mkdir(exist_ok=True)
        except OSError as error:
            raise unwritable(self.path, error) from error
        return plan

    def require_redo(self, fingerprint: str, wanted: tuple[int, ...]) -> None:
        """A redo needs a finished video of the same request.

        Raises:
          BadInput: there is none, or it has no such sub-clip.
        """
        if not self.is_complete(fingerprint):
            got = "the inputs or settings differ" if self.plan else "no finished video is there"
            rule = "--redo-segments re-renders parts of a finished video with the same inputs and settings"
            raise BadInput(f"--out {self.path}", got, rule, "run without --redo-segments first")
        count = len(self.plan["redone"])
        for index in wanted:
            if not 0 <= index < count:
                rule = f"this video has sub-clips 0 to {count - 1}"
                raise BadInput("--redo-segments", index, rule, "see segments/ and report.json")

    def segment_path(self, index: int) -> Path:
        return self.segments / f"{index:03d}.npz"

    def has(self, path: Path) -> bool:
        """Whether this file of the folder is there."""
        return from_first(path.exists)

    def video_sha256(self) -> str:
        return from_first(partial(sha256, self.path / "video.mp4"))
