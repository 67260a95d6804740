"""Normalise: a source's pictures and sound as two files that all later stages read spans of."""

from collections.abc import Iterable
from fractions import Fraction
from operator import attrgetter
from pathlib import Path
from typing import Any

import av
import numpy as np

from data_pipeline.chain import Build, Stage
from data_pipeline.clips import StoredClip
from data_pipeline.records import FPS, SOUND_RATE, Record, Result, source_id
from data_pipeline.stages.pictures import Pictures
from data_pipeline.stages.probe import located
from data_pipeline.stages.sound import levelled, read_sound

VERSION = "1"
GROUP = 25
"""Frames from one key frame to the next: what a reader decodes at most before the frame that it wants."""


def h264(container: Any, crf: int) -> Any:
    """A stream to encode into: the same frames give the same bytes, whatever else the process does.

    One thread, no frames out of order, and no macroblock tree: x264's reads memory that nobody has written (core 165:
    its result changes with glibc's MALLOC_PERTURB_).
    """
    options = {"crf": str(crf), "preset": "veryfast", "threads": "1", "bf": "0", "g": str(GROUP)}
    options["x264-params"] = "mbtree=0"
    stream = container.add_stream("libx264", rate=FPS, options=options)
    stream.pix_fmt = "yuv420p"
    stream.codec_context.time_base = Fraction(1, FPS)
    return stream


def write_h264(path: Path, frames: Iterable[np.ndarray], crf: int) -> tuple[int, tuple[int, int]]:
    """RGB frames as an mp4 without sound, `FPS` a second; returns how many and their (width, height)."""
    count, size = 0, (0, 0)
    with av.open(str(path), "w", format="mp4") as container:
        stream = h264(container, crf)
        for image in frames:
            if count == 0:
                stream.height, stream.width = image.shape[:2]
                size = (stream.width, stream.height)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = count, Fraction(1, FPS)
            container.mux(stream.encode(frame))
            count += 1
        container.mux(stream.encode(None))
    return count, size


def normalise(record: Record, build: Build) -> list[Record]:
    """Writes the normalised video and sound; adds their facts and what was repaired."""
    limits, store = build.settings.normalise, build.store
    path = store.local(located(build, record.source))
    pictures = Pictures(path, limits)
    video, sound = (store.place(build.key("normalise"), record.id, suffix) for suffix in (".mp4", ".npy"))
    with store.writing(video) as part:
        count, size = write_h264(part, pictures, limits.crf)
        mono, odd = read_sound(path, pictures.start, count * SOUND_RATE // FPS)
        for line in odd:
            pictures.note(*line.split(": ", 1))
        samples, heard = levelled(mono, limits.loudness, limits.peak)
        with store.writing(sound) as sound_part, sound_part.open("wb") as file:
            np.save(file, samples)
    facts = {"frames": count, "size": list(size), **heard}
    return [record.plus(Result("normalise", VERSION, "passed", notes=tuple(pictures.notes), facts=facts))]


def clip_of(record: Record, build: Build) -> StoredClip:
    """The clip of a record, from the normalised files of its source, without tracks."""
    source, key = source_id(record.source), build.key("normalise")
    video, sound = (build.store.local(build.store.place(key, source, suffix)) for suffix in (".mp4", ".npy"))
    return StoredClip(record, video, sound)


NORMALISE = Stage("normalise", VERSION, normalise, attrgetter("normalise"))
