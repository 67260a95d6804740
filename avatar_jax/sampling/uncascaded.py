"""Videos without the cascade, to compare with: no blueprint, no key frames, no gate, but the same networks and sound.

One pass: all windows of the whole recording at the full model rate in one go, sharing the frames in which they overlap
(MultiDiffusion, Bar-Tal et al. 2023). Chained: every sub-clip continues the last frames of the one before, as systems
with motion frames do (EMO, Hallo), so that a mistake can be handed on.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from jax.sharding import Mesh

from avatar_jax.sampling.blueprint import BlueprintConfig, plan_blueprint, sample_blueprint
from avatar_jax.sampling.config import SampleConfig
from avatar_jax.sampling.finder import face_finder
from avatar_jax.sampling.folder import OutputFolder, hash_of, sha256, write_json, write_video, write_whole
from avatar_jax.sampling.insertion import insert_frames, plan_insertion
from avatar_jax.sampling.photograph import noted
from avatar_jax.sampling.report import FrameWatch, Stopwatch, cost, origin, plain, progress_bar
from avatar_jax.sampling.request import Request, decode, prepare
from avatar_jax.sampling.segments import Segment, SegmentConfig
from avatar_jax.sampling.windows import FRAMES, Denoiser, Noise, solve, windows_at, windows_of
from avatar_jax.sampling.work import LATENT, Models, begin
from avatar_jax.timeline import Timeline, seconds_of


def one_pass(denoise: Denoiser, noise: Noise, frames: int, config: SegmentConfig) -> np.ndarray:
    """Latents [frames, P, C]: a blueprint at the full rate, with the sub-clips' own solver."""
    full = BlueprintConfig(stride=1, solver=config.solver)
    return sample_blueprint(denoise, noise, plan_blueprint(frames, full), full)[:frames]


@dataclass(frozen=True)
class Chain:
    """`motion_frames`: frames of the sub-clip before that the next one is given; called, it is a `Way`."""

    motion_frames: int = 1

    def __call__(self, denoise: Denoiser, noise: Noise, frames: int, config: SegmentConfig) -> np.ndarray:
        """Latents [frames, P, C], one window after the other."""
        track = np.zeros((0, *LATENT), np.float32)
        index = 0
        while len(track) < frames:
            start = max(0, len(track) - self.motion_frames)
            times_BT = (start + np.arange(FRAMES))[None]
            windows = windows_at(times_BT, LATENT)
            if len(track):
                windows = windows_of(times_BT, track, times_BT, times_BT < len(track))
            made = solve(denoise, windows, noise("segment", index, 0)[None], config.solver)[0]
            track = np.concatenate([track[:start], made])
            index += 1
        return track[:frames]

    def joints(self, frames: int) -> list[int]:
        """Model frames at which sub-clips meet: the last one that both show."""
        return list(range(FRAMES - 1, frames - 1, FRAMES - self.motion_frames))


Way = Callable[[Denoiser, Noise, int, SegmentConfig], np.ndarray]
"""(denoiser, noise, number of model frames, config) -> latents of all model frames."""
WAYS: dict[str, Way] = {"one_pass": one_pass, "chained": Chain()}
ROWS = {"chained": 2}
"""Windows per call of the denoiser where not the config's: a chain has one at a time, with and without its text."""


def parts_of(way: str, timeline: Timeline) -> list[dict[str, Any]]:
    """Sub-clips as reports tell them; a video made in one pass is one."""
    last, chosen = timeline.model_frames - 1, WAYS[way]
    joints = chosen.joints(timeline.model_frames) if isinstance(chosen, Chain) else []
    ends = [float(seconds_of(frame, timeline.model_fps)) for frame in (0, *joints, last)]
    return [
        {"index": i, "start": round(start, 4), "end": round(end, 4)} for i, (start, end) in enumerate(pairwise(ends))
    ]


def generate_uncascaded(request: Request, models: Models, config: SampleConfig, mesh: Mesh, way: str) -> dict[str, Any]:
    """Make the video of a request in its folder in one of `WAYS`; returns a report like that of `pipeline.generate`.

    Raises:
      BadInput: for a mistake of the user's; nothing is written in that case.
      Lifeless: the frames came out black, flat or frozen.
    """
    config = replace(config, rows=ROWS.get(way, config.rows))
    prepared = noted(
        prepare(decode(request), request.prompt, models.director, face_finder(models.reader, models.reader_params))
    )
    timeline = prepared.timeline
    made_from = {
        "image": sha256(request.image),
        "audio": sha256(request.audio),
        "storyline": hash_of(prepared.storyline.model_dump(mode="json")),
        "weights": models.hashes,
        "config": hash_of([way, plain(config)]),
        "seed": request.seed,
    }
    folder = OutputFolder(request.out)
    folder.open(hash_of(made_from))
    with progress_bar(True) as bar:
        watch = Stopwatch(bar)
        write_whole(folder.path / "storyline.json", prepared.storyline.to_json().encode())
        work = begin(request, prepared, models, config, mesh, folder, watch)
        config = work.config
        with watch.stage("windows"):
            track = WAYS[way](work.denoise, work.noise, timeline.model_frames, config.segment)
        with watch.stage("frames"):
            whole = [Segment(0, 0, timeline.model_frames - 1)]
            inserted = plan_insertion(timeline, whole, 0, config.insertion)
            stream = insert_frames(work.denoise, work.noise, track, timeline, inserted, config.insertion)
            alive = FrameWatch([way] * timeline.frames)
            moved = work.camera.along(stream, timeline.model_fps / timeline.fps)
            frames = alive.through(work.pictures.decode(work.blinks.along(moved, timeline.fps)))
            write_video(folder.path / "video.mp4", frames, timeline.fps, timeline.frames, request.audio)
    seconds = float(timeline.seconds)
    report = {"frames": timeline.frames, "fps": str(timeline.fps), "seconds": round(seconds, 6), "way": way}
    report["segments"] = parts_of(way, timeline)
    report |= alive.hashes() | cost(watch, sum(watch.seconds.values()), seconds, mesh)
    write_json(folder.path / "report.json", report)
    note = {"fingerprint": hash_of(made_from), "inputs": made_from, "prompt": request.prompt}
    write_json(folder.path / "manifest.json", note | origin(config, mesh, folder.video_sha256()))
    return report
