"""Probe: a source's content hash and what its header promises; refuses what no later stage could use."""

import hashlib
from fractions import Fraction
from operator import attrgetter
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.error import FFmpegError

from avatar_jax.media import BadInput
from data_pipeline.chain import Build, Stage
from data_pipeline.records import Record, Result, Source, source_id
from data_pipeline.settings import Normalise

VERSION = "1"
BLOCK = 1 << 20


def located(build: Build, source: Source) -> Any:
    """Where a source lies: beside the build's other inputs, or at its own address."""
    from etils import epath

    return epath.Path(source.uri) if "://" in source.uri else epath.Path(build.inputs) / source.uri


def content_of(path: Path) -> str:
    """Digest of a file's bytes."""
    seen = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            seen.update(block)
    return seen.hexdigest()[:40]


def probe(record: Record, build: Build) -> list[Record]:
    """The record with its identity taken from the content, and the header's facts."""
    path = build.store.local(located(build, record.source))
    content = content_of(path)
    source = Source(**{**vars(record.source), "content": content})
    known = Record(source_id(source), source)
    try:
        facts = header(path, build.settings.normalise)
    except BadInput as mistake:
        return [known.plus(Result("probe", VERSION, "rejected", f"{mistake.got} ({mistake.rule})"))]
    if not source.language and facts["language"]:
        source = Source(**{**vars(source), "language": facts["language"]})
    return [Record(known.id, source, None, (Result("probe", VERSION, "passed", facts=facts),))]


def header(path: Path, limits: Normalise) -> dict[str, Any]:
    """Facts of the header: size, rate, seconds (0 where it does not tell), sound, language.

    Raises:
        BadInput: no video, no picture, no sound, or outside the limits.
    """
    if path.stat().st_size == 0:
        raise bad("an empty file", "a video file")
    try:
        with av.open(str(path), metadata_errors="ignore") as container:
            return _facts(container, limits)
    except (FFmpegError, OSError, UnicodeError) as error:
        words = getattr(error, "strerror", None) or type(error).__name__
        raise bad(f"not a video that can be opened: {words}", "a whole video file") from error


def _facts(container: InputContainer, limits: Normalise) -> dict[str, Any]:
    pictures = [s for s in container.streams.video if not is_cover(s)]
    if not pictures:
        raise bad("no picture in the file", "a video with sound")
    if not container.streams.audio:
        raise bad("no sound in the file", "a video with sound")
    video, sound = pictures[0], container.streams.audio[0]
    width, height = video.codec_context.width, video.codec_context.height
    if not limits.smallest_side <= min(width, height) or max(width, height) > limits.largest_side:
        rule = f"sides of {limits.smallest_side} to {limits.largest_side} pixels"
        raise bad(f"a picture of {width} x {height}", rule)
    seconds = announced(container, video)
    if seconds > limits.longest:
        raise bad(f"{float(seconds) / 3600:.1f} hours long", f"at most {limits.longest / 3600:g} hours a file")
    return {
        "container": container.format.name,
        "video": video.codec_context.name,
        "size": [width, height],
        "rate": round(float(video.average_rate or 0), 3),
        "seconds": round(float(seconds), 3),
        "sound": f"{sound.codec_context.name} {sound.codec_context.sample_rate} Hz",
        "language": (sound.language or "").lower() if (sound.language or "und") != "und" else "",
    }


def announced(container: InputContainer, video: Any) -> Fraction:
    """Seconds that the header promises, 0 where it does not."""
    lengths = [Fraction(container.duration or 0, av.time_base)]
    lengths += [Fraction(s.duration) * (s.time_base or 0) for s in (video, *container.streams.audio) if s.duration]
    return max(lengths)


def is_cover(stream: Any) -> bool:
    """Whether a stream of pictures is only the cover of a recording."""
    return "attached_pic" in str(stream.disposition).lower()


def bad(got: str, rule: str) -> BadInput:
    """Why a file is rejected."""
    return BadInput("video", got, rule, "see docs/data.md")


PROBE = Stage("probe", VERSION, probe, attrgetter("normalise"))
