"""The one table of everything that keeps a checkpoint from fitting a model."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import astuple, dataclass

from avatar_jax.weights.ship import WeightsError

KINDS = {
    "missing": "missing",
    "unexpected": "unexpected",
    "shape": "of another shape",
    "dtype": "of a dtype that cannot be loaded",
    "lora": "LoRA keys without a place",
}


@dataclass(frozen=True)
class Problem:
    """One key that does not fit."""

    kind: str
    """One of KINDS."""
    name: str
    found: str
    expected: str
    file: str


class KeyMismatch(WeightsError):
    """A checkpoint whose keys are not the model's; `table` has one line per key, `str()` three lines."""

    def __init__(self, what: str, problems: Sequence[Problem]):
        self.problems = tuple(problems)
        self.table = table(problems)
        counts = Counter(problem.kind for problem in problems)
        got = ", ".join(f"{counts[kind]} {words}" for kind, words in KINDS.items() if counts[kind])
        super().__init__(
            f"checkpoint does not fit {what}",
            f"{got}; first: {problems[0].name}",
            "every tensor of the model is there, with its shape, and no other",
            "compare with the table: another --family, a missing --overlay, or a damaged download",
        )


def table(problems: Sequence[Problem]) -> str:
    """Aligned columns, in the order of KINDS."""
    order = list(KINDS)
    rows = [("problem", "key", "found", "expected", "file")]
    rows += [astuple(problem) for problem in sorted(problems, key=lambda p: order.index(p.kind))]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
