"""One request, one way through: director, blueprint, key frames, sub-clips, seams, insertion, video."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from jax.sharding import Mesh

from avatar_jax.director.sheet import write_sheet
from avatar_jax.sampling.ahead import ahead
from avatar_jax.sampling.clips import gate_report, mouth_follows, sub_clips
from avatar_jax.sampling.config import SampleConfig
from avatar_jax.sampling.covered import covered
from avatar_jax.sampling.drafts import blueprint, keyframe_report, save_keyframes
from avatar_jax.sampling.finder import face_finder
from avatar_jax.sampling.folder import (
    OutputFolder,
    hash_of,
    read_json,
    sha256,
    write_json,
    write_video,
    write_whole,
)
from avatar_jax.sampling.insertion import insert_frames, plan_insertion
from avatar_jax.sampling.keyframes import select_keyframes
from avatar_jax.sampling.photograph import noted
from avatar_jax.sampling.report import FrameWatch, Stopwatch, cost, origin, plain, progress_bar
from avatar_jax.sampling.request import Inputs, Prepared, Request, decode, prepare, warn
from avatar_jax.sampling.seams import part_of, repair_seams
from avatar_jax.sampling.segments import Segment, assemble, plan_segments
from avatar_jax.sampling.work import Models, Work, begin

AHEAD = 16
"""Frames that may wait for the encoder."""


def fingerprint_of(request: Request, prepared: Prepared, models: Models, config: SampleConfig) -> dict[str, Any]:
    """All that decides the frames; two runs that agree in it make the same video."""
    return {
        "image": sha256(request.image),
        "audio": sha256(request.audio),
        "storyline": hash_of(prepared.storyline.model_dump(mode="json")),
        "weights": models.hashes,
        "config": hash_of(plain(config)),
        "fps": str(prepared.timeline.fps),
        "crop": [round(float(x), 3) for x in prepared.framing.crop],
        "seed": request.seed,
    }


def generate(
    request: Request,
    models: Models,
    config: SampleConfig,
    mesh: Mesh,
    quiet: bool = False,
    inputs: Inputs | None = None,
) -> dict[str, Any]:
    """Make the video of a request in its folder, going on where an earlier run stopped; returns the report.

    `inputs` are the request's files where they have been decoded already.

    Raises:
      BadInput: for a mistake of the user's; nothing is written in that case.
      Lifeless: the frames came out black, flat or frozen.
    """
    began = time.perf_counter()
    finder = face_finder(models.reader, models.reader_params)
    prepared = noted(prepare(inputs or decode(request), request.prompt, models.director, finder))
    prepared = covered(prepared, models.reader, models.reader_params)
    made_from = fingerprint_of(request, prepared, models, config)
    fingerprint = hash_of(made_from)
    folder = OutputFolder(request.out)
    if request.redo:
        folder.require_redo(fingerprint, request.redo)
    elif folder.is_complete(fingerprint):
        return {**(read_json(folder.path / "report.json") or {}), "already_complete": True}
    plan = folder.open(fingerprint)
    warn(prepared)

    # Drawings for people are made by a thread of their own, beside the networks.
    with progress_bar(quiet) as bar, ThreadPoolExecutor(1, "drawings") as beside:
        watch = Stopwatch(bar)
        with watch.stage("inputs"):
            write_whole(folder.path / "storyline.json", prepared.storyline.to_json().encode())
            story = folder.path / "storyline.json"
            drawings = [beside.submit(write_sheet, prepared.storyline, prepared.recording, story)]
            work = begin(request, prepared, models, config, mesh, folder, watch)
        with watch.stage("blueprint"):
            latents, scores = blueprint(work)
        with watch.stage("key frames"):
            keyframes = select_keyframes(scores, config.blueprint.stride, config.keyframes)
            drawings.append(save_keyframes(work, keyframes, latents, beside))
        segments = plan_segments(keyframes.model_frames)
        redone = [int(n) for n in plan.get("redone", [0] * len(segments))]
        for index in request.redo:
            redone[index] += 1
            folder.segment_path(index).unlink(missing_ok=True)
        write_json(folder.segments / "plan.json", {"fingerprint": fingerprint, "redone": redone})
        inserted = plan_insertion(prepared.timeline, segments, config.seams.width, config.insertion)
        expect(work, segments, sum(len(rung.windows) for rung in inserted))
        keys = {moment: latents[moment // config.blueprint.stride] for moment in keyframes.model_frames}
        with watch.stage("sub-clips"):
            made, clips = sub_clips(work, segments, keys, redone)
        with watch.stage("seams"):
            track = repair_seams(work.denoise, work.noise, assemble(segments, made), segments, config.seams)
        with watch.stage("frames"):
            timeline = prepared.timeline
            stream = insert_frames(work.denoise, work.noise, track, timeline, inserted, config.insertion)
            ratio = timeline.model_fps / timeline.fps
            stream = work.blinks.along(work.camera.along(stream, ratio), timeline.fps)
            alive = FrameWatch([part_of(i * ratio, segments, config.seams.width) for i in range(timeline.frames)])
            frames = alive.through(ahead(work.pictures.decode(stream), AHEAD))
            for drawing in drawings:
                drawing.result()
            write_video(folder.path / "video.mp4", frames, timeline.fps, timeline.frames, request.audio)

    seconds = float(timeline.seconds)
    report = {
        "frames": timeline.frames,
        "fps": str(timeline.fps),
        "seconds": round(seconds, 6),
        "size": config.size,
        "seed": request.seed,
        **alive.hashes(),
        "mouth_follows_sound": mouth_follows(clips),
        "portrait": {"framing": prepared.framing.how, "warning": prepared.framing.warning},
        "blinks": [round(float(instant), 3) for instant in work.blinks.instants_N],
        "key_frames": keyframe_report(keyframes),
        "segments": [clip.as_dict(config.gate) for clip in clips],
        "gate": gate_report(clips, config.gate),
        **cost(watch, time.perf_counter() - began, seconds, mesh),
    }
    write_json(folder.path / "report.json", report)
    note = {"fingerprint": fingerprint, "inputs": made_from, "prompt": request.prompt, "redone": redone}
    write_json(folder.path / "manifest.json", note | origin(config, mesh, folder.video_sha256()))
    return report


def expect(work: Work, segments: Sequence[Segment], inserted: int) -> None:
    """Tell the progress bar what is to come."""
    config = work.config
    missing = sum(not work.folder.has(work.folder.segment_path(s.index)) for s in segments)
    seams = (len(segments) - 1) * config.seams.solver.steps * bool(config.seams.reach)
    work.watch.expect(missing * config.segment.solver.steps + seams + inserted * config.insertion.solver.steps)
