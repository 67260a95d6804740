"""The schema: round trip, exact cover, and edits refused with path and rule."""

import json
from fractions import Fraction
from pathlib import Path

import pytest

from avatar_jax.director.storyline import (
    Shot,
    Sound,
    Storyline,
    load,
    milliseconds,
    one_shot,
    parse,
    schema,
)
from avatar_jax.media import BadInput

ROOT = Path(__file__).resolve().parents[2]


def example() -> Storyline:
    shots = [
        Shot(start=0, end=1.5, emotion="joy", intensity=0.8, action="wave"),
        Shot(start=1.5, end=2.7, voice="listening", emotion="calm"),
        Shot(start=2.7, end=4.123, emotion="sadness", camera="push_in"),
    ]
    return Storyline(
        sound=Sound(samples=4123 * 48, sample_rate=48000), language="ja", wish='嬉しそうに"]}', shots=shots
    )


def test_round_trip(tmp_path: Path) -> None:
    example().save(tmp_path / "s.json")
    assert load(tmp_path / "s.json") == example()


def test_decimal_times_survive_exactly() -> None:
    # In binary floats 0.1 + 0.2 is not 0.3; here 0.3 starts where 0.3 ended.
    text = example().to_json().replace("1.5", "0.3").replace("2.7", "0.7")
    assert parse(text).shots[1].end == parse(text).shots[2].start


@pytest.mark.parametrize(
    ("samples", "rate"), [(44001, 44100), (1, 3), (3200, 16000), (57600000, 48000), (16007, 48000)]
)
def test_any_length_can_be_covered(samples: int, rate: int) -> None:
    storyline = one_shot(samples, rate)
    assert abs(Fraction(storyline.shots[-1].end) - Fraction(samples, rate)) <= Fraction(1, 2000)


@pytest.mark.parametrize(
    ("seconds", "text"), [(Fraction(1, 3), "0.333"), (0.0005, "0.001"), (Fraction(1, 2001), "0.000")]
)
def test_milliseconds_round_half_up(seconds: Fraction, text: str) -> None:
    assert str(milliseconds(seconds)) == text


EDITS = {
    "unknown emotion": (("shots", 0, "emotion"), "happy", "$.shots[0].emotion", "'joy'"),
    "misspelt camera": (("shots", 2, "camera"), "pushin", "$.shots[2].camera", "push_in"),
    "unknown key": (("shots", 0, "emotoin"), "joy", "$.shots[0].emotoin", "emotion"),
    "unknown key at the top": (("shotz",), [], "$.shotz", "shots"),
    "too intense": (("shots", 0, "intensity"), 1.5, "$.shots[0].intensity", "less than or equal to 1"),
    "not a number": (("shots", 1, "motion"), "lots", "$.shots[1].motion", "number"),
    "infinite": (("shots", 1, "motion"), float("inf"), "$.shots[1].motion", "rule"),
    "gap": (("shots", 1, "start"), 1.6, "$.shots[1].start", "$.shots[0] ends, at 1.5"),
    "overlap": (("shots", 1, "start"), 1.4, "$.shots[1].start", "no overlap"),
    "late first": (("shots", 0, "start"), 0.1, "$.shots[0].start", "at 0"),
    "short of the end": (("shots", 2, "end"), 4.0, "$.shots[2].end", "4.123"),
    "beyond the end": (("shots", 2, "end"), 4.2, "$.shots[2].end", "4.123"),
    "backwards": (("shots", 1, "end"), 1.0, "$.shots[1].end", "after its start"),
    "too fine": (("shots", 0, "end"), 1.50001, "$.shots[0].end", "3 decimal"),
    "negative": (("shots", 0, "start"), -1, "$.shots[0].start", "greater than or equal to 0"),
    "text for a time": (("shots", 0, "end"), "1.5", "$.shots[0].end", "number of seconds"),
    "no shots": (("shots",), [], "$.shots", "at least 1"),
    "another version": (("version",), 2, "$.version", "1"),
    "no sound": (("sound", "samples"), 0, "$.sound.samples", "greater than 0"),
    "a path for text": (("style",), ["/etc/passwd"], "$.style", "string"),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_invalid_edit_is_refused_with_path_and_rule(name: str) -> None:
    place, value, path, rule = EDITS[name]
    data = json.loads(example().to_json())
    target = data
    for key in place[:-1]:
        target = target[key]
    target[place[-1]] = value
    with pytest.raises(BadInput) as error:
        parse(json.dumps(data))
    assert path in error.value.what and rule in str(error.value)
    assert len(str(error.value).splitlines()) == 3


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 5000, "{}", '{"version": 1}', "\ufeff"])
def test_what_is_no_storyline_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        parse(text)


def test_a_storyline_of_another_recording_is_refused(tmp_path: Path) -> None:
    example().save(tmp_path / "s.json")
    with pytest.raises(BadInput, match="one recording"):
        load(tmp_path / "s.json", Sound(samples=16000, sample_rate=16000))
    assert load(tmp_path / "s.json", Sound(samples=4123 * 16, sample_rate=16000)) == example()


def test_missing_and_binary_files(tmp_path: Path) -> None:
    (tmp_path / "b.json").write_bytes(b"\xff\xfe\x00")
    for name in ("none.json", "b.json"):
        with pytest.raises(BadInput):
            load(tmp_path / name)


def test_the_published_schema_is_current() -> None:
    published = json.loads((ROOT / "docs" / "storyline.schema.json").read_text())
    assert published == schema(), "print avatar_jax.director.storyline.schema() into docs/storyline.schema.json"
