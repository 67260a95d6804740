"""Scores one video: one pass over its frames, then its numbers. Runs in a process of its own."""

import io
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from avatar_jax.evaluation.benchmark.manifest import SetCase
from avatar_jax.evaluation.case import Look
from avatar_jax.evaluation.scoring.footage import Facts, facts_of, frames_of, report_of, seams_in
from avatar_jax.evaluation.scoring.glean import LIKENESS_S, PICTURE_S, Batches, Gleaned, square_in
from avatar_jax.evaluation.scoring.known import Known, known_of
from avatar_jax.evaluation.scoring.measures import NAMES
from avatar_jax.evaluation.scoring.numbers import NAN, Read, curves, numbers
from avatar_jax.evaluation.scoring.readers import JUDGE, Options, Readers, open_readers
from avatar_jax.evaluation.scoring.results import CaseScore
from avatar_jax.media import BadInput, frame_portrait, load_audio, locate_face
from avatar_jax.media.face import is_drawn
from avatar_jax.metrics.av_offset import AVOffset
from avatar_jax.metrics.frechet import CLIP
from avatar_jax.metrics.judging import Judged, recognise
from avatar_jax.metrics.syncnet_read import FPS, read_sync
from avatar_jax.models.syncnet import PUBLISHED

FACE_EVERY, FACE_PADDING = 10, 1.4
"""Frames from one look for the face to the next; side of SyncNet's crop in sides of the face."""


@dataclass(frozen=True)
class Task:
    """One video to score; `tracks` is where its curves and features go, `set_case` what the set in `folder` says."""

    system: str
    case: str
    video: Path
    tracks: Path
    key: str
    options: Options
    folder: Path | None = None
    set_case: SetCase | None = None


def score(task: Task) -> CaseScore:
    """A bad video becomes a refused one with its reason."""
    began = time.process_time()
    tags = dict(task.set_case.tags) if task.set_case else {}
    readers = open_readers(task.options)
    try:
        read, notes, found = read_video(task, readers)
    except BadInput as mistake:
        reason = f"{mistake.what}: {mistake.got}"
        return CaseScore(task.system, task.case, "refused", reason, (), tags, {}, task.key, spent(began))
    keep(task.tracks, read, readers)
    metrics = {name: value if (value := found.get(name, NAN)) == value else None for name in NAMES}
    return CaseScore(task.system, task.case, "scored", None, tuple(notes), tags, metrics, task.key, spent(began))


def spent(began: float) -> float:
    return time.process_time() - began


def read_video(task: Task, readers: Readers) -> tuple[Read, list[str], dict[str, float]]:
    """The one pass, what should be known of it, and the numbers.

    Raises:
      BadInput: the video cannot be decoded whole.
    """
    facts, notes = facts_of(task.video), []
    known = known_of(task.folder, task.set_case) if task.folder and task.set_case else known_alone(task.video, facts)
    if facts.sound_starts is None:
        notes.append(
            "no sound in the video: it was compared with the set's" if known.sound else "no sound in the video"
        )
    elif task.set_case is None:
        notes.append("no set: length and silence are told by the video's own sound, which codecs pad")
    portrait, drawn = portrait_of(known, task.video, facts)
    if known.portrait is None:
        notes.append("no set: the first frame stands for the portrait")
    gleaned = Gleaned(
        float(facts.fps),
        likeness=Batches(readers.likeness) if readers.likeness else None,
        fid=Batches(readers.fid) if readers.fid else None,
        fvd=Batches(readers.fvd) if readers.fvd else None,
    )
    look = readers.eyes.look(gleaned.through(frames_of(task.video, facts)), portrait)
    who = recognise(readers.eyes.params, readers.eyes.config, [portrait])[0]
    likeness, rate = likeness_of(gleaned, look, who, portrait, readers)
    seams = seams_in(report_of(task.video))
    read = Read(gleaned, look, known, likeness, rate, portrait, who, drawn, facts.height, seams)
    found = numbers(read)
    synced, said = sync_of(task.video, facts, read, readers)
    if synced is not None:
        found |= {"sync_c": synced.confidence, "sync_d": synced.distance, "av_offset_frames": float(synced.offset)}
    return read, [*notes, *remarks(facts, read, found, readers), *said], found


def known_alone(video: Path, facts: Facts) -> Known:
    """Without a set: the sound of the video itself, where it has any."""
    if facts.sound_starts is None:
        return Known()
    try:
        return Known(sound=load_audio(video))
    except BadInput:
        return Known()


def portrait_of(known: Known, video: Path, facts: Facts) -> tuple[np.ndarray, bool]:
    """The square picture that the video is compared with, framed as the judge knows portraits; whether it is drawn."""
    picture = known.portrait
    if picture is None:
        frames = frames_of(video, facts)
        _, picture = next(frames)
    if known.labelled or is_drawn(picture):
        top, left, side = square_in(picture)
        return np.ascontiguousarray(picture[top : top + side, left : left + side]), True
    box, how = locate_face(picture)
    return frame_portrait(picture, box, how).portrait, False


def likeness_of(
    gleaned: Gleaned, look: Look, who: np.ndarray, portrait: np.ndarray, readers: Readers
) -> tuple[np.ndarray, float]:
    """Cosine to the portrait, and how many a second: by the loaded embedder, or by the judge in every frame."""
    if gleaned.likeness is None or readers.likeness is None:
        return look.judged.identity @ who, gleaned.fps
    rows = unit(gleaned.likeness.all())
    return rows @ unit(np.asarray(readers.likeness(portrait[None])))[0], gleaned.fps / gleaned.every(LIKENESS_S)


def unit(rows_ND: np.ndarray) -> np.ndarray:
    return rows_ND / np.maximum(np.linalg.norm(rows_ND, axis=-1, keepdims=True), 1e-9)


def remarks(facts: Facts, read: Read, found: dict[str, float], readers: Readers) -> Iterator[str]:
    """What a reader of the numbers should know."""
    if not read.drawn and readers.likeness is None:
        yield "likeness of a photographed face by the embedded judge, which knows drawn ones: give --likeness"
    if not read.drawn:
        yield "mouth, head, hands and plan are null: the embedded judge reads drawn figures alone"
    elif not read.known.labelled:
        yield "no labels: what is measured against them is null"
    if not found["alive"]:
        yield f"nothing lives: {100 * found['frozen_share']:.0f} % frozen, {100 * found['black_share']:.0f} % black"
    if not read.seams:
        yield "seams unknown: see largest_jump"
    if error := found.get("length_error_frames", 0):
        yield f"{abs(error):.0f} frames {'too many' if error > 0 else 'too few'} for the sound"
    if facts.width != facts.height:
        yield f"read in a {min(facts.width, facts.height)} px square of its {facts.width}x{facts.height}"


def sync_of(video: Path, facts: Facts, read: Read, readers: Readers) -> tuple[AVOffset | None, list[str]]:
    """SyncNet's verdict on a photographed face; None with its reason where there is none."""
    if readers.syncnet is None:
        return None, []
    if read.drawn:
        return None, ["SyncNet says nothing about drawn faces"]
    if read.known.sound is None:
        return None, ["no sound for SyncNet"]
    found = read_sync(readers.syncnet, crops(video, facts), read.known.sound.mono)
    return found, [] if found else ["too short for SyncNet"]


def crops(video: Path, facts: Facts) -> Iterator[np.ndarray]:
    """The face in every frame at SyncNet's rate and size, blue first; the place last seen where none is found."""
    square: tuple[float, float, float] | None = None
    shown = 0
    for number, (seconds, frame) in enumerate(frames_of(video, facts)):
        if number % FACE_EVERY == 0 and (box := locate_face(frame)[0]) is not None:
            side = FACE_PADDING * max(box[2], box[3])
            square = box[0] + (box[2] - side) / 2, box[1] + (box[3] - side) / 2 + 0.2 * (side - box[3]), side
        if square is None:
            top, left, side = square_in(frame)
            square = float(left), float(top), float(side)
        while shown / FPS <= seconds + 0.5 / FPS:
            yield cut(frame, square)
            shown += 1


def cut(frame: np.ndarray, square: tuple[float, float, float]) -> np.ndarray:
    """A square of a frame at SyncNet's size; what lies outside repeats the edge."""
    left, top, side = square
    scale = side / PUBLISHED.side
    matrix = np.array([[scale, 0, left], [0, scale, top]], np.float64)
    way = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size = (PUBLISHED.side, PUBLISHED.side)
    return cv2.warpAffine(frame, matrix, size, flags=way, borderMode=cv2.BORDER_REPLICATE)[..., ::-1]


def keep(path: Path, read: Read, readers: Readers) -> None:
    """Curves and features of a scored video, whole or not at all."""
    arrays = dict(curves(read))
    for name, spec, batches in (
        ("fid", readers.options.fid, read.gleaned.fid),
        ("fvd", readers.options.fvd, read.gleaned.fvd),
    ):
        if spec == JUDGE:
            arrays[name] = judge_features(name, read.look.judged, read.gleaned)
        elif batches is not None:
            arrays[name] = batches.all()
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(buffer.getvalue())
    part.replace(path)


def judge_features(name: str, judged: Judged, gleaned: Gleaned) -> np.ndarray:
    """The judge's readings, opinions and likeness of single frames; of clips their mean and spread over time."""
    rows = np.concatenate([judged.values, judged.emotion, judged.viseme, judged.identity], axis=-1)
    if name == "fid":
        return rows[:: gleaned.every(PICTURE_S)]
    clips = rows[: len(rows) // CLIP * CLIP].reshape(-1, CLIP, rows.shape[-1])
    return np.concatenate([clips.mean(axis=1), clips.std(axis=1)], axis=-1)
