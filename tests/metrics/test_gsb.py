"""The published percentages give the published scores; majorities and intervals as computed by hand."""

import math

import pytest

from avatar_jax.metrics.gsb import BAD, GOOD, SAME, Counts, majority, preference


@pytest.mark.parametrize(
    ("good", "same", "bad", "score"),
    [(65.5, 16.9, 17.6, 2.39), (49.7, 19.3, 31.0, 1.37), (63.3, 22.7, 14.0, 2.34), (1, 1, 1, 1), (0, 3, 0, 1)],
)
def test_published_scores(good: float, same: float, bad: float, score: float) -> None:
    assert round(preference(good, same, bad), 2) == score


def test_scores_at_the_edge() -> None:
    assert preference(3, 0, 0) == math.inf and preference(0, 0, 4) == 0 and math.isnan(preference(0, 0, 0))


def test_majority_is_more_than_half() -> None:
    assert majority([GOOD, BAD, GOOD]) == GOOD and majority([SAME]) == SAME
    assert majority([GOOD, SAME, BAD]) is None and majority([GOOD, BAD]) is None and majority([]) is None
    assert majority([GOOD, GOOD, SAME, BAD]) is None


def test_counts() -> None:
    counts = Counts.of([GOOD] * 5 + [SAME] * 3 + [BAD] * 2)
    assert (counts, counts.total, counts.percent(counts.good)) == (Counts(5, 3, 2), 10, 50)
    assert counts.score == pytest.approx(8 / 5)


def test_interval() -> None:
    counts = Counts(50, 30, 20)
    low, high = counts.interval()
    assert low < counts.score < high and counts.interval() == (low, high)
    # Ten times the cases: the interval is about sqrt(10) times narrower.
    wide, narrow = high - low, (lambda found: found[1] - found[0])(Counts(500, 300, 200).interval())
    assert 2.6 < wide / narrow < 4.0
    # By the delta method: log score = log(g + s) - log(b + s), variance by the covariances of a multinomial.
    g, s, b = 0.5, 0.3, 0.2
    gradient = [1 / (g + s), 1 / (g + s) - 1 / (b + s), -1 / (b + s)]
    mean = sum(p * d for p, d in zip((g, s, b), gradient, strict=True))
    deviation = math.sqrt((sum(p * d * d for p, d in zip((g, s, b), gradient, strict=True)) - mean**2) / 100)
    assert math.log(high / low) == pytest.approx(2 * 1.96 * deviation, rel=0.1)


def test_intervals_at_the_edge() -> None:
    assert Counts(0, 4, 0).interval() == (1, 1)
    low, high = Counts(9, 0, 1).interval()
    assert low < 9 and high == math.inf
    assert all(math.isnan(bound) for bound in Counts(0, 0, 0).interval())
