"""Caption and storyline: true ones where the source brings them (drawn avatars), else those of the rules director."""

from fractions import Fraction

import numpy as np

from avatar_jax.director.plan import local_prompt
from avatar_jax.director.rules import direct
from avatar_jax.director.storyline import Storyline, parse
from avatar_jax.media.face import Box
from data_pipeline.chain import Build, Stage
from data_pipeline.protocol import Tracks
from data_pipeline.records import FPS, Record, Result, Source
from data_pipeline.stages.faces import tracked
from data_pipeline.stages.probe import located
from data_pipeline.stages.speech import recording_of

VERSION = "1"
LOOK = 256


def box_of(tracks: Tracks | None, frame: np.ndarray, index: int) -> Box | None:
    """The head's box in pixels of a frame."""
    if tracks is None:
        return None
    height, width = frame.shape[:2]
    x, y, w, h = (tracks.heads_TB[index] * np.array([width, height, width, height])).tolist()
    return x, y, w, h


def labelled(record: Record, build: Build) -> Storyline | None:
    """The true storyline of a source that is one clip as a whole; a part of it has no storyline of its own."""
    if not record.source.labels or record.span is None:
        return None
    uri = record.source.labels
    text = build.store.local(located(build, Source(uri))).read_text(encoding="utf-8")
    story = parse(text, f"labels {uri}")
    whole = record.span == (0, record.facts("normalise").get("frames"))
    return story if whole and abs(story.sound.seconds - Fraction(record.frames, FPS)) < Fraction(2, FPS) else None


def caption(record: Record, build: Build) -> list[Record]:
    """Adds the storyline's JSON and its sentences."""
    story, made_by = labelled(record, build), "labels"
    if story is None:
        clip = tracked(record, build)
        frame = next(iter(clip.frames(side=LOOK)))
        story, made_by = direct(recording_of(clip.mono), frame, box=box_of(clip.tracks, frame, 0)), "rules"
    said = "; ".join(dict.fromkeys(local_prompt(shot) for shot in story.shots))
    facts = {"caption": said, "storyline": story.model_dump_json(), "made_by": made_by}
    return [record.plus(Result("caption", VERSION, "passed", facts=facts))]


CAPTION = Stage("caption", VERSION, caption)
