"""Does the video follow its storyline in time? The same held-out cases told in several ways.

Cases are held-out clips whose storyline changes something that can be read back: emotion, camera or action. Each is
made as the storyline says and under every arm that takes part of the director's way into the generator away;
Hit@Segment counts, over all fields that change from shot to shot, those that the judge sees in their own shot.
"""

import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from tqdm import tqdm

from avatar_jax.evaluation import columns as c
from avatar_jax.evaluation import making
from avatar_jax.evaluation.case import Case
from avatar_jax.media import BadInput
from avatar_jax.sampling.folder import sha256
from avatar_jax.weights import ship
from data_pipeline.synthetic.clip import Clip, make_clip

DRAWS = 2000
"""Resamplings of the cases, for the interval."""


@dataclass(frozen=True)
class ObedienceConfig:
    """`cases` clips of `seconds` each; `overrides` are those of sample.py and hold in every arm."""

    cases: int = 12
    seconds: float = 6.0
    out: Path = Path("out/obedience")
    weights: Path = ship.SHIPPED
    judge: Path | None = None
    overrides: tuple[str, ...] = ()


@dataclass(frozen=True)
class Arm:
    """One row of the table."""

    name: str
    overrides: tuple[str, ...] = ()
    silenced: str | None = None
    """A module of the generator whose last layer is set to zero."""


ARMS = (
    Arm("the storyline, shot by shot"),
    Arm("without the storyline attention", silenced="storyline_attn/o"),
    Arm("one global prompt", overrides=("--one_prompt=true",)),
)


def changing_clips(count: int, seconds: float) -> Iterator[Clip]:
    """Held-out clips whose storyline asks for a change that the true frames show."""
    seeds = iter(range(making.FIRST_SEED, making.FIRST_SEED + 1000))
    clips = (make_clip(seed, "heldout", (seconds, seconds)) for seed in seeds)
    return islice((clip for clip in clips if changes(clip)), count)


def changes(clip: Clip) -> bool:
    shots = clip.storyline.shots
    asked = {(shot.emotion, shot.camera, shot.action) for shot in shots}
    return len(asked) > 1 and min(float(shot.end - shot.start) for shot in shots) >= c.SHORTEST_S + 2 * c.TRIM_S


def run(config: ObedienceConfig) -> dict[str, Any]:
    """Make and read every case in every arm; a table of shares with 95 % intervals over cases."""
    eyes = making.Eyes.open(config.judge or config.weights / "judge.safetensors")
    clips = list(changing_clips(config.cases, config.seconds))
    found: dict[str, list[Case]] = {arm.name: [] for arm in ARMS}
    with tqdm(total=len(ARMS) * len(clips), desc="videos", disable=not sys.stderr.isatty()) as bar:
        for place, arm in enumerate(ARMS):
            weights = config.weights if arm.silenced is None else without(config.weights, arm.silenced, config.out)
            made = making.EmbeddedConfig(
                seconds=config.seconds,
                out=config.out / f"arm_{place}",
                weights=weights,
                overrides=(*config.overrides, *arm.overrides),
            )
            for number, clip in enumerate(clips):
                found[arm.name].append(making.make_case(clip, number, eyes, made, coded=False))
                bar.update()
    rows = {name: row(cases, "made") for name, cases in found.items()}
    rows["true frames"] = row(found[ARMS[0].name], "true")
    return {"cases": len(clips), "seconds_each": config.seconds, "rows": rows}


def without(weights: Path, silenced: str, out: Path) -> Path:
    """A copy of a folder of weights in which one module's last layer is zero.

    Raises:
      BadInput: the generator has no such module.
    """
    folder = out / f"without_{silenced.replace('/', '_')}"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(weights, folder)
    if not silence(folder / "dit.safetensors", silenced):
        raise BadInput(
            f"weights {weights}", f"no {silenced}", "the arm takes it away", "weights of a generator with it"
        )
    # A student is a change of the generator: without the module in both, and of this generator.
    if (student := folder / "distil.safetensors").is_file():
        silence(student, silenced, teacher=sha256(folder / "dit.safetensors"))
    return folder


def silence(path: Path, module: str, teacher: str | None = None) -> bool:
    """Whether the file has such a module; what it has is zero from now on. `teacher`: hash to note in a student's."""
    params, note = ship.load(path)
    flat = flatten_dict(params, sep="/")
    hit = {name: np.zeros_like(x) for name, x in flat.items() if f"/{module}/" in name}
    if teacher is not None:
        note["config"]["teacher"] = teacher
    ship.export(unflatten_dict(flat | hit, sep="/"), path, note)
    return bool(hit)


def row(cases: Sequence[Case], look: str) -> dict[str, Any]:
    """Hit@Segment with its interval and how many it is of, then by field."""
    hits = [c.changed_hits([case], look) for case in cases]
    low, high = interval([np.array(x, float) for x in hits if x])
    out: dict[str, Any] = {"hit_at_segment": c.hit_at_segment(cases, look), "low": low, "high": high}
    out["counted"] = sum(map(len, hits))
    for name in c.HITS:
        of = c.changed_hits(cases, look, (name,))
        out[name] = c.mean(np.array(of, float))
        out[f"{name}_counted"] = len(of)
    return out | {"sync_corr": c.sync_where(lambda case: np.ones(case.length, bool))(cases, look)}


def interval(by_case: Sequence[np.ndarray], seed: int = 0) -> tuple[float, float]:
    """95 % of the pooled share when cases are drawn anew (bootstrap)."""
    if not by_case:
        return float("nan"), float("nan")
    rng = np.random.default_rng(seed)
    sums, counts = np.array([x.sum() for x in by_case]), np.array([len(x) for x in by_case])
    picked = rng.integers(len(by_case), size=(DRAWS, len(by_case)))
    low, high = np.quantile(sums[picked].sum(1) / counts[picked].sum(1), [0.025, 0.975])
    return float(low), float(high)


def as_text(result: dict[str, Any]) -> str:
    """A table in Markdown."""
    lines = ["| told by | Hit@Segment (95 %) | emotion | camera | action | sync_corr |", "|---|---|---|---|---|---|"]
    for name, r in result["rows"].items():
        whole = f"{r['hit_at_segment']:.2f} ({r['low']:.2f} to {r['high']:.2f}) of {r['counted']}"
        by = " | ".join(f"{r[field]:.2f} of {r[f'{field}_counted']}" for field in c.HITS)
        lines.append(f"| {name} | {whole} | {by} | {r['sync_corr']:.3f} |")
    return "\n".join(lines)
