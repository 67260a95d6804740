"""Video: a clip as one small file with its sound, for reviewers and for the media set."""

from collections.abc import Iterable
from fractions import Fraction
from operator import attrgetter
from pathlib import Path

import av
import numpy as np

from data_pipeline.chain import Build, Stage
from data_pipeline.records import FPS, SOUND_RATE, Record, Result
from data_pipeline.stages.normalise import clip_of, h264

VERSION = "1"
SOUND_BITS = 64_000
BLOCK = SOUND_RATE // FPS
"""Samples that are written with each frame, so that a player finds them together."""


def write_clip(path: Path, frames: Iterable[np.ndarray], mono: np.ndarray, crf: int) -> int:
    """An mp4 of RGB frames and 16 kHz sound; returns the number of frames. One thread: the same bytes everywhere."""
    samples = np.clip(np.round(np.asarray(mono) * 32767), -32768, 32767).astype(np.int16)[None]
    count = 0
    with av.open(str(path), "w", format="mp4") as container:
        video = h264(container, crf)
        sound = container.add_stream("aac", rate=SOUND_RATE, layout="mono")
        sound.bit_rate = SOUND_BITS
        for image in frames:
            if count == 0:
                video.height, video.width = image.shape[:2]
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = count, Fraction(1, FPS)
            container.mux(video.encode(frame))
            at = count * BLOCK
            part = np.ascontiguousarray(samples[:, at : at + BLOCK])
            if part.size:
                heard = av.AudioFrame.from_ndarray(part, format="s16", layout="mono")
                heard.sample_rate, heard.pts, heard.time_base = SOUND_RATE, at, Fraction(1, SOUND_RATE)
                container.mux(sound.encode(heard))
            count += 1
        container.mux(video.encode(None))
        container.mux(sound.encode(None))
    return count


def video(record: Record, build: Build) -> list[Record]:
    """Writes the clip's file into the store."""
    clip, store = clip_of(record, build), build.store
    place = store.place(build.key("video"), record.id, ".mp4")
    with store.writing(place) as part:
        count = write_clip(part, clip.frames(), clip.mono, build.settings.shards.crf)
        size = part.stat().st_size
    facts = {"frames": count, "bytes": size}
    return [record.plus(Result("video", VERSION, "passed", facts=facts))]


VIDEO = Stage("video", VERSION, video, attrgetter("shards.crf"), needs_passed=True)
