"""Good / Same / Bad: what people who saw two videos of one case side by side found, as one number with its interval.

Good: the first system's video is better; bad: the second's is. Majority vote and (G + S) / (B + S) as in Kling-Avatar
(arXiv 2509.09595) and OmniHuman-1; a score of 1 is parity.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

GOOD, SAME, BAD = "good", "same", "bad"
RESAMPLES = 10_000


def preference(good: float, same: float, bad: float) -> float:
    """(G + S) / (B + S), of counts or of percentages alike.

    Infinite where the second system never did as well; nan where nothing was judged.
    """
    if bad + same > 0:
        return (good + same) / (bad + same)
    return math.inf if good > 0 else math.nan


def majority(answers: Sequence[str]) -> str | None:
    """The answer of more than half, or None where there is no such answer."""
    if not answers:
        return None
    answer, count = Counter(answers).most_common(1)[0]
    return answer if 2 * count > len(answers) else None


@dataclass(frozen=True)
class Counts:
    """How many cases ended good, same and bad for the first system."""

    good: int
    same: int
    bad: int

    @classmethod
    def of(cls, verdicts: Iterable[str]) -> "Counts":
        found = Counter(verdicts)
        return cls(found[GOOD], found[SAME], found[BAD])

    @property
    def total(self) -> int:
        return self.good + self.same + self.bad

    @property
    def score(self) -> float:
        return preference(self.good, self.same, self.bad)

    def percent(self, part: int) -> float:
        return 100 * part / self.total if self.total else math.nan

    def interval(self, level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0) -> tuple[float, float]:
        """Percentile bootstrap of the score over cases (Efron 1979); (nan, nan) without cases.

        A case has one verdict, so drawing cases with replacement is a multinomial draw of the three counts.
        Quantiles are drawn scores, never between two: a score may be infinite.
        """
        if self.total == 0:
            return math.nan, math.nan
        shares = np.array([self.good, self.same, self.bad]) / self.total
        drawn = np.random.default_rng(seed).multinomial(self.total, shares, resamples)
        scores = np.sort([preference(*counts) for counts in drawn.tolist()])
        tail = (1 - level) / 2
        low, high = math.floor(tail * (resamples - 1)), math.ceil((1 - tail) * (resamples - 1))
        return float(scores[low]), float(scores[high])
