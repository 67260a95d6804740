"""Manifest lines come back as they were; a record's status is the worst that was said of it."""

import json

import pytest

from data_pipeline.manifests import at_stage, dead_letters
from data_pipeline.records import Record, Result, Source, clip_id, from_lines, parse_record, to_lines

SOURCE = Source("a/b\udcff\n'.mp4", "c0ffee", "CC0-1.0", "signed")


def record(*results: Result, span: tuple[int, int] | None = (0, 75)) -> Record:
    return Record("r1", SOURCE, span, results)


def test_lines_come_back() -> None:
    one = record(
        Result("cut", "1", "passed", facts={"shot": [0, 90]}),
        Result("experts.sync", "2", "unavailable", "no weights", None, 3.0, 7, ("odd",)),
    )
    line = one.to_json()
    assert line.isascii() and "\n" not in line and json.loads(line)["status"] == "unavailable"
    assert parse_record(line) == one
    assert list(from_lines(to_lines([one]))) == [one]


@pytest.mark.parametrize("line", ["", "[]", "{}", '{"id": 1, "results": [{}], "source": {}, "span": null}'])
def test_other_lines_are_refused(line: str) -> None:
    with pytest.raises(ValueError, match="not a line of a manifest"):
        parse_record(line)


def test_order_of_lines_does_not_depend_on_who_was_first() -> None:
    records = [Record(str(i), Source("x", str(i % 3)), (i, i + 1)) for i in range(9)]
    assert to_lines(records) == to_lines(reversed(records))


def test_unavailable_is_never_passed() -> None:
    passed, rejected = Result("cut", "1", "passed"), Result("faces", "1", "rejected", "two heads")
    missing = Result("experts.mouth", "1", "unavailable", "no weights")
    unlicensed = Result("sources", "1", "unavailable", "no licence")
    accepted = Result("review", "1", "passed", facts={"accepted": True})
    assert record(passed).status == "passed" and record(passed).reason == ""
    assert record(passed, missing).status == "unavailable"
    assert record(missing, rejected).status == "rejected" and record(missing, rejected).reason == "faces: two heads"
    # A person stands in for an expert that could not judge, not for a licence and not against a rejection.
    assert record(missing, accepted).status == "passed"
    assert record(unlicensed, missing, accepted).status == "unavailable"
    assert record(rejected, accepted).status == "rejected"


def test_clips_are_named_by_content_alone() -> None:
    assert clip_id(SOURCE, (0, 75), "n") == clip_id(Source("other.mp4", "c0ffee"), (0, 75), "n")
    assert len({clip_id(SOURCE, (0, 75), "n"), clip_id(SOURCE, (0, 76), "n"), clip_id(SOURCE, (0, 75), "m")}) == 3


def test_manifest_of_a_stage_knows_nothing_of_later_ones() -> None:
    one = record(Result("probe", "1", "passed"), Result("cut", "1", "passed"), Result("faces", "1", "rejected", "none"))
    assert [r.status for r in at_stage([one], "cut")] == ["passed"]
    assert at_stage([one], "speech") == []
    assert at_stage([one], "probe")[0].span is None


def test_dead_letters_tell_rejections_and_repairs() -> None:
    one = record(
        Result("normalise", "1", "passed", notes=("rotated: by 90 degrees",)),
        Result("cut", "1", "rejected", "too short"),
    )
    told = dead_letters([one, record(Result("probe", "1", "passed"))])
    assert [(row["status"], row["stage"], row["reason"]) for row in told] == [
        ("rejected", "cut", "too short"),
        ("noted", "normalise", "rotated: by 90 degrees"),
    ]
