"""One short video as a clip that experts can judge, through the pipeline's own normalisation and face finders."""

from itertools import islice
from pathlib import Path

import numpy as np

from avatar_jax.media import BadInput
from data_pipeline.clips import MemoryClip, fitted
from data_pipeline.records import FPS, SOUND_RATE
from data_pipeline.settings import Faces, Normalise
from data_pipeline.stages.faces import LOOK, follow, to_tracks
from data_pipeline.stages.finders import finder_for
from data_pipeline.stages.pictures import Pictures
from data_pipeline.stages.probe import header
from data_pipeline.stages.sound import read_sound

LONGEST = 60
"""Seconds: a clip sits in memory. Longer videos are cut into clips by the pipeline."""


def opened_clip(path: Path) -> MemoryClip:
    """Frames at 25 a second, sound at 16 kHz, and tracks where a head is seen.

    Raises:
        BadInput: not a video with sound, or a long one.
    """
    if not path.is_file():
        raise BadInput(f"video {path}", "no such file", "a video with sound", "check the path")
    header(path, Normalise())
    pictures = Pictures(path, Normalise())
    frames = list(islice(pictures, LONGEST * FPS + 1))
    if len(frames) > LONGEST * FPS:
        got, fix = f"more than {LONGEST} s", "python -m data_pipeline build cuts it into clips first"
        raise BadInput(f"video {path}", got, "experts judge clips", fix)
    mono, _ = read_sound(path, pictures.start, len(frames) * SOUND_RATE // FPS)
    step = Faces().step
    looks = [fitted(frame, LOOK) for frame in frames[::step]]
    finder, drawn = finder_for(looks, "", Faces().finder)
    found = follow(finder.find(looks))
    places = [i * step for i in range(len(looks))]
    tracks = to_tracks(found[0], places, len(frames), 1, drawn) if found else None
    return MemoryClip(np.stack(frames), mono.astype(np.float32), tracks)
