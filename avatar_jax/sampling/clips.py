"""Sub-clips made, looked at by the gate, made again where that is needed, and saved one by one."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from avatar_jax.metrics.sync import correlation
from avatar_jax.sampling.folder import (
    read_arrays,
    write_arrays,
)
from avatar_jax.sampling.gate import ClipScore, GateConfig, inspect
from avatar_jax.sampling.report import Lifeless
from avatar_jax.sampling.request import MODEL_FPS
from avatar_jax.sampling.segments import Segment, sample_segments
from avatar_jax.sampling.work import Work
from avatar_jax.timeline import seconds_of


@dataclass(frozen=True)
class Try:
    """What came of one seed: its number and its score."""

    attempt: int
    score: ClipScore

    def as_dict(self, gate: GateConfig) -> dict[str, Any]:
        return {"attempt": self.attempt, **self.score.as_dict(), "faults": list(self.score.faults(gate))}


@dataclass(frozen=True)
class Clip:
    """One finished sub-clip: the try that was kept, those that were not, and [2, n] the mouth opening seen and heard in
    the kept one."""

    segment: Segment
    kept: Try
    mouth: np.ndarray
    rejected: tuple[Try, ...] = ()

    def as_dict(self, gate: GateConfig) -> dict[str, Any]:
        start, end = seconds_of([self.segment.first, self.segment.last], MODEL_FPS)
        return {
            "index": self.segment.index,
            "start": round(float(start), 4),
            "end": round(float(end), 4),
            **self.kept.as_dict(gate),
            "rejected": [one.as_dict(gate) for one in self.rejected],
        }

    def better_of(self, other: "Clip", gate: GateConfig) -> "Clip":
        """The better of this try and a later one, the other one remembered as rejected."""
        later = other.kept.score.rank(gate) > self.kept.score.rank(gate)
        winner, loser = (other, self) if later else (self, other)
        return Clip(winner.segment, winner.kept, winner.mouth, (*self.rejected, loser.kept))


def sub_clips(
    work: Work, segments: Sequence[Segment], keys: dict[int, np.ndarray], redone: Sequence[int]
) -> tuple[dict[int, np.ndarray], list[Clip]]:
    """Latents and scores of all sub-clips: saved ones as they are, others made, looked at and perhaps made again.

    The number of a sub-clip's seed is (retries + 1) * redone + retry, so no redo repeats an earlier try.

    Raises:
      Lifeless: the best of all tries of a sub-clip is black, flat or frozen.
    """
    gate = work.config.gate
    made: dict[int, np.ndarray] = {}
    clips: dict[int, Clip] = {}
    for segment in segments:
        saved = read_clip(work, segment)
        if saved is not None:
            made[segment.index], clips[segment.index] = saved

    attempts = [n * (gate.retries + 1) for n in redone]
    todo = [s for s in segments if s.index not in made]
    for retry in range(gate.retries + 1):
        if not todo:
            break
        attempt = [n + retry for n in attempts]
        done = {i: latents for i, latents in made.items() if i not in {s.index for s in todo}}
        fresh: list[tuple[Segment, np.ndarray]] = []

        def look(fresh: list[tuple[Segment, np.ndarray]] = fresh, retry: int = retry) -> None:
            scored = inspect(work.pictures, work.standard, fresh, gate)
            for (segment, latents), (score, mouth) in zip(fresh, scored, strict=True):
                index = segment.index
                new = clip = Clip(segment, Try(attempts[index] + retry, score), mouth)
                if index in clips:
                    clip = clips[index].better_of(new, gate)
                if clip.kept is new.kept:
                    made[index] = latents
                clips[index] = clip
                if not score.wants_another(gate):
                    save_clip(work, clip, made[index])
            fresh.clear()

        def collect(
            segment: Segment, latents: np.ndarray, fresh: list[tuple[Segment, np.ndarray]] = fresh, look=look
        ) -> None:
            fresh.append((segment, latents))
            if len(fresh) == work.config.segment.wave:
                look()

        sample_segments(work.denoise, work.noise, segments, keys, work.config.segment, attempt, done, collect)
        if fresh:
            look()
        todo = [s for s in todo if clips[s.index].kept.score.wants_another(gate)]
        work.watch.expect(len(todo) * work.config.segment.solver.steps if retry < gate.retries else 0)
    for segment in todo:
        dead = clips[segment.index].kept.score.dead
        if dead:
            raise Lifeless(f"sub-clip {segment.index} came out {dead} in {gate.retries + 1} tries; try another --seed")
        save_clip(work, clips[segment.index], made[segment.index])
    return made, [clips[s.index] for s in segments]


def save_clip(work: Work, clip: Clip, latents: np.ndarray) -> None:
    tries = json.dumps([asdict(one) for one in (clip.kept, *clip.rejected)])
    write_arrays(work.folder.segment_path(clip.segment.index), latents=latents, mouth=clip.mouth, tries=np.array(tries))


def read_clip(work: Work, segment: Segment) -> tuple[np.ndarray, Clip] | None:
    """Latents and clip as `save_clip` left them, or None."""
    saved = read_arrays(work.folder.segment_path(segment.index))
    if saved is None:
        return None
    tries = json.loads(str(saved["tries"]))
    kept, *rejected = (Try(one["attempt"], ClipScore(**one["score"])) for one in tries)
    return saved["latents"], Clip(segment, kept, saved["mouth"], tuple(rejected))


def gate_report(clips: Sequence[Clip], gate: GateConfig) -> dict[str, Any]:
    """What the gate asked for and did: a part of report.json. `below`: sub-clips that are kept although none of their
    tries was good enough, with what is wrong."""
    below = {str(c.segment.index): list(c.kept.score.faults(gate)) for c in clips}
    return {
        "limits": asdict(gate),
        "made_again": [c.segment.index for c in clips if c.rejected],
        "below": {index: faults for index, faults in below.items() if faults},
    }


def mouth_follows(clips: Sequence[Clip]) -> float | None:
    """Correlation, over the frames that the gate read, of the mouth opening seen with the one heard."""
    seen, heard = np.concatenate([clip.mouth for clip in clips], axis=1)
    found = correlation(seen, heard)
    return round(found, 4) if np.isfinite(found) else None
