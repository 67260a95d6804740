"""Several workers on one jobs file: every job once, whoever is killed when."""

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from avatar_jax.sampling import claims
from avatar_jax.sampling.claims import Claims, Lost, Worker
from avatar_jax.sampling.jobs import read_jobs, run_jobs

WORKER = Path(__file__).with_name("jobs_worker.py")


def jobs_file(folder: Path, count: int) -> Path:
    for name in ("face.png", "speech.wav"):
        (folder / name).write_text(name)
    path = folder / "jobs.jsonl"
    jobs = [{"name": f"v{i}", "image": "face.png", "audio": "speech.wav", "seed": i} for i in range(count)]
    path.write_text("\n".join(map(json.dumps, jobs)))
    return path


def start(folder: Path, index: int, count: int, lease: float = 60, seconds: float = 0.4) -> subprocess.Popen:
    numbers = map(str, (index, count, lease, seconds))
    command = [sys.executable, str(WORKER), str(folder / "jobs.jsonl"), str(folder / "out"), *numbers]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def notes(folder: Path, what: str) -> list[tuple[str, str]]:
    """(job, pid) of every beginning or end, in order."""
    log = folder / "made.log"
    lines = [line.split() for line in log.read_text().splitlines()] if log.exists() else []
    return [(job, pid) for word, job, _, pid in lines if word == what]


def results(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "out" / "results.jsonl").read_text().splitlines()]


def wait_for(condition, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert condition()


@pytest.mark.parametrize(
    "lease",
    [
        pytest.param(60, id="the same worker starts again"),
        pytest.param(2, id="the other one takes over", marks=pytest.mark.slow),
    ],
)
def test_a_killed_worker_loses_nothing(tmp_path: Path, lease: float) -> None:
    """SIGKILL in the middle of a job; whether the worker comes back or the other goes on alone, each is made once."""
    jobs_file(tmp_path, 8)
    first, second = start(tmp_path, 0, 2, lease), start(tmp_path, 1, 2, lease)
    wait_for(lambda: any(pid == str(second.pid) for _, pid in notes(tmp_path, "begin")))
    wait_for(lambda: len(notes(tmp_path, "end")) >= 2 and unfinished(tmp_path, second.pid))
    second.send_signal(signal.SIGKILL)
    second.wait()
    broken = unfinished(tmp_path, second.pid)
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*/video.mp4")}
    workers = [first] if lease == 2 else [first, start(tmp_path, 1, 2, lease)]
    for worker in workers:
        worker.communicate(timeout=100)
        assert worker.returncode == 0
    assert Counter(job for job, _ in notes(tmp_path, "end")) == Counter(f"v{i}" for i in range(8))
    begun = Counter(job for job, _ in notes(tmp_path, "begin"))
    assert begun == Counter(f"v{i}" for i in range(8)) + Counter(broken)
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items())
    assert [(r["name"], r["status"]) for r in results(tmp_path)] == [(f"v{i}", "done") for i in range(8)]
    assert not list(tmp_path.rglob("*.part"))


def unfinished(folder: Path, pid: int) -> list[str]:
    ended = {job for job, _ in notes(folder, "end")}
    return [job for job, by in notes(folder, "begin") if by == str(pid) and job not in ended]


def test_many_workers_never_meet_on_a_job(tmp_path: Path) -> None:
    """Three workers that do not know of each other, and jobs so short that they always want the same one."""
    jobs_file(tmp_path, 30)
    workers = [start(tmp_path, 0, 1, 60, 0.0) for _ in range(3)]
    assert [worker.wait(timeout=100) for worker in workers] == [0] * 3
    assert Counter(job for job, _ in notes(tmp_path, "begin")) == Counter(f"v{i}" for i in range(30))
    assert len(results(tmp_path)) == 30


def make_into(made: list[str]):
    def make(request):
        made.append(request.out.name)
        request.out.mkdir(parents=True, exist_ok=True)
        (request.out / "video.mp4").write_text("video")
        (request.out / "manifest.json").write_text(request.out.name)
        return {"frames": 1}

    return make


def test_only_what_changed_is_made_again(tmp_path: Path) -> None:
    path, out, made = jobs_file(tmp_path, 3), tmp_path / "out", []

    def again(settings: int = 0) -> list[str]:
        made.clear()
        read_jobs.__globals__["_content"].cache_clear()
        assert [r["status"] for r in run_jobs(read_jobs(path, out), out, make_into(made), None, settings)] == [
            "done"
        ] * 3
        return made

    assert again() == ["v0", "v1", "v2"]
    assert again() == []
    (out / "v1" / "video.mp4").unlink()
    assert again() == ["v1"]
    path.write_text(path.read_text().replace('"seed": 2', '"seed": 7'))
    assert again() == ["v2"]
    (tmp_path / "face.png").write_text("another face")
    assert again() == ["v0", "v1", "v2"]
    assert again(settings=1) == ["v0", "v1", "v2"]


def test_what_failed_is_tried_once_by_every_run(tmp_path: Path) -> None:
    path, out, tried = jobs_file(tmp_path, 2), tmp_path / "out", []

    def fail(request):
        tried.append(request.out.name)
        raise ZeroDivisionError("planted")

    for _ in range(2):
        assert [r["status"] for r in run_jobs(read_jobs(path, out), out, fail)] == ["failed"] * 2
    assert tried == ["v0", "v1"] * 2


def test_an_interrupted_worker_lets_go(tmp_path: Path) -> None:
    path, out, made = jobs_file(tmp_path, 1), tmp_path / "out", []

    def interrupted(request):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(run_jobs(read_jobs(path, out), out, interrupted, Worker(0, 2)))
    assert [r["status"] for r in run_jobs(read_jobs(path, out), out, make_into(made), Worker(1, 2))] == ["done"]


@pytest.fixture
def far_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers of one process that know nothing of each other's machines."""
    monkeypatch.setattr(claims, "machine", lambda: "")


def test_who_was_taken_over_cannot_commit(far_apart: None, tmp_path: Path) -> None:
    slow, quick = Claims(tmp_path, Worker(0, 2, lease=0.2)), Claims(tmp_path, Worker(1, 2, lease=0.2))
    number = slow.take("v")
    assert number == 0 and quick.take("v") is None
    time.sleep(0.3)
    assert quick.take("v") == 1, "no sign of life for a lease's time"
    with slow.held("v", 0) as claim, pytest.raises(Lost):
        claim.commit({"result": "late"})
    with quick.held("v", 1) as claim:
        claim.commit({"result": "good"})
    assert (slow.done("v") or {})["result"] == "good"
    assert slow.take("v") is None and slow.take("v", redo=1) == 2


def test_signs_of_life_keep_a_claim(far_apart: None, tmp_path: Path) -> None:
    busy, other = Claims(tmp_path, Worker(0, 2, lease=0.6)), Claims(tmp_path, Worker(1, 2, lease=0.6))
    number = busy.take("v")
    assert number == 0
    with busy.held("v", 0) as claim:
        for _ in range(6):
            assert other.take("v") is None
            time.sleep(0.25)
        claim.commit({"result": 1})


def test_a_bad_line_may_look_like_a_name(tmp_path: Path) -> None:
    path = jobs_file(tmp_path, 1)
    path.write_text(path.read_text().replace("v0", "line 2") + "\n{bad")
    found = list(run_jobs(read_jobs(path, tmp_path / "out"), tmp_path / "out", make_into([])))
    assert [(r["name"], r["status"]) for r in found] == [("line 2", "done"), ("line 2", "bad input")]
