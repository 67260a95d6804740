"""Does the gate of the cascade catch what it is there for? Sub-clips of held-out characters with planted faults.

The cascade makes videos once, without any retry; what its gate would see is kept. Faults are pure
functions of a sub-clip; the gate's own `examine`, with its own reader and limits, judges each. Limits were chosen on
the characters of `--calibrate`, others are reported.
"""

import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from avatar_jax import compilation
from avatar_jax import config as configs
from avatar_jax.evaluation.cascade import Cascade
from avatar_jax.evaluation.making import FIRST_SEED
from avatar_jax.mesh import make_mesh
from avatar_jax.metrics.reading import Readings, read_frames
from avatar_jax.sampling.config import SampleConfig
from avatar_jax.sampling.folder import hash_of, read_arrays, write_arrays
from avatar_jax.sampling.gate import APART, REACH, SYNC_STEP, ClipScore, GateConfig, Standard, examine
from avatar_jax.sampling.report import plain
from avatar_jax.sampling.request import MODEL_FPS
from avatar_jax.sampling.work import Models
from avatar_jax.timeline import seconds_of
from avatar_jax.weights import ship
from data_pipeline.synthetic import render
from data_pipeline.synthetic.clip import Clip, identity_seed, make_clip
from data_pipeline.synthetic.identity import make_identity

CALIBRATION_SEED = FIRST_SEED + 100
STRANGERS = 500
"""From a character's seed to that of the stranger who takes its place."""
EACH = 2
"""Sub-clips of one video that become cases: many characters tell more than many moments of one."""
SIZE = 256
"""Pixels of the videos, as many as the gate looks at."""
TALKING = 0.5
"""Share of a sub-clip that speech must fill for a wrong time to be a fault."""
WANTED = 0.95
"""Share that must be caught of every kind, and passed of the good: 19 of 20."""


@dataclass(frozen=True)
class GateCheckConfig:
    """`cases` sub-clips for every fault, from videos of `seconds`, kept in `out`; `overrides` go to sample.py."""

    cases: int = 20
    seconds: float = 10.0
    out: Path = Path("out/gate")
    weights: Path = ship.SHIPPED
    overrides: tuple[str, ...] = ()
    calibrate: bool = False


@dataclass(frozen=True)
class Shown:
    """One sub-clip as a viewer gets it: frames, the same told of a stranger, their instants in the recording (seconds),
    and whether anybody speaks."""

    frames_NHW3: np.ndarray
    strangers_NHW3: np.ndarray
    seconds_N: np.ndarray
    talking: bool
    standard: Standard


Fault = Callable[[Shown, np.random.Generator], Shown]


def frozen(clip: Shown, rng: np.random.Generator) -> Shown:
    """One of its frames, all the time."""
    one = rng.integers(len(clip.frames_NHW3))
    return replace(clip, frames_NHW3=np.repeat(clip.frames_NHW3[one : one + 1], len(clip.frames_NHW3), axis=0))


def black(clip: Shown, rng: np.random.Generator) -> Shown:
    """Next to nothing is left of the picture."""
    return replace(clip, frames_NHW3=clip.frames_NHW3 // 32)


def late(clip: Shown, rng: np.random.Generator, least: int, most: int) -> Shown:
    """Whole frames of 1/25 s too late or too early: the picture is right, for another instant of the recording."""
    frames = rng.integers(least, most + 1) * rng.choice([-1, 1])
    return replace(clip, seconds_N=clip.seconds_N + frames * float(SYNC_STEP))


def stranger(clip: Shown, rng: np.random.Generator) -> Shown:
    """The same motion in another character's face."""
    return replace(clip, frames_NHW3=clip.strangers_NHW3)


def inside(clip: Shown, change: Callable[[np.ndarray], np.ndarray]) -> Shown:
    """The sub-clip with all frames between its key frames changed."""
    frames = clip.frames_NHW3.copy()
    frames[1:-1] = [change(frame) for frame in frames[1:-1]]
    return replace(clip, frames_NHW3=frames)


def blurred(clip: Shown, rng: np.random.Generator) -> Shown:
    """As by a lens out of focus: 1.5 % of the width."""
    return inside(clip, lambda frame: cv2.GaussianBlur(frame, (0, 0), 0.015 * len(frame)))


def tinted(clip: Shown, rng: np.random.Generator) -> Shown:
    """12 levels brighter between its key frames."""
    return inside(clip, lambda frame: np.clip(frame.astype(np.int16) + 12, 0, 255).astype(np.uint8))


def displaced(clip: Shown, rng: np.random.Generator) -> Shown:
    """A twelfth of the width aside between its key frames."""
    return inside(clip, lambda frame: np.roll(frame, len(frame) // 12, axis=1))


LATE = "out of sync"
REQUIRED: Mapping[str, Fault] = {
    "frozen": frozen,
    "black": black,
    f"{LATE} by {APART} to {REACH - 2} frames": partial(late, least=APART, most=REACH - 2),
    "another identity": stranger,
}
FURTHER: Mapping[str, Fault] = {
    f"{LATE} by exactly {APART} frames": partial(late, least=APART, most=APART),
    "blurred": blurred,
    "jump of colour at its ends": tinted,
    "jump of place at its ends": displaced,
}
"""Beyond what is asked for; only reported."""


def make(clip: Clip, models: Models, sample: SampleConfig) -> dict[str, np.ndarray]:
    """The cascade's sub-clips of a clip as the gate sees them, and told of a stranger."""
    with tempfile.TemporaryDirectory() as folder:
        cascade = Cascade(clip, Path(folder), models, sample, make_mesh(""))
        made = cascade.sub_clips(sample)
        pictures, standard = cascade.work.pictures, cascade.work.standard
        latents = np.concatenate([made[s.index] for s in cascade.segments])
        face = render.portrait(make_identity(identity_seed(clip.seed + STRANGERS, clip.split)), SIZE)
        return {
            "frames": np.stack(list(pictures.views(latents))),
            "strangers": np.stack(list(replace(pictures, source=face).views(latents))),
            "first": np.array([s.first for s in cascade.segments]),
            "length": np.array([s.length for s in cascade.segments]),
            "portrait": standard.portrait.identity_ND,
            "sharpness": np.array(standard.sharpness),
            "shapes": standard.shapes_T4,
        }


def shown(clip: Clip, kept: Mapping[str, np.ndarray]) -> Iterator[Shown]:
    """The sub-clips of what `make` gave."""
    standard = Standard(
        Readings(np.zeros((1, 0), np.float32), kept["portrait"]), float(kept["sharpness"]), kept["shapes"]
    )
    stops = np.cumsum(kept["length"])
    for first, length, stop in zip(kept["first"], kept["length"], stops, strict=True):
        rows, seconds = slice(stop - length, stop), seconds_of(first + np.arange(length), MODEL_FPS)
        spoken = [any(p.start <= t < p.end for p in clip.speech.phones) for t in seconds]
        talking = float(np.mean(spoken)) >= TALKING
        yield Shown(kept["frames"][rows], kept["strangers"][rows], seconds, talking, standard)


def spread(clips: Sequence[Sequence[Shown]], count: int) -> list[Shown]:
    """About as many of every video, evenly over its length, until there are `count`."""
    picked: list[Shown] = []
    for i, of_one in enumerate(clips):
        left = -(-(count - len(picked)) // (len(clips) - i))
        places = np.unique(np.linspace(0, len(of_one) - 1, min(left, len(of_one))).round().astype(int))
        picked += [of_one[j] for j in places]
    return picked[:count]


def run(config: GateCheckConfig) -> dict[str, Any]:
    """Make or find the sub-clips, plant every fault, ask the gate; see the top of the file."""
    import sample as command

    compilation.keep_programs()
    models: Models = command.load_models(config.weights, make_mesh(""))
    default = configs.override(replace(SampleConfig(), size=SIZE), config.overrides)
    once = replace(default, gate=replace(default.gate, retries=0))
    clips: list[list[Shown]] = []
    start = CALIBRATION_SEED if config.calibrate else FIRST_SEED
    videos = range(start, start + -(-config.cases // EACH))
    for seed in tqdm(videos, desc="videos", disable=not sys.stderr.isatty()):
        clip = make_clip(seed, "heldout", (config.seconds, config.seconds))
        # What is kept does not depend on the gate's limits, so that they can be changed without making it anew.
        told = hash_of([models.hashes, config.seconds, seed, plain(once) | {"gate": None}])
        path = config.out / f"{seed}.npz"
        kept = read_arrays(path)
        if kept is None or str(kept["told"]) != told:
            kept = make(clip, models, once) | {"told": np.array(told)}
            write_arrays(path, **kept)
        clips.append(list(shown(clip, kept)))

    def ask(clip: Shown) -> ClipScore:
        readings = read_frames(models.reader, models.reader_params, clip.frames_NHW3)
        return examine(clip.frames_NHW3, readings, clip.seconds_N, clip.standard, default.gate)[0]

    return {
        "characters": "calibration" if config.calibrate else "report",
        "seeds": [videos.start, videos.stop - 1],
        "seconds_each": config.seconds,
        **tabled(clips, ask, default.gate, config.cases),
        "weights": {part: digest[:12] for part, digest in models.hashes.items()},
    }


def tabled(
    clips: Sequence[Sequence[Shown]], ask: Callable[[Shown], ClipScore], gate: GateConfig, cases: int
) -> dict[str, Any]:
    """What the gate says of `cases` sub-clips of these videos with every fault, and of all of them without."""
    everyone = {id(clip): ask(clip) for of_one in clips for clip in of_one}
    chosen = spread(clips, cases)
    talking = spread([[clip for clip in of_one if clip.talking] for of_one in clips], cases)
    rows: dict[str, Any] = {}
    for name, fault in (*REQUIRED.items(), *FURTHER.items()):
        rng = np.random.default_rng(0)
        scores = [ask(fault(clip, rng)) for clip in (talking if name.startswith(LATE) else chosen)]
        rows[name] = row(scores, gate) | {"required": name in REQUIRED}
    return {
        "videos": len(clips),
        "faults": rows,
        "good": row([everyone[id(clip)] for clip in chosen], gate),
        "all_good": row(list(everyone.values()), gate),
        "measured": {name: measured(list(everyone.values()), name) for name in NUMBERS},
        "limits": plain(gate),
    }


def row(scores: Sequence[ClipScore], gate: GateConfig) -> dict[str, Any]:
    """How many are stopped, and by what."""
    told = [score.faults(gate) for score in scores]
    return {"of": len(told), "stopped": sum(map(bool, told)), "by": dict(Counter(x for one in told for x in one))}


NUMBERS = tuple(f.name for f in fields(ClipScore) if f.name not in ("dead", "offset"))


def measured(scores: Sequence[ClipScore], name: str) -> dict[str, float]:
    """Where good sub-clips lie: lowest, middle, highest, and the 2 % at either end."""
    found = np.array([x for x in (getattr(score, name) for score in scores) if x is not None], float)
    if not len(found):
        return {}
    ends = np.quantile(found, [0, 0.02, 0.5, 0.98, 1])
    return dict(zip(("lowest", "low", "median", "high", "highest"), map(float, ends), strict=True))


def holds(result: Mapping[str, Any]) -> bool:
    """Whether enough is caught of every required kind, and enough of the good passes."""
    good = result["good"]
    required = [row for row in result["faults"].values() if row["required"]]
    caught = all(row["of"] and row["stopped"] >= WANTED * row["of"] for row in required)
    return caught and good["of"] - good["stopped"] >= WANTED * good["of"]


def as_text(result: Mapping[str, Any]) -> str:
    """Two tables in Markdown: what is caught and passed, and where good sub-clips lie."""

    def by(of: Mapping[str, Any]) -> str:
        return ", ".join(f"{name} {count}" for name, count in sorted(of["by"].items(), key=lambda x: -x[1]))

    lines = ["| sub-clips | caught | by |", "|---|---|---|"]
    for name, of in result["faults"].items():
        lines.append(f"| {name} | {of['stopped']} of {of['of']} | {by(of)} |")
    lines += ["", "| sub-clips | passed | stopped by |", "|---|---|---|"]
    for name, key in (("good", "good"), ("good, all that were made", "all_good")):
        of = result[key]
        lines.append(f"| {name} | {of['of'] - of['stopped']} of {of['of']} | {by(of)} |")
    lines += ["", "| good sub-clips | lowest | 2 % | median | 98 % | highest |", "|---|---|---|---|---|---|"]
    for name, at in result["measured"].items():
        lines.append(f"| {name} | " + " | ".join(f"{value:.3f}" for value in at.values()) + " |")
    first, last = result["seeds"]
    about = f"{result['characters']} characters (seeds {first} to {last}), {result['videos']} videos"
    return "\n".join([*lines, "", f"{about} of {result['seconds_each']:g} s"])
