"""sample.py --jobs in two processes on one folder: one is killed in the middle of a video, and comes back."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.distributed.processes import ROOT, environment, running
from tests.e2e.untrained import QUICK, write_portrait, write_speech, write_weights

JOBS = 6


def start(folder: Path, index: int) -> subprocess.Popen:
    command = [
        sys.executable, str(ROOT / "sample.py"), "--jobs", "jobs.jsonl", "--out", "out", "--weights", "weights",
        "--processes", "2", "--process", str(index), *QUICK,
    ]  # fmt: skip
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=folder, env=environment(), **quiet)


def claims_of(folder: Path, process: subprocess.Popen) -> set[str]:
    """Jobs whose claim in force is this process's, and whose video is not made."""
    held = set()
    for path in (folder / "out" / ".jobs").glob("*.claim-*"):
        name = path.name.rsplit(".claim-", 1)[0]
        try:
            card = json.loads(path.read_text())
        except ValueError:
            continue
        # Between a video's manifest and the note that its job is done, the claim is still in force.
        if card.get("pid") == process.pid and not (folder / "out" / name / "manifest.json").exists():
            held.add(name)
    return held


def in_its_second_video(folder: Path, process: subprocess.Popen) -> bool:
    begun = [folder / "out" / name / "segments" / "plan.json" for name in claims_of(folder, process)]
    return (folder / "out" / ".jobs" / "v1.done").exists() and any(plan.exists() for plan in begun)


def hold_in_its_second_video(folder: Path, process: subprocess.Popen) -> None:
    """Stop the process's clock with something finished and something saved, so that nothing moves while we look."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and process.poll() is None:
        if in_its_second_video(folder, process):
            os.kill(process.pid, signal.SIGSTOP)
            if in_its_second_video(folder, process):
                return
            os.kill(process.pid, signal.SIGCONT)
        time.sleep(0.02)
    raise AssertionError(f"never in the middle of a second video (exit status {process.returncode})")


@pytest.mark.slow
@pytest.mark.parametrize("told", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "told to stop"])
def test_two_hosts_make_every_video_once(told: signal.Signals, tmp_path: Path) -> None:
    write_portrait(tmp_path / "face.png")
    write_speech(tmp_path / "speech.wav", 1.2)
    write_weights(tmp_path / "weights")
    lines = [{"name": f"v{i}", "image": "face.png", "audio": "speech.wav", "seed": i} for i in range(JOBS)]
    (tmp_path / "jobs.jsonl").write_text("\n".join(map(json.dumps, lines)))
    first, second = start(tmp_path, 0), start(tmp_path, 1)
    with running(first, second):
        hold_in_its_second_video(tmp_path, second)
        broken = claims_of(tmp_path, second)
        os.kill(second.pid, told)
        os.kill(second.pid, signal.SIGCONT)
        second.wait(timeout=60)
        assert second.returncode == (130 if told == signal.SIGTERM else -signal.SIGKILL)
        stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*/manifest.json")}
        assert len(broken) == 1 and stamps and not any(path.parent.name in broken for path in stamps)
        third = start(tmp_path, 1)
        with running(third):
            for process in (first, third):
                _, err = process.communicate(timeout=400)
                assert process.returncode == 0, err
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items()), "what was finished is left alone"
    results = [json.loads(line) for line in (tmp_path / "out" / "results.jsonl").read_text().splitlines()]
    assert [(r["name"], r["status"]) for r in results] == [(f"v{i}", "done") for i in range(JOBS)]
    assert not any("already_complete" in r for r in results), "nobody made what another had made"
    claims = {path.name for path in (tmp_path / "out" / ".jobs").glob("*.claim-*")}
    assert claims == {f"v{i}.claim-0" for i in range(JOBS)} | {f"{name}.claim-1" for name in broken}
    assert not list((tmp_path / "out").rglob("*.part"))
