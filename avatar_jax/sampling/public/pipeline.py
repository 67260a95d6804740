"""The cascade on public weights: director, blueprint, key frames, sub-clips side by side, seams, video."""

import time
from fractions import Fraction
from typing import Any

from jax.sharding import Mesh

from avatar_jax.director.rules import direct
from avatar_jax.director.sheet import write_sheet
from avatar_jax.models.suite import Suite
from avatar_jax.sampling.folder import OutputFolder, hash_of, read_json, sha256, write_json, write_video, write_whole
from avatar_jax.sampling.public.clips import make_clips, seam_path
from avatar_jax.sampling.public.clock import Clip, part_names, plan_clips, plan_seams, require_grid
from avatar_jax.sampling.public.config import PublicConfig
from avatar_jax.sampling.public.draft import choose_keyframes, draw_blueprint, keyframe_report
from avatar_jax.sampling.public.joining import Joiner, retimed
from avatar_jax.sampling.public.scores import sharpness
from avatar_jax.sampling.public.work import Work, begin
from avatar_jax.sampling.report import FrameWatch, Stopwatch, cost, origin, plain, progress_bar
from avatar_jax.sampling.request import Director, Inputs, Prepared, Request, decode, prepare, warn
from avatar_jax.timeline import Timeline, nearest_frame


def fingerprint_of(request: Request, prepared: Prepared, suite: Suite, config: PublicConfig) -> dict[str, Any]:
    """All that decides the frames; two runs that agree in it make the same video."""
    return {
        "image": sha256(request.image),
        "audio": sha256(request.audio),
        "storyline": hash_of(prepared.storyline.model_dump(mode="json")),
        "weights": suite.files,
        "config": hash_of(plain(config)),
        "fps": str(prepared.timeline.fps),
        "face": request.face,
        "seed": request.seed,
    }


def generate(
    request: Request,
    suite: Suite,
    config: PublicConfig,
    mesh: Mesh,
    quiet: bool = False,
    inputs: Inputs | None = None,
    director: Director = direct,
) -> dict[str, Any]:
    """Make the video of a request in its folder, going on where an earlier run stopped; returns the report.

    Raises:
      BadInput: for a mistake of the user's; nothing is written in that case.
      Lifeless: the frames came out black, flat or frozen.
    """
    began = time.perf_counter()
    require_grid(config)
    inputs = inputs or decode(request)
    prepared = prepare(inputs, request.prompt, director)
    made_from = fingerprint_of(request, prepared, suite, config)
    fingerprint = hash_of(made_from)
    folder = OutputFolder(request.out)
    if request.redo:
        folder.require_redo(fingerprint, request.redo)
    elif folder.is_complete(fingerprint):
        return {**(read_json(folder.path / "report.json") or {}), "already_complete": True}
    plan = folder.open(fingerprint)
    warn(prepared)
    recording = inputs.recording
    timeline = Timeline(recording.samples, recording.sample_rate, inputs.fps, Fraction(config.fps))

    with progress_bar(quiet) as bar:
        watch = Stopwatch(bar)
        with watch.stage("inputs"):
            write_whole(folder.path / "storyline.json", prepared.storyline.to_json().encode())
            write_sheet(prepared.storyline, inputs.recording, folder.path / "storyline.json")
            work = begin(inputs, prepared, timeline, request.seed, suite, config, mesh, folder, watch)
        with watch.stage("blueprint"):
            blueprint = draw_blueprint(work)
            if suite.draft is not suite.denoiser:
                suite.draft.free()
        with watch.stage("key frames"):
            chosen = choose_keyframes(work, blueprint)
        clips = plan_clips(chosen.keyframes.model_frames)
        redone = [int(n) for n in plan.get("redone", [0] * len(clips))]
        for index in request.redo:
            redone[index] += 1
            folder.segment_path(index).unlink(missing_ok=True)
            for seam in (index, index + 1):
                seam_path(folder, seam).unlink(missing_ok=True)
        write_json(folder.segments / "plan.json", {"fingerprint": fingerprint, "redone": redone})
        seams = plan_seams(clips, config)
        missing = sum(not folder.has(folder.segment_path(clip.index)) for clip in clips)
        watch.expect(missing * config.clips.solve.steps + len(seams) * config.seams.solve.steps)
        with watch.stage("sub-clips"):
            make_clips(work, clips, chosen.pictures, redone)
        with watch.stage("seams and frames"):
            joiner = Joiner(work, clips, seams)
            names = part_names(timeline.model_frames, clips, seams)
            shown = [nearest_frame(i / timeline.fps, timeline.model_fps) for i in range(timeline.frames)]
            alive = FrameWatch([names[min(frame, len(names) - 1)] for frame in shown])
            frames = retimed(joiner.frames(), timeline.frames, timeline.fps, timeline.model_fps)
            write_video(folder.path / "video.mp4", alive.through(frames), timeline.fps, timeline.frames, request.audio)

    seconds = float(timeline.seconds)
    height, width = work.portrait.shape[:2]
    report = {
        "family": config.family,
        "frames": timeline.frames,
        "fps": str(timeline.fps),
        "model_fps": str(timeline.model_fps),
        "seconds": round(seconds, 6),
        "size": [width, height],
        "seed": request.seed,
        **alive.hashes(),
        "mouth_follows_sound": None,
        "portrait": {"framing": prepared.framing.how, "warning": prepared.framing.warning},
        "key_frames": keyframe_report(work, chosen),
        "segments": [clip_report(work, clip, redone, joiner) for clip in clips],
        "seams": [{"seconds": round(float(seam.at / work.fps), 4), "frames": seam.length} for seam in seams],
        **cost(watch, time.perf_counter() - began, seconds, mesh),
    }
    write_json(folder.path / "report.json", report)
    note = {"fingerprint": fingerprint, "inputs": made_from, "prompt": request.prompt, "redone": redone}
    write_json(folder.path / "manifest.json", note | origin(config, mesh, folder.video_sha256()))
    return report


def clip_report(work: Work, clip: Clip, redone: list[int], joiner: Joiner) -> dict[str, Any]:
    """When, at which try, and how sharp compared with the portrait."""
    relative = joiner.sharpness_of[clip.index] / max(sharpness(work.portrait), 1e-9)
    return {
        "index": clip.index,
        "start": round(float(clip.first / work.fps), 4),
        "end": round(float(clip.last / work.fps), 4),
        "attempt": redone[clip.index],
        "clarity": round(relative, 4),
    }
