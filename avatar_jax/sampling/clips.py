"""Sub-clips made, looked at by the gate, made again where that is needed, and saved one by one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from avatar_jax.metrics.sync import correlation
from avatar_jax.sampling.folder import (
    read_arrays,
    write_arrays,
)
from avatar_jax.sampling.gate import ClipScore, inspect
from avatar_jax.sampling.request import MODEL_FPS
from avatar_jax.sampling.segments import Segment, sample_segments
from avatar_jax.sampling.work import Work
from avatar_jax.timeline import seconds_of


@dataclass(frozen=True)
class Clip:
    """One finished sub-clip: which try it is, its score, and [2, n] the mouth opening seen and heard."""

    segment: Segment
    attempt: int
    score: ClipScore
    mouth: np.ndarray

    def as_dict(self) -> dict[str, Any]:
        start, end = seconds_of([self.segment.first, self.segment.last], MODEL_FPS)
        return {
            "index": self.segment.index,
            "start": round(float(start), 4),
            "end": round(float(end), 4),
            "attempt": self.attempt,
            **self.score.as_dict(),
        }


def sub_clips(
    work: Work, segments: Sequence[Segment], keys: dict[int, np.ndarray], redone: Sequence[int]
) -> tuple[dict[int, np.ndarray], list[Clip]]:
    """Latents and scores of all sub-clips: saved ones as they are, others made, looked at and perhaps made again.

    The number of a sub-clip's seed is (retries + 1) * redone + retry, so no redo repeats an earlier try.
    """
    gate = work.config.gate
    made: dict[int, np.ndarray] = {}
    clips: dict[int, Clip] = {}
    for segment in segments:
        saved = read_arrays(work.folder.segment_path(segment.index))
        if saved is not None:
            made[segment.index] = saved["latents"]
            clips[segment.index] = Clip(
                segment, int(saved["attempt"]), ClipScore(*map(float, saved["score"])), saved["mouth"]
            )

    attempts = [n * (gate.retries + 1) for n in redone]
    todo = [s for s in segments if s.index not in made]
    for retry in range(gate.retries + 1):
        if not todo:
            break
        attempt = [n + retry for n in attempts]
        kept = {i: latents for i, latents in made.items() if i not in {s.index for s in todo}}
        fresh: list[tuple[Segment, np.ndarray]] = []

        def look(fresh: list[tuple[Segment, np.ndarray]] = fresh, retry: int = retry) -> None:
            scored = inspect(work.pictures, work.portrait, work.shapes_T4, fresh, gate)
            for (segment, latents), (score, mouth) in zip(fresh, scored, strict=True):
                clip = Clip(segment, attempts[segment.index] + retry, score, mouth)
                before = clips.get(segment.index)
                if before is None or score.total > before.score.total:
                    made[segment.index], clips[segment.index] = latents, clip
                    if retry or score.passes(gate):
                        save_clip(work, clip, latents)
            fresh.clear()

        def collect(
            segment: Segment, latents: np.ndarray, fresh: list[tuple[Segment, np.ndarray]] = fresh, look=look
        ) -> None:
            fresh.append((segment, latents))
            if len(fresh) == work.config.segment.wave:
                look()

        sample_segments(work.denoise, work.noise, segments, keys, work.config.segment, attempt, kept, collect)
        if fresh:
            look()
        todo = [s for s in todo if not clips[s.index].score.passes(gate)]
        work.watch.expect(len(todo) * work.config.segment.solver.steps if retry < gate.retries else 0)
    for segment in todo:
        save_clip(work, clips[segment.index], made[segment.index])
    return made, [clips[s.index] for s in segments]


def save_clip(work: Work, clip: Clip, latents: np.ndarray) -> None:
    write_arrays(
        work.folder.segment_path(clip.segment.index),
        latents=latents,
        attempt=np.array(clip.attempt),
        score=np.array([clip.score.identity, clip.score.clarity, clip.score.mouth]),
        mouth=clip.mouth,
    )


def mouth_follows(clips: Sequence[Clip]) -> float | None:
    """Correlation, over the frames that the gate read, of the mouth opening seen with the one heard."""
    seen, heard = np.concatenate([clip.mouth for clip in clips], axis=1)
    found = correlation(seen, heard)
    return round(found, 4) if np.isfinite(found) else None
