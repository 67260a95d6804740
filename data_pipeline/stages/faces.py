"""Faces: heads are followed through the clip; kept where one speaker is large enough, steady and always seen."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np

from data_pipeline.chain import Build, Stage
from data_pipeline.clips import StoredClip
from data_pipeline.protocol import Head, Tracks
from data_pipeline.records import Record, Result, Status
from data_pipeline.settings import Faces
from data_pipeline.stages.finders import finder_for
from data_pipeline.stages.normalise import clip_of

VERSION = "1"
LOOK = 360
"""Pixels of the shorter side that finders see."""
SAME = 0.2
"""Overlap (intersection over union) of boxes of one head in two looks."""
MOUTH = (0.5, 0.8, 0.46, 0.28)
"""Centre, width and height of the mouth in shares of a head box, where a finder does not see it."""
STAYS = 0.5
"""Share of the looks in which a head must be for it to be a speaker."""


@dataclass
class Track:
    """One head: where it was at which look."""

    looks: list[int] = field(default_factory=list)
    heads: list[Head] = field(default_factory=list)

    @property
    def weight(self) -> float:
        return sum(head.box[2] * head.box[3] for head in self.heads)


def overlap(a: Sequence[float], b: Sequence[float]) -> float:
    """Intersection over union of two boxes (x, y, width, height)."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    shared = max(0.0, width) * max(0.0, height)
    return shared / (a[2] * a[3] + b[2] * b[3] - shared)


def follow(found: Sequence[Sequence[Head]]) -> list[Track]:
    """Heads of all looks joined into tracks, the one that fills most first; each continues by best overlap."""
    tracks: list[Track] = []
    for look, heads in enumerate(found):
        free = list(heads)
        for track in sorted(tracks, key=lambda t: (-t.looks[-1], -t.weight)):
            best = max(free, key=lambda head: overlap(head.box, track.heads[-1].box), default=None)
            if best is not None and overlap(best.box, track.heads[-1].box) > SAME:
                track.looks.append(look)
                track.heads.append(best)
                free.remove(best)
        tracks += [Track([look], [head]) for head in free]
    return sorted(tracks, key=lambda track: -track.weight)


def mouth_of(head: Head) -> tuple[float, float, float, float]:
    """Box of the mouth: as seen, or where mouths are in heads."""
    if head.mouth is not None:
        return head.mouth
    x, y, w, h = head.box
    return x + (MOUTH[0] - MOUTH[2] / 2) * w, y + (MOUTH[1] - MOUTH[3] / 2) * h, MOUTH[2] * w, MOUTH[3] * h


def to_tracks(track: Track, looks: Sequence[int], count: int, speakers: int, drawn: bool) -> Tracks:
    """The track at every frame, in between by straight lines. `looks`: frame numbers of the looks."""
    at = np.array([looks[i] for i in track.looks])
    frames = np.arange(count)

    def between(rows: Sequence[Sequence[float]]) -> np.ndarray:
        columns = np.array(rows, np.float64).T
        return np.stack([np.interp(frames, at, column) for column in columns], axis=-1).astype(np.float32)

    found = np.zeros(count, bool)
    found[at] = True
    poses = [head.pose or (np.nan,) * 3 for head in track.heads]
    heads, mouths = [head.box for head in track.heads], [mouth_of(head) for head in track.heads]
    return Tracks(between(heads), between(mouths), between(poses), found, speakers, drawn)


def judged(
    tracks: Tracks, seen: float, size: tuple[int, int], limits: Faces
) -> tuple[Status, str, int, dict[str, Any]]:
    """Status, reason, frame of evidence and facts of the main head's track."""
    heads = tracks.heads_TB.astype(np.float64)
    step = max(1, limits.step)
    centres = heads[:, :2] + heads[:, 2:] / 2
    tall = float(np.median(heads[:, 3]))
    moved = np.linalg.norm((centres[step:] - centres[:-step]) * np.array([size[0] / size[1], 1.0]), axis=1)
    jump = float(moved.max(initial=0.0)) / max(tall, 1e-6)
    turned = np.abs(tracks.pose_T3[:, 0])
    away = float((turned > limits.yaw).mean()) if np.isfinite(turned).all() else None
    pixels = tall * size[1]
    inside = float(((heads[:, :2] > -0.1).all(1) & (heads[:, :2] + heads[:, 2:] < 1.1).all(1)).mean())
    facts = {
        "speakers": tracks.speakers, "seen": round(seen, 4), "height": round(tall, 4), "pixels": round(pixels),
        "jump": round(jump, 4), "away": None if away is None else round(away, 4), "inside": round(inside, 4),
        "drawn": tracks.drawn,
    }  # fmt: skip
    frame = int(moved.argmax()) if len(moved) else 0
    if tracks.speakers > limits.speakers:
        return "rejected", f"{tracks.speakers} heads stay in the picture, {limits.speakers} wanted", frame, facts
    if seen < limits.seen:
        return "rejected", f"the head is seen in {seen:.0%} of the looks", frame, facts
    if tall < limits.height or pixels < limits.pixels:
        return "rejected", f"a head of {pixels:.0f} pixels, {tall:.0%} of the picture", frame, facts
    if jump > limits.jump:
        return "rejected", f"the head jumps by {jump:.2f} of its height at frame {frame}", frame, facts
    if inside < limits.seen:
        return "rejected", f"the head is inside the picture in {inside:.0%} of the frames", frame, facts
    if away is not None and away > 0.5:
        return "rejected", f"the head is turned away in {away:.0%} of the frames", frame, facts
    return "passed", "", frame, facts


def save_tracks(path: Path, tracks: Tracks) -> None:
    with path.open("wb") as file:
        np.savez(file, **vars(tracks))


def load_tracks(path: Path) -> Tracks:
    with np.load(path) as stored:
        values = {name: stored[name] for name in stored.files}
    return Tracks(**{**values, "speakers": int(values["speakers"]), "drawn": bool(values["drawn"])})


def tracked(record: Record, build: Build) -> StoredClip:
    """The clip of a record, with its tracks where the faces stage has left some."""
    clip = clip_of(record, build)
    if not record.facts("faces").get("speakers"):
        return clip
    return replace(
        clip, tracks=load_tracks(build.store.local(build.store.place(build.key("faces"), record.id, ".npz")))
    )


def faces(record: Record, build: Build) -> list[Record]:
    """Adds what is seen of the main head; its tracks go into the store."""
    limits, clip = build.settings.faces, clip_of(record, build)
    pictures = list(clip.frames(side=LOOK, step=limits.step))
    looks = [min(i * limits.step, clip.count - 1) for i in range(len(pictures))]
    finder, drawn = finder_for(pictures, record.source.origin, limits.finder)
    version = f"{VERSION}, {finder.version}"
    found = follow(finder.find(pictures))
    if not found:
        return [record.plus(Result("faces", version, "rejected", "no head is seen", evidence_frame=0))]
    speakers = max(1, sum(len(track.looks) >= STAYS * len(looks) for track in found))
    tracks = to_tracks(found[0], looks, clip.count, speakers, drawn)
    status, reason, frame, facts = judged(tracks, len(found[0].looks) / len(looks), clip.size, limits)
    with build.store.writing(build.store.place(build.key("faces"), record.id, ".npz")) as part:
        save_tracks(part, tracks)
    return [record.plus(Result("faces", version, status, reason, evidence_frame=frame, facts=facts))]


FACES = Stage("faces", VERSION, faces, attrgetter("faces"))
