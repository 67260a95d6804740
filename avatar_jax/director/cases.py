"""How often a director writes what a person meant: hand-written cases, scored field by field.

A line of the file is one case: {"name", "prompt", "sound": [[kind, seconds], ...], "portrait": "half"|"close",
"expect"}. `expect` holds what must be true of the storyline and nothing else is looked at: "at" gives, by second, the
fields of the shot there (a pair of numbers is a range; negative_prompt must contain the words); "cuts" are seconds at
which some shot begins; "conflicts", "inferred" and "evidence" must be mentioned; "no_conflicts" says there are none.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from avatar_jax.director.storyline import Shot, Storyline
from avatar_jax.director.voices import KINDS, recording
from avatar_jax.media import BadInput, Recording
from avatar_jax.media.face import Box

SPEECH = [["speech", 9]]
NEAR = 0.4
"""Seconds by which a cut may lie off: a shot shorter than that shows nothing."""
PORTRAIT = np.full((240, 240, 3), (60, 100, 200), np.uint8)
HEADS: dict[str, Box] = {"half": (72.0, 48.0, 96.0, 110.0), "close": (20.0, 10.0, 200.0, 200.0)}

Director = Callable[[Recording, np.ndarray, str, Box | None], Storyline]


@dataclass(frozen=True)
class Verdict:
    """One expected field of one case."""

    case: str
    field: str
    expected: Any
    got: Any
    right: bool


def read_cases(path: Path) -> list[dict[str, Any]]:
    """The cases of a file.

    Raises:
      BadInput: it cannot be read, or a line is no case.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError) as error:
        raise BadInput(f"cases {path}", "cannot be read", "--cases names a file of JSON lines", "check it") from error
    cases = []
    for number, line in enumerate(lines, 1):
        try:
            case = json.loads(line)
            known = all(kind in KINDS for kind, _ in case.get("sound", SPEECH))
            if not (known and isinstance(case["expect"], dict) and case.get("portrait", "half") in HEADS):
                raise ValueError("no such sound or portrait")
            cases.append({"name": str(case["name"]), "prompt": str(case["prompt"]), **case})
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            rule = 'a case has "name", "prompt" and "expect"; see avatar_jax/director/cases.py'
            raise BadInput(f"cases {path}, line {number}", repr(error), rule, "correct the line") from error
    return cases


def score(cases: Iterable[dict[str, Any]], director: Director) -> list[Verdict]:
    """What `director` gets right of every expected field."""
    verdicts = []
    for case in cases:
        sound = recording(case.get("sound", SPEECH))
        storyline = director(sound, PORTRAIT, case["prompt"], HEADS[case.get("portrait", "half")])
        verdicts += list(judge(case["name"], case["expect"], storyline))
    return verdicts


def judge(name: str, expect: dict[str, Any], storyline: Storyline) -> Iterable[Verdict]:
    """The verdict on every field that a case speaks of."""
    for field, wanted in expect.items():
        match field:
            case "at":
                for second, fields in wanted.items():
                    shot = _shot_at(storyline, Decimal(second))
                    for key, value in fields.items():
                        got = getattr(shot, key)
                        yield Verdict(f"{name} at {second} s", key, value, got, _fits(key, value, got))
            case "cuts":
                starts = [float(shot.start) for shot in storyline.shots]
                for cut in wanted:
                    near = min(abs(start - cut) for start in starts) <= NEAR
                    yield Verdict(name, "cuts", cut, starts, near)
            case "no_conflicts":
                found = [conflict.path for conflict in storyline.conflicts]
                yield Verdict(name, "conflicts", [], found, not found)
            case "conflicts" | "inferred" | "evidence":
                said = json.dumps([_plain(item) for item in getattr(storyline, field)], ensure_ascii=False)
                for word in wanted:
                    yield Verdict(name, field, word, said[:200], word in said)
            case _:
                got = getattr(storyline, field)
                yield Verdict(name, field, wanted, got, _fits(field, wanted, got))


def _plain(item: Any) -> Any:
    return item if isinstance(item, str) else item.model_dump(mode="json")


def _shot_at(storyline: Storyline, second: Decimal) -> Shot:
    return next((shot for shot in storyline.shots if shot.start <= second < shot.end), storyline.shots[-1])


def _fits(field: str, wanted: Any, got: Any) -> bool:
    if isinstance(wanted, list):
        return wanted[0] <= got <= wanted[1]
    if field in ("negative_prompt", "background", "style", "character"):
        return str(wanted).lower() in got.lower()
    return wanted == got


def table(verdicts: list[Verdict]) -> str:
    """Right answers by field and overall, the wrong ones first."""
    wrong = [f"wrong: {v.case}: {v.field} is {v.got}, expected {v.expected}" for v in verdicts if not v.right]
    every, right = Counter(v.field for v in verdicts), Counter(v.field for v in verdicts if v.right)
    rows = [f"{name:<16}{right[name]:>4} of {every[name]:>4}  {right[name] / every[name]:7.1%}" for name in every]
    total = f"{'all fields':<16}{right.total():>4} of {every.total():>4}  {right.total() / every.total():7.1%}"
    return "\n".join([*wrong, *rows, total])
