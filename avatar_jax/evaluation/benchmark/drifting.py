"""Does ours drift? Slopes of likeness and colour over long videos against the slopes that the truth itself has.

A slope read from a video is never zero: heads turn, moods change, and the reader errs. The truth, which cannot drift,
has slopes too; what they scatter is the noise against which ours has to be seen. Likeness: what is lost, with its sign,
so that ups and downs cancel over the cases; colour: without its sign, since every channel may go either way.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from avatar_jax.evaluation.benchmark.ranking import by_system
from avatar_jax.evaluation.scoring.results import CaseScore
from avatar_jax.metrics.paired import difference

METRICS = {"identity (cosine)": "identity_drift_per_10s", "colour (levels of 255)": "color_drift_per_10s"}
WITHIN = 2.0
"""Standard errors of the truth's mean slope that the mean slope of ours may lie above it."""


@dataclass(frozen=True)
class Slopes:
    """Per 10 seconds, over `cases`: means, the standard deviation of the truth's from case to case, and the paired
    p-value (two-sided) of no difference."""

    what: str
    ours: float
    truth: float
    noise: float
    p: float
    cases: int

    @property
    def within(self) -> bool:
        return self.ours <= self.truth + WITHIN * self.noise / np.sqrt(self.cases)


def slopes(scores: Sequence[CaseScore], system: str = "ours") -> list[Slopes]:
    """Of a system against truth."""
    systems = by_system(scores)
    made, true = systems.get(system, {}), systems.get("truth", {})
    found = []
    for what, metric in METRICS.items():
        pairs = [(made[case].value(metric), true[case].value(metric)) for case in made if case in true]
        values = np.array([pair for pair in pairs if np.isfinite(pair).all()]).reshape(-1, 2)
        if len(values) > 1:
            ours, truth = values.T
            noise, p = float(truth.std(ddof=1)), difference(ours, truth).p
            found.append(Slopes(what, float(ours.mean()), float(truth.mean()), noise, p, len(values)))
    return found


def as_text(found: Sequence[Slopes]) -> str:
    """A table in Markdown."""
    lines = ["| slope per 10 s | ours | truth | noise of the truth | within | p of no difference | cases |"]
    lines.append("|---|---|---|---|---|---|---|")
    lines += [
        f"| {one.what} | {one.ours:.4f} | {one.truth:.4f} | {one.noise:.4f} | {'yes' if one.within else '**no**'} "
        f"| {one.p:.2g} | {one.cases} |"
        for one in found
    ]
    return "\n".join(lines)
