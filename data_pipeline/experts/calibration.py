"""ROC curves and thresholds of the experts, measured on clips that they have never seen.

The threshold is set on one set of held-out clips and told with its rates on another: nothing is tuned on what is
reported.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from avatar_jax.metrics.roc import auc, passing, roc, threshold_at
from data_pipeline.protocol import Clip, Expert

CURVE = 200
"""Points of a curve that are written down."""


@dataclass(frozen=True)
class Example:
    """A clip, whether it should pass, what was done to it, and the offset in frames that should be read of it."""

    clip: Clip
    good: bool
    kind: str
    offset: int | None = None


@dataclass(frozen=True)
class Row:
    """What an expert said of an example; `missed`: by how many frames its offset was wrong."""

    kind: str
    good: bool
    score: float
    missed: int | None = None


def measured(expert: Expert, examples: Iterable[Example]) -> Iterator[Row]:
    """A row for each example.

    Raises:
        ValueError: if the expert cannot judge one: a curve without it would flatter.
    """
    for example in examples:
        verdict = expert.judge(example.clip)
        if verdict.score is None:
            raise ValueError(f"{expert.name} cannot judge a clip of kind {example.kind}: {verdict.reason}")
        facts = verdict.facts or {}
        missed = None if example.offset is None else abs(int(facts["offset"]) - example.offset)
        yield Row(example.kind, example.good, verdict.score, missed)


def offsets(rows: list[Row]) -> dict[str, float | int]:
    """Shares of the clips whose offset is read to the frame, and within one; {} where no row has one."""
    missed = np.array([row.missed for row in rows if row.missed is not None])
    if not len(missed):
        return {}
    return {
        "clips": len(missed),
        "same_frame": round(float((missed == 0).mean()), 5),
        "exact": round(float((missed <= 1).mean()), 5),
    }


def summary(rows: list[Row], threshold: float) -> dict[str, Any]:
    """Area under the curve, over all and of each bad kind against all good ones, and who passes the threshold."""
    good, scores = np.array([r.good for r in rows]), np.array([r.score for r in rows])
    kinds = sorted({r.kind for r in rows if not r.good})
    out: dict[str, Any] = {"good": int(good.sum()), "bad": int((~good).sum()), "auc": round(auc(good, scores), 5)}
    out["auc_by_kind"] = {}
    for kind in kinds:
        some = good | np.array([r.kind == kind for r in rows])
        out["auc_by_kind"][kind] = round(auc(good[some], scores[some]), 5)
    bad_pass, good_pass = passing(good, scores, threshold)
    return out | {"threshold": threshold, "false_positive": round(bad_pass, 5), "true_positive": round(good_pass, 5)}


def calibrate(calibration: list[Row], test: list[Row], false_positive: float) -> dict[str, Any]:
    """The threshold from one set and its rates on both; the curve and the scores of the test set."""
    curve = roc(np.array([r.good for r in calibration]), np.array([r.score for r in calibration]))
    threshold = round(threshold_at(curve, false_positive), 6)
    shown = roc(np.array([r.good for r in test]), np.array([r.score for r in test]))
    points = np.unique(np.linspace(0, len(shown.thresholds) - 1, CURVE).round().astype(int))
    return {
        "wanted_false_positive": false_positive,
        "threshold": threshold,
        "calibration": summary(calibration, threshold),
        "test": summary(test, threshold),
        "offsets": offsets(test),
        "curve": [[round(float(shown.false_positive[i]), 5), round(float(shown.true_positive[i]), 5)] for i in points],
        "scores": {
            kind: sorted(round(r.score, 4) for r in test if r.kind == kind) for kind in sorted({r.kind for r in test})
        },
    }


def write(folder: Path, name: str, report: dict[str, Any]) -> list[Path]:
    """NAME.roc.json and NAME.roc.png: the curve, and histograms of the scores with the threshold between them."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    folder.mkdir(parents=True, exist_ok=True)
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    false_positive, true_positive = np.array(report["curve"]).T
    test = report["test"]
    left.plot(false_positive, true_positive, drawstyle="steps-post")
    left.plot(test["false_positive"], test["true_positive"], "o", color="tab:red")
    left.set(xlabel="bad clips that pass", ylabel="good clips that pass", title=f"{name}: AUC {test['auc']:.4f}")
    every = [score for scores in report["scores"].values() for score in scores]
    bins = list(np.linspace(min(every), max(every) + 1e-9, 40))
    for kind, scores in report["scores"].items():
        right.hist(scores, bins, histtype="step", label=f"{kind} ({len(scores)})")
    right.axvline(report["threshold"], color="tab:red", linestyle=":")
    right.set(xlabel="score", ylabel="held-out clips", yscale="log")
    right.legend(fontsize=7)
    json_path, png_path = folder / f"{name}.roc.json", folder / f"{name}.roc.png"
    for path in (json_path, png_path):
        part = path.with_name(f".{path.name}.part")
        if path is json_path:
            part.write_text(json.dumps(report, indent=1) + "\n")
        else:
            figure.savefig(part, dpi=110, format="png")
        part.replace(path)
    return [json_path, png_path]
