"""The ways to join sub-clips and to insert frames, compared on the same held-out cases.

For every case the cascade runs once up to its key frames, and from there on under each way of `sampling.joins`; the
frames that the encoder would get are read by the judge, as in `evaluation.embedded`. Readings are kept, so that a
stopped run goes on. Beside each pooled number stands its difference from the default way, case by case: the mean over
cases and its standard error, which is what a change of the default has to beat.
"""

import hashlib
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from avatar_jax import compilation
from avatar_jax import config as configs
from avatar_jax.evaluation import columns as c
from avatar_jax.evaluation import making, summary
from avatar_jax.evaluation.cascade import Cascade
from avatar_jax.evaluation.case import Case, Look
from avatar_jax.mesh import make_mesh
from avatar_jax.metrics import sync
from avatar_jax.metrics.judging import Judged
from avatar_jax.models.judge import FRAME
from avatar_jax.sampling.config import SampleConfig
from avatar_jax.sampling.folder import hash_of, read_arrays, sha256, write_arrays
from avatar_jax.sampling.joins import INSERTIONS, JOINS
from avatar_jax.sampling.student import check_walk
from avatar_jax.sampling.work import Models
from avatar_jax.weights import ship
from data_pipeline.synthetic.clip import Clip

NEAR_S = 0.08
"""Seconds from a seam within which a frame counts as being at it: two frames at 25 a second."""


@dataclass(frozen=True)
class JoinsConfig:
    """`cases` clips of `seconds` each; `out` keeps readings, `fresh` makes them anew; `overrides` are those of
    sample.py and hold under every way. Frames are made at the size that the judge sees."""

    cases: int = 12
    seconds: float = 4.0
    out: Path = Path("out/joins")
    weights: Path = ship.SHIPPED
    judge: Path | None = None
    overrides: tuple[str, ...] = ()
    fresh: bool = False


@dataclass(frozen=True)
class Way:
    """One row of a table: the cascade's config, and its overrides of sample.py's defaults."""

    table: str
    name: str
    fps: str
    config: SampleConfig
    flags: tuple[str, ...]

    @property
    def key(self) -> str:
        """The same for rows that need the same frames."""
        return hashlib.sha256(" ".join((self.fps, *self.flags)).encode()).hexdigest()[:10]


def flags_of(config: SampleConfig, default: SampleConfig) -> tuple[str, ...]:
    """The overrides of sample.py that turn one config into the other."""

    def value(of: Any, name: str) -> Any:
        for part in name.split("."):
            of = getattr(of, part)
        return of

    changed = [name for name in configs.names(default) if value(config, name) != value(default, name)]
    return tuple(f"--{name}={value(config, name)}" for name in changed)


def ways(default: SampleConfig) -> list[Way]:
    """Every row that is compared. At 25 frames a second all ways that use the model make the same frames."""
    at_25 = {name: INSERTIONS[name] for name in ("repeated", "straight line", "model, own instants")}
    return [
        Way(table, name, fps, change(default), flags_of(change(default), default))
        for table, fps, changes in (("joins", "25", JOINS), ("25 fps", "25", at_25), ("48 fps", "48", INSERTIONS))
        for name, change in changes.items()
    ]


@dataclass(frozen=True)
class Made:
    """What one video of a case gave: its reading, its seams, processor seconds per second of video."""

    look: Look
    seams: tuple[int, ...]
    cpu: float


def kept(path: Path, told: str) -> Made | None:
    """What an earlier run saved, if it was told the same."""
    found = read_arrays(path)
    if found is None or str(found.get("told")) != told:
        return None
    judged = Judged(found["values"], found["emotion"], found["viseme"], found["identity"])
    look = Look(judged, found["change"], found["colour"], str(found["lifeless"]) or None)
    return Made(look, tuple(found["seams"].tolist()), float(found["cpu"]))


def keep(path: Path, told: str, made: Made) -> None:
    look, j = made.look, made.look.judged
    write_arrays(
        path, told=np.array(told), values=j.values, emotion=j.emotion, viseme=j.viseme, identity=j.identity,
        change=look.change_T, colour=look.colour_T3, lifeless=np.array(look.lifeless or ""),
        seams=np.array(made.seams, int), cpu=np.array(made.cpu),
    )  # fmt: skip


def at_seams(case: Case) -> np.ndarray:
    """[T] frames within NEAR_S of a seam, at any rate."""
    return sync.near(case.seams, case.length, round(NEAR_S * case.fps))


def mouth_error_seam(cases: Sequence[Case], look: str) -> float:
    """Mean distance of the opening read from the true one at seams; the opening goes from 0 to about 1."""
    read, true = c.tracks(cases, look)
    return c.mean(np.abs(read - true)[np.concatenate([at_seams(case) for case in cases])])


def pose_jitter_seam(cases: Sequence[Case], look: str) -> float:
    """`columns.pose_jitter` over the frames at seams alone."""

    def second(name: str, of: str) -> float:
        found = []
        for case in cases:
            size = np.abs(np.diff(case.looks[of].judged.of(name), n=2))
            found.append(size[at_seams(case)[1:-1]])
        return c.mean(np.concatenate(found))

    over = [(second(name, look), second(name, "true")) for name in c.STEADY]
    return float(np.exp(np.mean([np.log(here / there) for here, there in over if here > 0 and there > 0])))


def wanted_columns(threshold: float) -> Mapping[str, c.Column]:
    """What the ways are compared by."""
    return {
        "sync_corr": c.sync_where(lambda case: np.ones(case.length, bool)),
        "sync_corr_seam": c.sync_where(at_seams),
        "mouth_error_seam": mouth_error_seam,
        "sync_corr_inserted": c.sync_where(lambda case: case.inserted_T),
        "closure_recall": c.closure_recall(threshold),
        "seam_ratio": c.seam_ratio,
        "pose_jitter_seam": pose_jitter_seam,
        "pose_jitter": c.pose_jitter,
    }


def run(config: JoinsConfig) -> dict[str, Any]:
    """Make and read every case under every way; see the top of the file."""
    import sample

    compilation.keep_programs()
    judge = config.judge or config.weights / "judge.safetensors"
    eyes, mesh = making.Eyes.open(judge), make_mesh("")
    usual = replace(SampleConfig(), size=FRAME)
    default = configs.override(usual, config.overrides)
    models: Models = sample.load_models(config.weights, mesh, default.student)
    check_walk(default, usual, models.student_steps)
    rows = ways(default)
    different = {way.key: way for way in rows}
    cases: dict[str, list[Case]] = {key: [] for key in different}
    made: dict[str, list[Made]] = {key: [] for key in different}
    bar = tqdm(total=config.cases * len(different), desc="videos", disable=not sys.stderr.isatty())
    for number, clip in enumerate(making.held_out_clips(config.cases, config.seconds)):
        told = hash_of([models.hashes, sha256(judge), config.seconds, number, config.overrides])
        known: dict[str, Case] = {}
        with tempfile.TemporaryDirectory() as folder:
            cascade = Cascade(clip, Path(folder), models, default, mesh)
            for key, way in different.items():
                path = config.out / f"case_{number:03d}" / f"{key}.npz"
                one = None if config.fresh else kept(path, told)
                if one is None:
                    one = make(cascade, clip, way, eyes)
                    keep(path, told, one)
                if way.fps not in known:
                    count = len(one.look.colour_T3)
                    known[way.fps] = making.known_case(clip, number, eyes, Fraction(way.fps), count, one.seams)
                case = known[way.fps]
                cases[key].append(replace(case, seams=one.seams, looks=case.looks | {"made": one.look}))
                made[key].append(one)
                bar.update()
    bar.close()
    return tabled(rows, cases, made) | {
        "cases": config.cases,
        "seconds_each": config.seconds,
        "weights": {part: digest[:12] for part, digest in models.hashes.items()},
    }


def make(cascade: Cascade, clip: Clip, way: Way, eyes: making.Eyes) -> Made:
    """The frames of a clip under a way, read by the judge."""
    shown = cascade.frames(way.config, way.fps)
    look = eyes.look(shown, clip.portrait(FRAME))
    return Made(look, cascade.seams(way.config, way.fps), cascade.cost(way.config, way.fps) / clip.speech.seconds)


def tabled(rows: Sequence[Way], cases: Mapping[str, list[Case]], made: Mapping[str, list[Made]]) -> dict[str, Any]:
    """Tables by name, row by row; the default's row and the reading of true frames beside them."""
    threshold = summary.shut_threshold(next(iter(cases.values())))
    wanted = wanted_columns(threshold)
    default = {way.fps: way.key for way in rows if not way.flags}
    tables: dict[str, Any] = {}
    for way in rows:
        here, base = cases[way.key], cases[default[way.fps]]
        row: dict[str, Any] = {"flags": " ".join(way.flags), "default": not way.flags}
        row |= {name: column(here, "made") for name, column in wanted.items()}
        row["against_default"] = {name: difference(column, here, base) for name, column in wanted.items()}
        row["cpu_seconds_per_video_second"] = float(np.median([m.cpu for m in made[way.key]]))
        row["lifeless"] = sum(m.look.lifeless is not None for m in made[way.key])
        tables.setdefault(way.table, {})[way.name] = row
    truths = {way.table: cases[way.key] for way in rows}
    for table, here in truths.items():
        tables[table]["true frames"] = {name: column(here, "true") for name, column in wanted.items()}
    return {"shut_below": threshold, "tables": tables}


def difference(column: c.Column, here: Sequence[Case], base: Sequence[Case]) -> dict[str, float]:
    """Mean over cases of (this way - the default), and its standard error."""
    by_case = np.array([column([a], "made") - column([b], "made") for a, b in zip(here, base, strict=True)])
    kept = by_case[np.isfinite(by_case)]
    error = float(kept.std(ddof=1) / np.sqrt(len(kept))) if len(kept) > 1 else float("nan")
    return {"mean": c.mean(kept), "error": error}


def as_text(result: Mapping[str, Any]) -> str:
    """For people: a table per question; below each number its difference from the default with the standard error."""
    lines = []
    for table, rows in result["tables"].items():
        columns = [*rows["true frames"], "cpu_seconds_per_video_second"]
        lines += ["", f"{table:26}" + "".join(wide(name.replace("_per_video_second", "")) for name in columns)]
        for name, row in rows.items():
            marked = f"{name} *" if row.get("default") else name
            lines.append(f"{marked:26}" + "".join(wide(short(row.get(column, np.nan))) for column in columns))
            if "against_default" in row and not row["default"]:
                off = [row["against_default"].get(column) for column in columns]
                told = [f"{x['mean']:+.3f} +- {x['error']:.3f}" if x else "" for x in off]
                lines.append(f"{'':26}" + "".join(wide(x) for x in told))
    weights = " ".join(f"{part} {digest}" for part, digest in result["weights"].items())
    return "\n".join([*lines[1:], "", "* the default; differences by case, with standard error", f"weights: {weights}"])


def wide(text: str) -> str:
    return f"{text:>20}"


def short(value: float) -> str:
    return f"{value:.3f}" if np.isfinite(value) else ""
