"""Cut: shots of a source become clips, by PySceneDetect's content detector and the continuity rule together."""

from collections.abc import Iterator
from itertools import pairwise
from operator import attrgetter

import cv2
import numpy as np

from data_pipeline.chain import Build, Stage
from data_pipeline.experts.cut_rule import SIDE, likeness
from data_pipeline.records import FPS, Record, Result, clip_id
from data_pipeline.settings import Cut
from data_pipeline.stages.normalise import clip_of

VERSION = "1"
CHUNK = 100
"""Frames that are compared at a time, so that a long file never sits in memory."""
QUICK = 5
"""Cuts nearer to each other than this many frames are one: flashes and dissolves fire several times."""


def cuts(frames: Iterator[np.ndarray], settings: Cut) -> list[tuple[int, str]]:
    """(first frame of the new shot, who saw it) in order."""
    from scenedetect import ContentDetector, FrameTimecode

    detector = ContentDetector(threshold=settings.content, min_scene_len=1)
    found: dict[int, str] = {}
    held: list[np.ndarray] = []
    number = 0
    for frame in frames:
        at = FrameTimecode(number, float(FPS))
        for seen in detector.process_frame(at, cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)):
            found[seen.frame_num] = "content"
        held.append(frame)
        number += 1
        if len(held) == CHUNK:
            found |= _unlike(held, number, settings.likeness, found)
            held = held[-1:]
    found |= _unlike(held, number, settings.likeness, found)
    merged: list[tuple[int, str]] = []
    for place in sorted(found):
        if place > 0 and (not merged or place - merged[-1][0] >= QUICK):
            merged.append((place, found[place]))
    return merged


def _unlike(held: list[np.ndarray], number: int, least: float, known: dict[int, str]) -> dict[int, str]:
    """Cuts by the continuity rule among the frames that end before `number`; both is said where both saw one."""
    first = number - len(held) + 1
    places = (first + int(i) for i in np.flatnonzero(likeness(held) < least)) if len(held) > 1 else ()
    return {place: "content and continuity" if place in known else "continuity" for place in places}


def pieces(start: int, end: int, settings: Cut) -> list[tuple[int, int]]:
    """A shot in equal parts of at most `longest` seconds."""
    parts = max(1, -(-(end - start) // round(settings.longest * FPS)))
    edges = [start + (end - start) * i // parts for i in range(parts + 1)]
    return list(pairwise(edges))


def cut(record: Record, build: Build) -> list[Record]:
    """One record a clip; shots that are too short become rejected records, so nothing disappears unsaid."""
    settings = build.settings.cut
    count = int(record.facts("normalise")["frames"])
    whole = Record(record.id, record.source, (0, count), record.results)
    found = cuts(clip_of(whole, build).frames(side=SIDE), settings)
    seen_by = dict(found)
    out = []
    for start, end in pairwise([0, *(place for place, _ in found), count]):
        inside = start + settings.trim * (start > 0), end - settings.trim * (end < count)
        for span in pieces(*inside, settings):
            facts = {"shot": [start, end], "cuts": [seen_by.get(start, "start"), seen_by.get(end, "end")]}
            seconds = (span[1] - span[0]) / FPS
            short = seconds < settings.shortest
            reason = f"a shot of {seconds:.2f} s; clips last {settings.shortest:g} s or more" if short else ""
            result = Result("cut", VERSION, "rejected" if short else "passed", reason, facts=facts)
            identity = clip_id(record.source, span, build.keys["normalise"])
            out.append(Record(identity, record.source, span, (*record.results, result)))
    return out


CUT = Stage("cut", VERSION, cut, attrgetter("cut"))
