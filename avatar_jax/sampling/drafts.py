"""Blueprint and key frames as files: made once, shown as blueprint.mp4, keyframes/ and keyframes.png."""

from concurrent.futures import Executor, Future
from typing import Any

import cv2
import numpy as np

from avatar_jax.metrics.reading import Readings
from avatar_jax.models.portrait_layers import SIZE
from avatar_jax.sampling.blueprint import plan_blueprint, sample_blueprint
from avatar_jax.sampling.folder import (
    read_arrays,
    write_arrays,
    write_video,
    write_whole,
)
from avatar_jax.sampling.gate import score_frames
from avatar_jax.sampling.keyframe_plot import draw_keyframes
from avatar_jax.sampling.keyframes import Keyframes
from avatar_jax.sampling.pictures import Pictures
from avatar_jax.sampling.request import MODEL_FPS
from avatar_jax.sampling.work import Work
from avatar_jax.timeline import seconds_of


def blueprint(work: Work) -> tuple[np.ndarray, Any]:
    """Latents [frames, P, C] and key-frame scores of the blueprint; blueprint.mp4 shows it at its own rate."""
    config = work.config.blueprint
    plan = plan_blueprint(work.prepared.timeline.model_frames, config)
    path = work.folder.segments / "blueprint.npz"
    saved = read_arrays(path)
    if saved is not None:
        return saved["latents"], score_frames(Readings(saved["values"], saved["identity"]), work.portrait)
    work.watch.expect(len(plan.starts) * config.solver.steps)
    drafted = sample_blueprint(work.denoise, work.noise, plan, config)
    latents = work.camera.at(drafted, [i * config.stride for i in range(len(drafted))])
    frames = Tee(work.pictures)
    write_video(work.folder.path / "blueprint.mp4", frames.through(latents), MODEL_FPS / config.stride, plan.frames)
    readings = frames.readings()
    write_arrays(path, latents=latents, values=readings.values_NR, identity=readings.identity_ND)
    return latents, score_frames(readings, work.portrait)


class Tee:
    """Decodes latents for a small video and reads the same frames on the way, a chunk at a time."""

    def __init__(self, pictures: Pictures, chunk: int = 64):
        self.pictures, self.chunk, self.parts = pictures, chunk, []

    def through(self, latents: np.ndarray):
        for start in range(0, len(latents), self.chunk):
            part = latents[start : start + self.chunk]
            frames = list(self.pictures.decode(part, SIZE))
            self.parts.append(self.pictures.read(self.pictures.views(part) if self.pictures.photograph else frames))
            yield from frames

    def readings(self) -> Readings:
        return Readings(
            np.concatenate([part.values_NR for part in self.parts]),
            np.concatenate([part.identity_ND for part in self.parts]),
        )


def save_keyframes(work: Work, keyframes: Keyframes, latents: np.ndarray, beside: Executor) -> Future[None]:
    """keyframes/NNN.png now, keyframes.png beside what comes next: done when the result is."""
    frames = list(work.pictures.decode(latents[list(keyframes.chosen)]))
    for number, frame in enumerate(frames):
        ok, png = cv2.imencode(".png", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
        if ok:
            write_whole(work.folder.path / "keyframes" / f"{number:03d}.png", png.tobytes())

    def plot() -> None:
        write_whole(work.folder.path / "keyframes.png", draw_keyframes(keyframes, frames, work.config.keyframes))

    return beside.submit(plot)


def keyframe_report(keyframes: Keyframes) -> list[dict[str, float]]:
    scores = keyframes.scores
    return [
        {
            "seconds": round(float(seconds_of(i * keyframes.stride, MODEL_FPS)), 4),
            "identity": round(float(scores.identity[i]), 4),
            "occlusion": round(float(scores.occlusion[i]), 4),
            "clarity": round(float(scores.clarity[i]), 4),
        }
        for i in keyframes.chosen
    ]
