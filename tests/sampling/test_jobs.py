"""The jobs file: every line is told for itself, names stay inside the folder, a bad job never stops the others."""

import json
from pathlib import Path
from typing import Any

import pytest

from avatar_jax.media import BadInput
from avatar_jax.sampling.jobs import read_jobs, run_jobs
from avatar_jax.sampling.request import Request

GOOD = {"name": "a", "image": "a.png", "audio": "a.wav"}


def results_of(path: Path, out: Path, make: Any) -> list[dict[str, Any]]:
    return list(run_jobs(read_jobs(path, out), out, make))


def jobs_file(folder: Path, *lines: Any) -> Path:
    path = folder / "jobs.jsonl"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return path


BAD_LINES = [
    "{not json", "[1, 2]", "3", "null", '"text"', "[" * 5000,
    {"image": "a.png", "audio": "a.wav"},
    {**GOOD, "name": ""}, {**GOOD, "name": 3}, {**GOOD, "name": "../up"}, {**GOOD, "name": ".."}, {**GOOD, "name": "."},
    {**GOOD, "name": "a/b"}, {**GOOD, "name": "/etc"}, {**GOOD, "name": "a\\b"}, {**GOOD, "name": "a\0b"},
    {**GOOD, "name": "x" * 200}, {**GOOD, "name": "dot."}, {**GOOD, "seed": "1"}, {**GOOD, "seed": True},
    {**GOOD, "prompt": 7}, {**GOOD, "imgae": "b.png"}, {**GOOD, "audio": None},
]  # fmt: skip


@pytest.mark.parametrize("bad", BAD_LINES, ids=lambda x: str(x)[:40])
def test_a_bad_line_is_told_and_the_others_run(tmp_path: Path, bad: Any) -> None:
    path = jobs_file(tmp_path, {**GOOD, "name": "first"}, bad, "", {**GOOD, "name": "last"})
    made: list[str] = []

    def make(request: Request) -> dict[str, Any]:
        made.append(request.out.name)
        return {"frames": 1}

    results = results_of(path, tmp_path / "out", make)
    assert made == ["first", "last"]
    assert [r["status"] for r in results] == ["done", "bad input", "done"]
    assert 1 <= len(results[1]["error"].splitlines()) <= 3
    assert [json.loads(line) for line in (tmp_path / "out/results.jsonl").read_text().splitlines()] == results
    assert {p.name for p in tmp_path.iterdir()} == {"jobs.jsonl", "out"}


def test_duplicate_names_are_refused_once(tmp_path: Path) -> None:
    path = jobs_file(tmp_path, {**GOOD, "name": "same"}, {**GOOD, "name": "SAME"}, {**GOOD, "name": "other"})
    jobs = read_jobs(path, tmp_path)
    assert [job.fault is None for job in jobs] == [True, False, True]


def test_a_crash_in_one_job_leaves_the_others_their_turn(tmp_path: Path) -> None:
    path = jobs_file(tmp_path, {**GOOD, "name": "a"}, {**GOOD, "name": "b"}, {**GOOD, "name": "c"})

    def make(request: Request) -> dict[str, Any]:
        if request.out.name == "a":
            raise ZeroDivisionError("planted")
        if request.out.name == "b":
            raise BadInput("portrait", "gone", "rule", "fix")
        return {"frames": 1}

    assert [r["status"] for r in results_of(path, tmp_path / "out", make)] == [
        "failed",
        "bad input",
        "done",
    ]


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    job = read_jobs(jobs_file(tmp_path, GOOD), tmp_path / "out")[0]
    assert job.request is not None
    assert job.request.image == tmp_path / "a.png" and job.request.out == tmp_path / "out" / "a"


@pytest.mark.parametrize("content", [None, b"", b"\n\n", b"\xff\xfe\x00bad"])
def test_an_unusable_file(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "jobs.jsonl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadInput):
        read_jobs(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
