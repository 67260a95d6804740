"""A system's video: which file it is, what its header says, its frames one after the other at their own times."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError

from avatar_jax.media import BadInput

ENDINGS = (".mp4", ".mov", ".webm", ".mkv")
WHOLE = 0.95
"""Share of the announced frames that a whole file gives."""


@dataclass(frozen=True)
class Facts:
    """fps: average; announced: frames that the header promises, 0 where it does not say; sound_starts: seconds after
    which the sound begins, None without sound."""

    fps: Fraction
    width: int
    height: int
    announced: int
    sound_starts: float | None


def videos_of(folder: Path) -> dict[str, Path]:
    """Videos by the names of their cases: FOLDER/case.mp4, or FOLDER/case/video.mp4 as `sample.py --jobs` writes.

    Raises:
      BadInput: no such folder, none in it, or two for one case.
    """
    rule = f"a folder with one video a case ({', '.join(ENDINGS)}), named like the case"
    if not folder.is_dir():
        raise BadInput(f"videos {folder}", "no such folder", rule, "check the path")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        file = path / "video.mp4" if path.is_dir() else path
        if file.suffix.lower() not in ENDINGS or not file.is_file() or path.name.startswith("."):
            continue
        name = path.name if path.is_dir() else path.stem
        if name in found:
            raise BadInput(f"videos {folder}", f"two videos of case {name}", rule, "remove one of them")
        found[name] = file
    if not found:
        raise BadInput(f"videos {folder}", "no video in it", rule, "check the path")
    return found


def report_of(video: Path) -> Path | None:
    """The report that sample.py left beside a video: case.report.json, or report.json in a folder of its own."""
    own = video.with_name(f"{video.stem}.report.json")
    beside = video.with_name("report.json")
    if own.is_file():
        return own
    return beside if video.name == "video.mp4" and beside.is_file() else None


def seams_in(report: Path | None) -> tuple[float, ...]:
    """Seconds at which sub-clips meet; () where no report says so."""
    try:
        parts = json.loads(report.read_text(encoding="utf-8"))["segments"] if report else []
        return tuple(float(part["end"]) for part in parts[:-1])
    except (OSError, ValueError, KeyError, TypeError):
        return ()


def facts_of(path: Path) -> Facts:
    """What the header says.

    Raises:
      BadInput: not a video, or one without a rate.
    """
    try:
        with av.open(str(path), metadata_errors="ignore") as container:
            if not container.streams.video:
                raise BadInput(f"video {path.name}", "no picture in it", "a video file", "make it again")
            picture = container.streams.video[0]
            fps = picture.average_rate or picture.guessed_rate
            sound = container.streams.audio[0] if container.streams.audio else None
            starts = None
            if sound is not None:
                starts = float((sound.start_time or 0) * (sound.time_base or 0))
            if not fps or not picture.width:
                raise BadInput(f"video {path.name}", "a header without rate or size", "a whole video", "make it again")
            return Facts(Fraction(fps), picture.width, picture.height, picture.frames, starts)
    except (OSError, FFmpegError) as error:
        raise unreadable(path, error) from error


def frames_of(path: Path, facts: Facts) -> Iterator[tuple[float, np.ndarray]]:
    """(seconds after the sound's start, RGB frame), decoded as they are asked for by one thread.

    Raises:
      BadInput: a frame cannot be decoded, there is none, or the file ends before what its header promises.
    """
    count, zero = 0, facts.sound_starts
    try:
        with av.open(str(path), metadata_errors="ignore") as container:
            picture = container.streams.video[0]
            picture.codec_context.thread_count = 1
            for frame in container.decode(picture):
                seconds = frame.time if frame.time is not None else count / float(facts.fps)
                zero = seconds if zero is None else zero
                yield seconds - zero, frame.to_ndarray(format="rgb24")
                count += 1
    except (OSError, FFmpegError) as error:
        raise unreadable(path, error) from error
    if count == 0 or count < WHOLE * facts.announced:
        got = f"cut short: {count} of {facts.announced} frames" if count else "no frame could be decoded"
        raise BadInput(f"video {path.name}", got, "a whole video file", "make it again")


def unreadable(path: Path, error: Exception) -> BadInput:
    why = getattr(error, "strerror", None) or error
    return BadInput(f"video {path.name}", f"cannot be decoded ({why})", "a whole video file", "make it again")
