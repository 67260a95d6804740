"""From the scores of cases to what is said of systems: means, differences, tables by category, curves, distances."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from avatar_jax.evaluation.scoring.measures import MEASURES, NAMES
from avatar_jax.evaluation.scoring.results import CaseScore
from avatar_jax.media import BadInput
from avatar_jax.metrics.frechet import frechet
from avatar_jax.metrics.paired import difference, interval

BIN_S = 1.0
"""Width of a point of a drift curve."""
CURVES = ("likeness", "colour", "sharpness")


@dataclass(frozen=True)
class Comparison:
    """Of `systems`, the first of which is compared with each of the others. `tracks`: the arrays kept of every scored
    video, by (system, case)."""

    systems: tuple[str, ...]
    scores: Sequence[CaseScore]
    tracks: Mapping[tuple[str, str], Path]
    by: tuple[str, ...] = ()
    reference: str | None = None

    def of(self, system: str) -> list[CaseScore]:
        return [score for score in self.scores if score.system == system and score.scored]

    def names(self) -> list[str]:
        """The measures that exist in any case, in their order."""
        there = {name for score in self.scores for name, value in score.metrics.items() if value is not None}
        return [name for name in NAMES if name in there]


def check_tags(there: set[str], by: Sequence[str]) -> None:
    """Raises BadInput for a category that is not there."""
    for tag in by:
        if tag not in there:
            known = sorted(there)
            rule = f"a tag of the set: {', '.join(known)}" if known else "only the cases of a set have tags"
            raise BadInput("--by", tag, rule, f"--by {known[0]}" if known else "--set SET")


def summary_of(comparison: Comparison) -> dict[str, Any]:
    """summary.json: means with their intervals, differences with p-values, categories, set-level distances."""
    first, *others = comparison.systems
    return {
        "systems": {system: of_system(comparison, system) for system in comparison.systems},
        "differences": {other: differences(comparison, first, other) for other in others},
        "by": {tag: by_category(comparison, tag) for tag in comparison.by},
        "measures": {m.name: {"unit": m.unit, "better": m.better} for m in MEASURES if m.name in comparison.names()},
        "notes": unlike(comparison),
        "refused": [
            {"system": s.system, "case": s.case, "reason": s.reason} for s in comparison.scores if not s.scored
        ],
    }


def unlike(comparison: Comparison) -> list[str]:
    """Where systems differ in what a file is: they are compared all the same, each at its own rate and size."""
    found = []
    for name, unit in (("fps", "frames a second"), ("height", "pixels high")):
        kinds = {s: sorted({score.value(name) for score in comparison.of(s)}) for s in comparison.systems}
        if len({tuple(x) for x in kinds.values() if x}) > 1:
            told = "; ".join(f"{s} {', '.join(number(x) for x in xs)}" for s, xs in kinds.items())
            found.append(f"{unit} differ, each is read at its own: {told}")
    return found


def values(scores: Sequence[CaseScore], name: str) -> np.ndarray:
    return np.array([score.value(name) for score in scores], np.float64)


def of_system(comparison: Comparison, system: str) -> dict[str, Any]:
    scores = comparison.of(system)
    refused = sum(score.system == system and not score.scored for score in comparison.scores)
    metrics = {name: interval(values(scores, name))._asdict() for name in comparison.names()}
    distances = {f: distance(comparison, system, f) for f in ("fid", "fvd")}
    return {"scored": len(scores), "refused": refused, "metrics": metrics, **distances}


def distance(comparison: Comparison, system: str, feature: str) -> dict[str, Any]:
    """FID or FVD of a system's features to the reference's, over the cases that both have."""
    if comparison.reference is None:
        return {"value": None, "note": "no --reference to compare with"}
    cases = {s.case for s in comparison.of(system)} & {s.case for s in comparison.of(comparison.reference)}
    made, true = (features(comparison, name, sorted(cases), feature) for name in (system, comparison.reference))
    if not len(made) or not len(true):
        return {"value": None, "note": f"no extractor: give --{feature}"}
    note = f"{len(made)} and {len(true)} samples of {made.shape[1]} features"
    if min(len(made), len(true)) <= made.shape[1]:
        note += "; fewer samples than features: too large by an amount that depends on their number"
    return {"value": frechet(made, true), "note": note}


def features(comparison: Comparison, system: str, cases: Sequence[str], feature: str) -> np.ndarray:
    """[N, D] of all cases; [0, 0] where none were extracted."""
    found = [arrays_of(comparison.tracks[system, case]).get(feature) for case in cases]
    rows = [x for x in found if x is not None and len(x)]
    return np.concatenate(rows) if rows else np.zeros((0, 0))


def arrays_of(path: Path) -> dict[str, np.ndarray]:
    """The arrays kept of a video."""
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def differences(comparison: Comparison, first: str, other: str) -> dict[str, Any]:
    """first - other over the cases that both have."""
    ours = {score.case: score for score in comparison.of(first)}
    theirs = {score.case: score for score in comparison.of(other)}
    both = sorted(set(ours) & set(theirs))
    left, right = [ours[case] for case in both], [theirs[case] for case in both]
    return {name: difference(values(left, name), values(right, name))._asdict() for name in comparison.names()}


def by_category(comparison: Comparison, tag: str) -> dict[str, Any]:
    """{value of the tag: {system: {measure: mean with its interval}}}."""
    kinds = sorted({score.tags[tag] for score in comparison.scores if tag in score.tags})
    return {
        kind: {
            system: {
                name: interval(values([s for s in comparison.of(system) if s.tags.get(tag) == kind], name))._asdict()
                for name in comparison.names()
            }
            for system in comparison.systems
        }
        for kind in kinds
    }


def drift_curve(comparison: Comparison, system: str, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Seconds, and the mean over the cases that last as long; both [N]."""
    sums: dict[int, list[float]] = {}
    for score in comparison.of(system):
        arrays = arrays_of(comparison.tracks[system, score.case])
        bins = (arrays["seconds"] / BIN_S).astype(int)
        for place in np.unique(bins):
            sums.setdefault(int(place), []).append(float(arrays[name][bins == place].mean()))
    places = sorted(sums)
    return np.array([(p + 0.5) * BIN_S for p in places]), np.array([np.mean(sums[p]) for p in places])


def as_text(summary: Mapping[str, Any]) -> str:
    """For people: a row a measure, a column a system, p-values of the first against each other; then categories."""
    systems = list(summary["systems"])
    width = max(14, *(len(name) + 2 for name in systems))
    head = f"{'':26}" + "".join(f"{name:>{width}}" for name in systems)
    head += "".join(f"{'p: ' + name:>{width}}" for name in systems[1:])
    lines = [head, f"{'cases':26}" + "".join(f"{summary['systems'][s]['scored']:>{width}}" for s in systems)]
    for name in summary["measures"]:
        row = [number(summary["systems"][s]["metrics"][name]["mean"]) for s in systems]
        row += [number(summary["differences"][s][name]["p"]) for s in systems[1:]]
        lines.append(f"{name:26}" + "".join(f"{x:>{width}}" for x in row))
    for feature in ("fid", "fvd"):
        found = [summary["systems"][s][feature]["value"] for s in systems]
        if any(value is not None for value in found):
            lines.append(f"{feature:26}" + "".join(f"{number(value):>{width}}" for value in found))
    for tag, kinds in summary["by"].items():
        lines += ["", f"by {tag}, {systems[0]}", f"{'':26}" + "".join(f"{kind:>{width}}" for kind in kinds)]
        for name in summary["measures"]:
            row = [number(kinds[kind][systems[0]][name]["mean"]) for kind in kinds]
            lines.append(f"{name:26}" + "".join(f"{x:>{width}}" for x in row))
    lines += [f"note: {note}" for note in summary["notes"]]
    lines += [f"refused: {r['system']}/{r['case']}: {r['reason']}" for r in summary["refused"]]
    return "\n".join(lines)


def number(value: float | None) -> str:
    """Four significant digits; a dash where there is none."""
    return "-" if value is None or not np.isfinite(value) else f"{value:.4g}"
