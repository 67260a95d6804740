"""Stages by name, each with the data that it reads: what train.py trains."""

import hashlib
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from avatar_jax.training.stage import CannotTrain, Stage
from avatar_jax.weights import ship
from data_pipeline.source import Numbered, set_of


def audio_stage(config: Any, out: Path) -> Stage:
    from avatar_jax.training.audio_stage import AudioStage, load_audio_set

    train, heldout = (load_audio_set(Path(config.data) / "audio", split) for split in ("train", "heldout"))
    return AudioStage(config.audio, train, heldout)


def layers_stage(config: Any, out: Path) -> Stage:
    from avatar_jax.training.layers_stage import LayersStage
    from data_pipeline.synthetic.faces import portrait_batch

    return LayersStage(config.layers, portrait_batch)


def codec_stage(config: Any, out: Path) -> Stage:
    from avatar_jax.training.codec_stage import CodecStage
    from data_pipeline.synthetic.faces import face_batch, shut_batch

    return CodecStage(config.codec, face_batch, shut_batch)


def gate_stage(config: Any, out: Path) -> Stage:
    from avatar_jax.training.reader_stage import ReaderStage
    from avatar_jax.training.stills import Stills

    return ReaderStage(config.gate, Stills.open(Path(config.data) / "stills"))


def judge_stage(config: Any, out: Path) -> Stage:
    from avatar_jax.metrics.judging import judge_frames
    from avatar_jax.training.judge_stage import JudgeStage
    from data_pipeline.synthetic.judged import judged_batch

    return JudgeStage(config.judge, judged_batch, judge_frames)


def dit_stage(config: Any, out: Path) -> Any:
    from avatar_jax.training.dit_stage import DitStage
    from data_pipeline.synthetic.windows import ClipWindows

    found = set_of(Path(config.data))
    if found is not None:
        return set_dit_stage(config, found)
    train, heldout = (opened(Path(config.data) / name) for name in ("latents", "latents-heldout"))
    return DitStage(config.dit, partial(window_batches, train, config.dit), ClipWindows(train), ClipWindows(heldout))


def set_dit_stage(config: Any, folder: Path) -> Any:
    """The generator's stage over the clips of a finished set that have true labels; others are left out.

    Raises:
        CannotTrain: there are none.
    """
    from avatar_jax.training.dit_stage import DitStage
    from data_pipeline.set_windows import LABELLED, LabelledClips
    from data_pipeline.synthetic.windows import ClipWindows

    train, heldout = (LabelledClips(folder, split) for split in ("train", "heldout"))
    if not len(train):
        raise CannotTrain(
            f"no clip of {folder} can be trained on",
            f"{train.left_out} clips, none of which has {' and '.join(LABELLED)}",
            "the loss weighs mouth and eyes (face_points_32) and keeps what faces do (labels_TK): true labels only",
            "drawn clips bring them: data_pipeline synthetic --what set, or a build of --what videos",
        )
    if train.left_out:
        print(f"dit: {train.left_out} clips without true labels are left out", file=sys.stderr)
    windows = ClipWindows(heldout) if len(heldout) else None
    return DitStage(config.dit, partial(window_batches, train, config.dit), ClipWindows(train), windows)


def distil_stage(config: Any, out: Path) -> Stage:
    from avatar_jax.training.distil_stage import DistilStage

    own = out / "dit.safetensors"
    teacher = own if own.is_file() else ship.shipped("dit")
    digest = hashlib.sha256(teacher.read_bytes()).hexdigest()
    distil = replace(config.distil, model=config.dit.model, teacher=digest)
    return DistilStage(distil, dit_stage(config, out), lambda: ship.load(teacher)[0])


def video_stage(config: Any, out: Path) -> Stage:
    from avatar_jax.training.video_stage import VideoStage, video_model
    from avatar_jax.weights.load import load
    from avatar_jax.weights.suite import NUMBERS
    from avatar_jax.weights.trained import released_model

    video = replace(config.video, data=config.data or config.video.data)
    numbers = NUMBERS[video.numbers]
    request, released = released_model(video.family, Path(video.weights), numbers)
    found = set_of(Path(video.data))
    note = None if config.loop.allow_changes else out / "video" / "data.json"
    feed = partial(video_batches, opened(Path(video.data)), video) if found is None else set_feed(video, found, note)
    return VideoStage(video, video_model(video, released), feed, lambda mesh: load(request, mesh, numbers).params)


def opened(folder: Path) -> Any:
    """The records of a folder.

    Raises:
        CannotTrain: there are none in its files.
    """
    from data_pipeline.source import RecordSource

    records = RecordSource(folder)
    if not len(records):
        rule, fix = "a shard holds records", "make the data again: `python -m data_pipeline`"
        raise CannotTrain("no records", f"the files in {folder} are empty", rule, fix)
    return records


def window_batches(
    records: Sequence[Any], config: Any, draw: Any, start: int, index: int = 0, count: int = 1
) -> Iterator[dict[str, Any]]:
    """`training.dit_stage.Feed`: grain shuffles the clips, cuts a window from each and batches one process's share."""
    from data_pipeline.loader import LoaderConfig, batches
    from data_pipeline.synthetic.windows import sample_window

    def window(record: Any, rng: Any) -> dict[str, Any]:
        number, clip = record
        stride, known_T = draw(rng)
        try:
            found = sample_window(clip, rng, stride, config.model.frames)
        except (KeyError, ValueError) as error:
            rule, fix = "records are those of this version of the data pipeline", "make the data again"
            raise CannotTrain(f"record {number} cannot be trained on", error, rule, fix) from error
        return {**found, "known_T": known_T, "example_": number}

    loader = LoaderConfig(batch=config.batch, seed=config.seed)
    return batches(Numbered(records), loader, window, start, index, count)


def video_batches(
    records: Sequence[Any], config: Any, start: int, index: int = 0, count: int = 1
) -> Iterator[dict[str, Any]]:
    """`training.video_stage.Feed` over records of windows."""
    from avatar_jax.training.video_windows import draw_window
    from data_pipeline.loader import LoaderConfig, batches

    def window(record: Any, rng: Any) -> dict[str, Any]:
        number, found = record
        return draw_window(found, rng, config.known, config.last_frame, config.canvas, number)

    loader = LoaderConfig(batch=config.batch, seed=config.seed)
    return batches(Numbered(records), loader, window, start, index, count)


def set_feed(config: Any, folder: Path, note: Path | None) -> Any:
    """`training.video_stage.Feed` over the clips of a finished set.

    Args:
        note: where a run keeps what it counts its batches over, so that it never goes on over other clips.

    Raises:
        BadInput: the set was made for no video model; or, where a run goes on, for another set than it began with.
    """
    from avatar_jax.training.video_windows import draw_window
    from data_pipeline.buckets import told
    from data_pipeline.loader import LoaderConfig, mixed_batches
    from data_pipeline.position import position, resume
    from data_pipeline.set_windows import video_window, window_groups

    def window(numbered: Any, rng: Any) -> dict[str, Any]:
        number, clip = numbered
        return draw_window(video_window(clip, rng), rng, config.known, config.last_frame, config.canvas, number)

    groups = window_groups(folder, window, together=config.canvas is not None)
    loader = LoaderConfig(batch=config.batch, seed=config.seed)

    def feed(start: int, index: int = 0, count: int = 1) -> Iterator[dict[str, Any]]:
        if note is not None and start:
            resume(note, loader, told(groups))
        elif note is not None and index == 0:
            note.parent.mkdir(parents=True, exist_ok=True)
            position(0, loader, told(groups)).save(note)
        return mixed_batches(groups, loader, start, index, count)

    return feed


STAGES: dict[str, Callable[[Any, Path], Stage]] = {
    "audio": audio_stage,
    "layers": layers_stage,
    "codec": codec_stage,
    "gate": gate_stage,
    "judge": judge_stage,
    "dit": dit_stage,
    "distil": distil_stage,
    "video": video_stage,
}
"""Stages in the order in which they build on each other: (config, the run's folder) -> stage with its data open."""
ON_REQUEST = ("distil",)
"""Trained only where --stage names them."""
