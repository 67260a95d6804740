"""Build, review what it shows, export, build again: what people decided is what the next sets hold."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("starlette")
from data_pipeline.__main__ import main
from data_pipeline.build import Order, make_dataset
from data_pipeline.engine import LocalEngine
from data_pipeline.review.command import opened
from data_pipeline.stages import encode, faces
from data_pipeline.synthetic.videos import write_videos
from tests.data_pipeline.test_build import SETTINGS, Encoder, Finder


@pytest.fixture
def order(tmp_path: Path) -> Iterator[Order]:
    write_videos(tmp_path / "raw", range(8, 10), 144, seconds=1.6)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encode, "encoder", lambda settings: Encoder())
        patch.setattr(faces, "finder_for", lambda frames, origin, setting: (Finder(), True))
        yield Order(str(tmp_path / "raw"), str(tmp_path / "out"), SETTINGS)


def passed(order: Order) -> set[str]:
    report = make_dataset(order, LocalEngine(0))
    clips = sum(row["clips"] for row in report.shards if row["shard"].startswith("media"))
    names = {record.id for record in report.records if record.status == "passed"}
    assert clips == len(names)
    return names


def voted(out: Path, choices: dict[str, str]) -> None:
    """Each clip that has a choice gets it, as the page would send it; then the command exports."""
    session = opened(out, repeats=0)
    for clip in session.plan("ana") if choices else ():
        session.vote("ana", session.state("ana")["item"], choices[clip], [], 1.0)
    assert main(["review", str(out), "--export", str(out / "review")]) == 0


@pytest.mark.parametrize("previews", [True, False])
def test_a_rejected_clip_stays_out(previews: bool, order: Order) -> None:
    out, order = Path(order.out), replace(order, previews=previews)
    one, other = sorted(passed(order))
    voted(out, {one: "reject", other: "accept"})
    assert passed(order) == {other}
    dead = [json.loads(line) for line in (out / "dead_letter.jsonl").read_text().splitlines()]
    assert any(row["reason"].startswith("rejected by reviewers") for row in dead)
    # The second review does not list it any more, and the second export must not take it back.
    assert {clip.clip for clip in opened(out).clips} == {other}
    voted(out, {})
    assert passed(order) == {other}
