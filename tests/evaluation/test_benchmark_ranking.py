"""Checks of the ranking on planted scores, with p-values counted by hand."""

import pytest

from avatar_jax.evaluation.benchmark import drifting, ranking
from avatar_jax.evaluation.benchmark.ranking import Claim
from avatar_jax.evaluation.scoring.results import CaseScore

CASES = [f"c{i}" for i in range(8)]
GOOD = {
    "truth": {"sync_corr": 0.95, "identity": 0.9, "motion_amount": 4.0, "identity_drift_per_10s": 0.001},
    "ours": {"sync_corr": 0.9, "identity": 0.85, "motion_amount": 3.0, "identity_drift_per_10s": 0.002},
    "still": {"sync_corr": 0.0, "identity": 1.0, "motion_amount": 0.0, "identity_drift_per_10s": 0.0},
    "shuffled": {"sync_corr": 0.1, "identity": 0.85, "motion_amount": 3.0, "identity_drift_per_10s": 0.002},
    "chained": {"sync_corr": 0.8, "identity": 0.7, "motion_amount": 3.0, "identity_drift_per_10s": 0.03},
}


def scores(values: dict[str, dict[str, float]], cases: list[str] = CASES) -> list[CaseScore]:
    """Every system's numbers, a little apart from case to case."""
    return [
        CaseScore(system, case, "scored", metrics={name: x * (1 + 0.01 * i) for name, x in metrics.items()})
        for system, metrics in values.items()
        for i, case in enumerate(cases)
    ]


def test_planted_order_passes_with_its_p_value() -> None:
    """With 8 cases that all agree one of 2^8 sign patterns is as extreme: one-sided p = 1/256."""
    found = ranking.verdicts(scores(GOOD), dict.fromkeys(CASES, 60.0))
    assert found and all(one.passed in (True, None) for one in found)
    shuffled = next(one for one in found if one.text.startswith("shuffled"))
    assert shuffled.p == pytest.approx(1 / 256) and shuffled.cases == 8
    assert any(one.text.startswith("truth drifts no more") for one in found)
    assert "**fail**" not in ranking.as_text(found)


@pytest.mark.parametrize(
    ("system", "metric", "value", "says"),
    [
        ("shuffled", "sync_corr", 0.95, "shuffled is worse on sync"),
        ("still", "identity", 0.8, "still has a better identity than ours"),
        ("still", "motion_amount", 5.0, "still moves less than ours"),
        ("chained", "identity_drift_per_10s", 0.0, "ours drifts less than chained"),
        ("ours", "identity_drift_per_10s", 0.0, "truth drifts no more than ours"),
        ("ours", "sync_corr", 0.96, "truth is no worse on sync"),
    ],
)
def test_a_wrong_order_fails(system: str, metric: str, value: float, says: str) -> None:
    values = {name: dict(metrics) for name, metrics in GOOD.items()}
    values[system][metric] = value
    found = ranking.verdicts(scores(values), dict.fromkeys(CASES, 60.0))
    assert next(one.passed for one in found if one.text.startswith(says)) is False


def test_too_few_cases_do_not_pass_and_short_ones_do_not_count() -> None:
    three = CASES[:3]
    found = ranking.verdicts(scores(GOOD, three), dict.fromkeys(three, 10.0))
    by_text = {one.text: one for one in found}
    assert by_text["shuffled is worse on sync than ours"].passed is False
    assert by_text["shuffled is worse on sync than ours"].p == pytest.approx(1 / 8)
    drift = [one for one in found if "drifts" in one.text]
    assert drift and all(one.passed is None and one.cases == 0 for one in drift)


def test_a_tie_with_the_truth_is_no_fault() -> None:
    """Ours a little better in the mean, better in half of the cases: nothing is shown, and nothing fails."""
    noise = [-1.0, 1.0] * 4
    made = [
        CaseScore(system, case, "scored", metrics={"identity_drift_per_10s": mean + by * noise[i]})
        for system, mean, by in (("truth", 0.0012, 0.0), ("ours", 0.0011, 0.001))
        for i, case in enumerate(CASES)
    ]
    found = ranking.verdicts(made, dict.fromkeys(CASES, 60.0))
    [one] = [one for one in found if one.text == "truth drifts no more than ours (identity)"]
    assert one.passed and one.p > 0.5


def test_missing_numbers_and_refused_videos_are_left_out() -> None:
    some = [CaseScore("ours", "c0", "refused", "corrupt"), *scores(GOOD)[8:16], CaseScore("shuffled", "c1", "scored")]
    systems = ranking.by_system(some)
    claim = Claim("x", "ours", "shuffled", ranking.SYNC)
    assert "c0" in systems["ours"] and ranking.judged(claim, systems, {}).passed is None
    assert "| shuffled | 1 |" in ranking.table(some)


def test_slopes_against_the_noise_of_the_truth() -> None:
    """Truth 0.010 +- 0.002 over 4 cases: the mean of ours may be 2 standard errors, 0.002, above."""

    def told(ours: float) -> list[CaseScore]:
        noise = [-1.0, 1.0, -1.0, 1.0]
        scale = 0.002 * (3 / 4) ** 0.5
        return [
            CaseScore(system, f"c{i}", "scored", metrics={"identity_drift_per_10s": mean + scale * noise[i]})
            for system, mean in (("truth", 0.010), ("ours", ours))
            for i in range(4)
        ]

    [near], [far] = drifting.slopes(told(0.0119)), drifting.slopes(told(0.0121))
    assert near.noise == pytest.approx(0.002) and near.cases == 4 and near.within and not far.within
    assert "**no**" in drifting.as_text([far]) and "yes" in drifting.as_text([near])
