"""cases.jsonl, and work that kills its process."""

from pathlib import Path

import pytest

from avatar_jax.evaluation.scoring.pool import DIED, each
from avatar_jax.evaluation.scoring.results import CaseScore, append, read_cases, write_cases
from avatar_jax.media import BadInput

SCORES = [
    CaseScore("a", "one", "scored", None, ("a note",), {"language": "zh"}, {"identity": 0.75, "fps": None}, "k1", 1.5),
    CaseScore("b", "one", "refused", "cannot be decoded", key="k2"),
]


def test_there_and_back(tmp_path: Path) -> None:
    file = tmp_path / "cases.jsonl"
    assert read_cases(file) == []
    write_cases(file, SCORES)
    assert read_cases(file) == SCORES
    assert SCORES[0].value("identity") == 0.75 and SCORES[0].value("fps") != SCORES[0].value("fps")


def test_a_kill_spoils_the_last_line_alone(tmp_path: Path) -> None:
    file = tmp_path / "cases.jsonl"
    for score in SCORES:
        append(file, score)
    whole = file.read_bytes()
    file.write_bytes(whole[:-30])
    assert read_cases(file) == SCORES[:1]
    # What the next run adds begins on a line of its own.
    append(file, SCORES[1])
    assert read_cases(file) == SCORES
    file.write_bytes(b"nonsense\n" + whole)
    with pytest.raises(BadInput, match="line 1"):
        read_cases(file)


def test_the_last_line_of_a_case_counts(tmp_path: Path) -> None:
    file = tmp_path / "cases.jsonl"
    again = CaseScore("b", "one", "scored", metrics={"identity": 1.0}, key="k3")
    for score in (*SCORES, again):
        append(file, score)
    assert read_cases(file) == [SCORES[0], again]


def test_nothing_that_is_not_a_number_gets_into_the_file(tmp_path: Path) -> None:
    file = tmp_path / "cases.jsonl"
    write_cases(file, [CaseScore("a", "one", "scored", metrics={"identity": float("nan"), "fps": 1 / 3})])
    assert read_cases(file)[0].metrics == {"identity": None, "fps": 0.333333}


def test_a_dead_process_costs_its_own_task() -> None:
    tasks = ["1 + 1", "__import__('os')._exit(3)", "1 / 0", "2 + 2"]
    found = dict(each(eval, tasks, 2))
    assert found["1 + 1"] == 2 and found["2 + 2"] == 4
    assert isinstance(found["1 / 0"], ZeroDivisionError)
    assert str(found["__import__('os')._exit(3)"]) == DIED


def test_one_worker_works_here() -> None:
    found = dict(each(eval, ["3 * 3", "1 / 0"], 1))
    assert found["3 * 3"] == 9 and isinstance(found["1 / 0"], ZeroDivisionError)
