"""Ablations: one stage trained several times from one checkpoint, each time with one thing changed; a row for each.

A set is a file of configs/ablations that sets CONFIG to an `Ablation`. `python train.py --ablate NAME --out DIR` runs
it and may be interrupted: arms whose row is in DIR/rows.jsonl are done, the one at hand goes on from its checkpoint.
DIR/table.md and DIR/plot.png are made anew after every row. Processes with different `--seeds` may share DIR.
"""

import difflib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from avatar_jax.training.stage import CannotTrain

Row = dict[str, Any]
"""arm, topic, seed, steps, scores ({name: number}) and whatever else is known of an arm's run."""


@dataclass(frozen=True)
class Arm:
    """One variant. `changes` are overrides as on the command line.

    scratch: begins with fresh parameters instead of the common checkpoint. scored_like: not trained; the parameters of
    that arm are scored under the changed config. beside: the arm that it is compared with, by name; the set's first one
    unless given.
    """

    name: str
    topic: str
    changes: tuple[str, ...] = ()
    scratch: bool = False
    scored_like: str = ""
    beside: str = ""


@dataclass(frozen=True)
class Ablation:
    """A set of arms that share data, seeds and the number of steps."""

    config: str
    """Path of the config that arms change."""
    stage: str
    arms: tuple[Arm, ...]
    columns: tuple[str, ...]
    """Scores in the table; the first four are plotted."""
    common: tuple[str, ...] = ()
    """Overrides of all arms."""
    start: str = "shipped"
    """The common checkpoint, as for `--init`."""
    steps: int = 1000
    seeds: tuple[int, ...] = (0, 1)

    def __post_init__(self) -> None:
        names = [arm.name for arm in self.arms]
        if len(set(names)) < len(names):
            raise ValueError("arms have different names")
        for i, arm in enumerate(self.arms):
            if arm.scored_like and arm.scored_like not in names[:i]:
                raise ValueError(f"{arm.name} is scored like an arm that comes before it")
            if arm.beside and arm.beside not in names:
                raise ValueError(f"{arm.name} is compared with an arm of the set")


def path_of(name: str, folder: Path = Path("configs/ablations")) -> Path:
    """The file of a set.

    Raises:
        CannotTrain: with the names that there are.
    """
    path = folder / f"{name}.py"
    if not path.is_file():
        known = sorted(p.stem for p in folder.glob("*.py") if p.stem != "__init__")
        near = difflib.get_close_matches(name, known, 1, 0.4)
        fix = f"did you mean {near[0]}?" if near else "run from the repository's root"
        raise CannotTrain("no such ablation", name, f"a file of {folder}: {', '.join(known) or 'none'}", fix)
    return path


def run_all(
    ablation: Ablation, out: Path, run_arm: Callable[[Arm, int, Path], Row], seeds: Sequence[int], write: bool = True
) -> Iterator[Row]:
    """Every arm with every one of `seeds` that has no row yet; the rows as they are made.

    Args:
        run_arm: (arm, seed, folder) -> its row.
        write: whether this process keeps the files.
    """
    out.mkdir(parents=True, exist_ok=True)
    done = {(row["arm"], row["seed"]) for row in read_rows(out)}
    for seed in seeds:
        for arm in ablation.arms:
            if (arm.name, seed) in done:
                continue
            row = {"arm": arm.name, "topic": arm.topic, "seed": seed} | run_arm(arm, seed, folder_of(out, arm, seed))
            if write:
                add_row(out, row)
                report(ablation, out)
            yield row


def folder_of(out: Path, arm: Arm, seed: int) -> Path:
    return out / f"{arm.name.replace(' ', '-')}.{seed}"


def read_rows(out: Path) -> list[Row]:
    """Rows that were written whole."""
    path = out / "rows.jsonl"
    rows = []
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return rows


def add_row(out: Path, row: Row) -> None:
    """At the end, in one write; a line that a killed process left half written is closed first."""
    path = out / "rows.jsonl"
    torn = path.exists() and not path.read_bytes().endswith(b"\n")
    with path.open("ab") as file:
        file.write((b"\n" if torn else b"") + json.dumps(row).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def grown(fresh: Mapping[str, Any], start: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """('/'-joined path -> array, names of those that stay fresh): `start` where it has an array of the same shape."""
    taken = {path: start[path] if fits(start.get(path), leaf) else leaf for path, leaf in fresh.items()}
    return taken, [path for path, leaf in fresh.items() if not fits(start.get(path), leaf)]


def fits(old: Any, new: Any) -> bool:
    return old is not None and old.shape == new.shape


def report(ablation: Ablation, out: Path) -> None:
    """table.md and plot.png of the rows that there are."""
    rows = read_rows(out)
    temporary = out / f".table.md.{os.getpid()}.part"
    temporary.write_text(table(ablation, rows))
    temporary.replace(out / "table.md")
    plot(ablation, rows, out / "plot.png")


def table(ablation: Ablation, rows: Sequence[Row]) -> str:
    """Markdown: a line for each arm. Means over seeds; in brackets what each seed's score is more than that of the arm
    beside it with the same seed, whose held-out windows are the same, or the scores themselves of an arm that others
    are compared with."""
    lines = [
        "| topic | arm | " + " | ".join(ablation.columns) + " | seeds | CPU-s |",
        "|---|---|" + "---|" * (len(ablation.columns) + 2),
    ]
    for arm in ablation.arms:
        mine = [row for row in rows if row["arm"] == arm.name]
        if not mine:
            continue
        beside = compared(ablation, arm)
        cells = []
        for column in ablation.columns:
            own, others = scores_of(rows, arm.name, column), scores_of(rows, beside, column)
            shared = sorted(own.keys() & others.keys())
            apart = [
                f"{own[seed]:.3f}" if beside == arm.name else f"{own[seed] - others[seed]:+.3f}" for seed in shared
            ]
            spread = f" ({', '.join(apart)})" if apart else ""
            cells.append(f"{np.mean(list(own.values())):.3f}{spread}" if own else "")
        took = np.mean([row.get("cpu_seconds", 0.0) for row in mine])
        lines.append(f"| {arm.topic} | {arm.name} | {' | '.join(cells)} | {len(mine)} | {took:.0f} |")
    return "\n".join(lines) + "\n"


def compared(ablation: Ablation, arm: Arm) -> str:
    """The arm that this one is compared with; itself, where it is compared with none and others with it."""
    own = any(other.beside == arm.name for other in ablation.arms)
    return arm.beside or (arm.name if own else ablation.arms[0].name)


def scores_of(rows: Sequence[Row], arm: str, column: str) -> dict[int, float]:
    """Seed -> score; of two rows of a seed the later one counts."""
    found = {row["seed"]: row["scores"].get(column) for row in rows if row["arm"] == arm}
    return {seed: score for seed, score in found.items() if score is not None}


def plot(ablation: Ablation, rows: Sequence[Row], path: Path) -> None:
    """The first columns, an arm a line: a dot for every seed, by how much it is more than the arm beside it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    apart = [arm for arm in ablation.arms if compared(ablation, arm) != arm.name]
    shown = [arm for arm in apart if any(row["arm"] == arm.name for row in rows)]
    columns = ablation.columns[:4]
    figure = Figure(figsize=(4 + 2.5 * len(columns), 1 + 0.35 * max(1, len(shown))), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(columns), sharey=True, squeeze=False)[0]
    for axis, column in zip(axes, columns, strict=True):
        for y, arm in enumerate(shown):
            own, others = (scores_of(rows, name, column) for name in (arm.name, compared(ablation, arm)))
            more = [own[seed] - others[seed] for seed in own.keys() & others.keys()]
            if more:
                axis.plot(more, [y] * len(more), "o", color="tab:blue", alpha=0.6)
                axis.plot([np.mean(more)], [y], "|", color="black", markersize=14)
        axis.axvline(0, color="grey", linewidth=0.8)
        axis.set_yticks(range(len(shown)), [f"{arm.name} - {compared(ablation, arm)}" for arm in shown])
        axis.set_xlabel(column)
        axis.grid(alpha=0.3)
    axes[0].invert_yaxis()
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part.png")
    figure.savefig(temporary, dpi=120)
    temporary.replace(path)
