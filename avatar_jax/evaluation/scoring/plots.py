"""The pictures of a report: drift curves, a radar of the systems, bars by category."""

from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from avatar_jax.evaluation.scoring.comparison import CURVES, Comparison, drift_curve, values
from avatar_jax.evaluation.scoring.measures import MEASURES, Measure
from avatar_jax.metrics.paired import interval

LABELS = {
    "likeness": "likeness to the portrait",
    "colour": "colour away from the first second",
    "sharpness": "sharpness over the first second's",
}
IN_BARS = ("sync_corr", "identity", "motion_amount", "hit_at_segment")
DPI = 110


def draw_all(comparison: Comparison, folder: Path) -> list[Path]:
    """drift.png, radar.png and by_TAG.png; what has nothing to show is not drawn."""
    folder.mkdir(parents=True, exist_ok=True)
    made = [save(folder / "drift.png", drift(comparison))]
    if (figure := radar(comparison)) is not None:
        made.append(save(folder / "radar.png", figure))
    for tag in comparison.by:
        if (figure := bars(comparison, tag)) is not None:
            made.append(save(folder / f"by_{tag}.png", figure))
    return made


def save(path: Path, figure: Figure) -> Path:
    """Whole or not at all."""
    part = path.with_name(f".{path.stem}.part.png")
    figure.savefig(part, dpi=DPI)
    part.replace(path)
    return path


def colour(number: int) -> tuple[float, float, float, float]:
    """The same for one system in all pictures."""
    return mpl.colormaps["tab10"](number % 10)


def drift(comparison: Comparison) -> Figure:
    """Likeness, colour and sharpness over time, mean of the cases that last as long."""
    figure = Figure(figsize=(11, 3.2), layout="constrained")
    for axes, name in zip(np.ravel(figure.subplots(1, len(CURVES))), CURVES, strict=True):
        for i, system in enumerate(comparison.systems):
            axes.plot(*drift_curve(comparison, system, name), color=colour(i), label=system, lw=1.5)
        axes.set_xlabel("seconds")
        axes.set_title(LABELS[name], fontsize=10)
        axes.grid(alpha=0.3)
        if name == CURVES[0]:
            axes.legend(fontsize=8)
    return figure


def radar(comparison: Comparison) -> Figure | None:
    """Means of the measures that have a span, its ends at the middle and at the rim; None for fewer than three."""
    there = set(comparison.names())
    shown: list[tuple[Measure, tuple[float, float]]] = [
        (m, m.span) for m in MEASURES if m.name in there and m.span is not None
    ]
    if len(shown) < 3:
        return None
    figure = Figure(figsize=(5.6, 5), layout="constrained")
    axes = figure.add_subplot(projection="polar")
    angles = np.linspace(0, 2 * np.pi, len(shown) + 1)
    for i, system in enumerate(comparison.systems):
        means = [interval(values(comparison.of(system), m.name)).mean for m, _ in shown]
        out = [np.clip((x - low) / (high - low), 0, 1) for x, (_, (low, high)) in zip(means, shown, strict=True)]
        axes.plot(angles, [*out, out[0]], color=colour(i), label=system, lw=1.5)
        axes.fill(angles, np.nan_to_num([*out, out[0]]), color=colour(i), alpha=0.06)
    axes.set_xticks(angles[:-1], [f"{m.name}\n{low:g} to {high:g}" for m, (low, high) in shown], fontsize=7)
    axes.set_yticks([0.5, 1.0], [])
    axes.set_ylim(0, 1)
    figure.legend(fontsize=8, loc="lower right")
    return figure


def bars(comparison: Comparison, tag: str) -> Figure | None:
    """The main measures by the values of a tag, with the 95 % interval; None where no case has it."""
    kinds = sorted({score.tags[tag] for score in comparison.scores if tag in score.tags})
    names = [name for name in IN_BARS if name in comparison.names()]
    if not kinds or not names:
        return None
    figure = Figure(figsize=(3.4 * len(names), 3), layout="constrained")
    for axes, name in zip(np.ravel(figure.subplots(1, len(names))), names, strict=True):
        draw_bars(axes, comparison, name, kinds, lambda score, kind: score.tags.get(tag) == kind)
    return figure


def draw_bars(axes: Axes, comparison: Comparison, name: str, kinds: list[str], among: Callable[..., bool]) -> None:
    """One group of bars a kind, one bar a system."""
    wide = 0.8 / len(comparison.systems)
    for i, system in enumerate(comparison.systems):
        found = [interval(values([s for s in comparison.of(system) if among(s, k)], name)) for k in kinds]
        heights = np.array([x.mean for x in found])
        spread = np.abs(np.array([[x.mean - x.low for x in found], [x.high - x.mean for x in found]]))
        places = np.arange(len(kinds)) + (i - (len(comparison.systems) - 1) / 2) * wide
        axes.bar(places, heights, wide, color=colour(i), label=system, yerr=spread, error_kw={"lw": 0.8})
    axes.set_xticks(range(len(kinds)), kinds, fontsize=8, rotation=30 if len(kinds) > 5 else 0)
    axes.set_title(name, fontsize=10)
