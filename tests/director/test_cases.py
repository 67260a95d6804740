"""The rules' director on the hand-written cases, and what the scoring itself can tell apart."""

import json
from pathlib import Path

import pytest

from avatar_jax.director.__main__ import main
from avatar_jax.director.cases import judge, read_cases, score, table
from avatar_jax.director.experts.text import language_of
from avatar_jax.director.rules import direct
from avatar_jax.director.storyline import one_shot
from avatar_jax.media import BadInput

HERE = Path(__file__).resolve().parent


@pytest.mark.parametrize("name", ["cases.jsonl", "unseen_cases.jsonl"])
def test_the_rules_get_nine_fields_of_ten_right(name: str) -> None:
    verdicts = score(read_cases(HERE / name), direct)
    assert sum(v.right for v in verdicts) >= 0.9 * len(verdicts), table(verdicts)


def test_the_cases_are_of_every_kind() -> None:
    cases = read_cases(HERE / "cases.jsonl")
    assert len(cases) >= 40 and len({case["name"] for case in cases}) == len(cases)
    languages = [language_of(case["prompt"].lower()) for case in cases]
    assert all(languages.count(language) >= 8 for language in ("en", "zh", "ja", "ko"))
    assert {"song", "silence", "noise", "angry"} <= {kind for case in cases for kind, _ in case.get("sound", [])}
    assert sum("conflicts" in case["expect"] for case in cases) >= 10
    assert sum("cuts" in case["expect"] for case in cases) >= 10


def test_wrong_fields_are_wrong() -> None:
    storyline = one_shot(16000, 16000, emotion="joy", intensity=0.5, negative_prompt="Sad face")
    expect = {
        "at": {"0.5": {"emotion": "anger", "intensity": [0.6, 1], "negative_prompt": "sad"}},
        "cuts": [0.9],
        "conflicts": ["emotion"],
        "no_conflicts": True,
        "language": "en",
    }
    verdicts = {v.field: v.right for v in judge("x", expect, storyline) if v.field != "conflicts"}
    assert verdicts == {"emotion": False, "intensity": False, "negative_prompt": True, "cuts": False, "language": False}
    assert [v.right for v in judge("x", expect, storyline) if v.field == "conflicts"] == [False, True]


def test_the_command_prints_the_score(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "cases.jsonl"
    right = {"name": "a", "prompt": "angry", "sound": [["speech", 1]], "expect": {"at": {"0.5": {"emotion": "anger"}}}}
    wrong = {"name": "b", "prompt": "angry", "sound": [["speech", 1]], "expect": {"at": {"0.5": {"emotion": "joy"}}}}
    file.write_text(json.dumps(right) + "\n")
    assert main(["--cases", str(file)]) == 0
    assert "1 of    1   100.0%" in capsys.readouterr().out
    file.write_text(json.dumps(right) + "\n" + json.dumps(wrong) + "\n")
    assert main(["--cases", str(file)]) == 1
    assert "wrong: b at 0.5 s: emotion is anger, expected joy" in capsys.readouterr().out


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        '{"name": "a"}',
        '{"name": "a", "prompt": "", "expect": 3}',
        '{"name": "a", "prompt": "", "sound": [["bark", 1]], "expect": {}}',
    ],
)
def test_lines_that_are_no_cases_are_refused(line: str, tmp_path: Path) -> None:
    (tmp_path / "c.jsonl").write_text(line)
    with pytest.raises(BadInput, match="line 1"):
        read_cases(tmp_path / "c.jsonl")
    assert main(["--cases", str(tmp_path / "none.jsonl")]) == 2
