"""Files of a store are whole or not there; one build at a time; a chain does nothing twice and survives anything."""

import errno
from pathlib import Path

import pytest

from avatar_jax.media import BadInput
from data_pipeline.chain import Build, Stage, keys_of, run_chain
from data_pipeline.records import Record, Result, Source
from data_pipeline.settings import Cut, Settings
from data_pipeline.store import Store, alone

CALLS: list[str] = []


def good(record: Record, build: Build) -> list[Record]:
    CALLS.append(record.id)
    return [record.plus(Result("good", "1", "passed", facts={"n": 1}))]


def two(record: Record, build: Build) -> list[Record]:
    return [
        Record(f"{record.id}{i}", record.source, (i, i + 5), record.results).plus(Result("two", "1", "passed"))
        for i in (0, 1)
    ]


def picky(record: Record, build: Build) -> list[Record]:
    if record.id.endswith("1"):
        raise BadInput("video", "too dark", "light", "add some")
    return [record.plus(Result("picky", "1", "passed"))]


def broken(record: Record, build: Build) -> list[Record]:
    raise RuntimeError("no\nidea")


def full(record: Record, build: Build) -> list[Record]:
    raise OSError(errno.ENOSPC, "no space left")


def cut_of(settings: Settings) -> Cut:
    return settings.cut


GOOD, TWO, PICKY = Stage("good", "1", good, cut_of), Stage("two", "1", two), Stage("picky", "1", picky)


def build(root: Path, *stages: Stage, settings: Settings | None = None) -> Build:
    settings = settings or Settings()
    return Build("", Store(str(root)), settings, keys_of(stages, settings))


def test_chain_goes_on_where_it_was(tmp_path: Path) -> None:
    CALLS.clear()
    stages = (GOOD, TWO, PICKY)
    one = Record("a", Source("a.mp4", "c"))
    first = run_chain(build(tmp_path, *stages), stages, one)
    assert [r.id for r in first.records] == ["a0", "a1"] and [r.status for r in first.records] == ["passed", "rejected"]
    assert first.records[1].reason == "picky: too dark (light)"
    assert first.spent["picky"][0] == 2
    renamed = Record("a", Source("b.mp4", "c", "CC0"))
    again = run_chain(build(tmp_path, *stages), stages, renamed)
    assert CALLS == ["a"] and again.spent == {}
    assert [r.results for r in again.records] == [r.results for r in first.records]
    assert {r.source.uri for r in again.records} == {"b.mp4"} and again.records[0].source.licence == "CC0"


def test_other_settings_never_meet_old_results(tmp_path: Path) -> None:
    CALLS.clear()
    one = Record("a", Source("a.mp4", "c"))
    for settings in (Settings(), Settings(cut=Cut(shortest=1.0)), Settings()):
        run_chain(build(tmp_path, GOOD, TWO, settings=settings), (GOOD, TWO), one)
    assert CALLS == ["a", "a"]
    keys = [keys_of((GOOD, TWO), settings) for settings in (Settings(), Settings(cut=Cut(shortest=1.0)))]
    assert keys[0]["two"] != keys[1]["two"]


def test_an_unforeseen_error_costs_one_record_and_is_tried_again(tmp_path: Path) -> None:
    stage = Stage("broken", "1", broken)
    done = run_chain(build(tmp_path, stage), (stage,), Record("a", Source("a")))
    assert done.records[0].reason == "broken: failed with RuntimeError: no idea"
    assert not list(tmp_path.rglob("*.json"))


def test_a_full_disk_ends_the_run(tmp_path: Path) -> None:
    stage = Stage("full", "1", full)
    with pytest.raises(OSError, match="no space"):
        run_chain(build(tmp_path, stage), (stage,), Record("a", Source("a")))


def test_files_are_whole_or_not_there(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    path = store.place("faces-1", "abc", ".npz")
    with pytest.raises(RuntimeError), store.writing(path) as part:
        part.write_text("half")
        raise RuntimeError
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]
    with store.writing(path) as part:
        part.write_text("whole")
    assert path.read_text() == "whole" and store.recall("faces-1", "abc") is None
    (tmp_path / "work" / ".left.77.part").write_text("killed")
    assert store.sweep() == 1 and path.exists()


def test_one_build_at_a_time(tmp_path: Path) -> None:
    with alone(str(tmp_path)) as first, alone(str(tmp_path)) as second:
        assert first and not second
    with alone(str(tmp_path)) as third:
        assert third
