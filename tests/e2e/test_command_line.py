"""sample.py as a user meets it: exit status, three lines, nothing half done."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import sample
from tests.e2e.untrained import QUICK, write_portrait, write_speech, write_weights

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Paths of a portrait, a recording and a folder of untrained weights."""
    folder = tmp_path_factory.mktemp("inputs")
    return {
        "image": str(write_portrait(folder / "face.png")),
        "audio": str(write_speech(folder / "speech.wav", 1.2)),
        "weights": str(write_weights(folder / "weights")),
    }


def arguments(inputs: dict[str, str], out: Path, **changed: str | None) -> list[str]:
    given = {**inputs, "out": str(out), **changed}
    return [part for key, value in given.items() if value is not None for part in (f"--{key}", value)]


BAD: list[tuple[dict[str, str | None], list[str], str]] = [
    ({"image": None}, [], "--image is missing"),
    ({"audio": None}, [], "--audio is missing"),
    ({"image": "/nowhere.png"}, [], "no such file"),
    ({"audio": "/nowhere.wav"}, [], "no such file"),
    ({"weights": "/nowhere"}, [], "weights"),
    ({"mesh": "date=4"}, [], "--mesh"),
    ({}, ["--fps", "500"], "--fps"),
    ({}, ["--seed", "x"], "invalid int"),
    ({}, ["--seed=-4"], "--seed"),
    ({}, ["--face", "1,2,3"], "--face"),
    ({}, ["--redo-segments", "0"], "no finished video"),
    ({}, ["--redo-segments", "a"], "--redo-segments"),
    ({}, ["--speaker", "b.wav@1,2,3,4"], "not supported yet"),
    ({}, ["--director", "openai:x"], "--director"),
    ({}, ["--segment.solver.stepz=3"], "did you mean"),
    ({}, ["--segment.solver.steps=many"], "whole number"),
    ({}, ["--storyline", "/nowhere.json"], "no such file"),
    ({}, ["--config", "configs/none.py"], "no such config"),
    ({}, ["stray"], "stray"),
]


@pytest.mark.parametrize(("changed", "more", "says"), BAD, ids=lambda x: str(x)[:40])
def test_mistakes_exit_2_with_three_lines(
    inputs: dict[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    changed: dict[str, str | None],
    more: list[str],
    says: str,
) -> None:
    assert sample.main([*arguments(inputs, tmp_path / "out", **changed), *more]) == 2
    message = capsys.readouterr().err
    assert says in message and "Traceback" not in message
    assert len([line for line in message.splitlines() if not line.startswith("warning")]) <= 3
    assert not (tmp_path / "out").exists()


def test_a_video_and_its_storyline_fed_back(
    inputs: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert sample.main([*arguments(inputs, out, prompt="happy, then sad; push in"), *QUICK]) == 0
    assert "30 frames" in capsys.readouterr().out
    again = arguments(inputs, tmp_path / "again", storyline=str(out / "storyline.json"))
    assert sample.main([*again, *QUICK]) == 0
    hashes = [json.loads((folder / "report.json").read_text())["frames_sha256"] for folder in (out, tmp_path / "again")]
    assert hashes[0] == hashes[1]


@pytest.mark.slow
def test_killed_jobs_go_on(inputs: dict[str, str], tmp_path: Path) -> None:
    """kill -9 in the middle: the rerun makes only what was unfinished."""
    lines = [{"name": f"v{i}", "image": inputs["image"], "audio": inputs["audio"], "seed": i} for i in range(4)]
    jobs = tmp_path / "jobs.jsonl"
    jobs.write_text("\n".join([*map(json.dumps, lines), "{bad"]))
    out = tmp_path / "out"
    command = [
        sys.executable, str(ROOT / "sample.py"), "--jobs", str(jobs), "--out", str(out), "--weights", inputs["weights"],
        *QUICK,
    ]  # fmt: skip
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as first:
        deadline = time.time() + 100
        planned = out / "v1" / "segments" / "plan.json"
        while not planned.exists() and time.time() < deadline and first.poll() is None:
            time.sleep(0.05)
        os.kill(first.pid, signal.SIGKILL)
    done = {p.parent.name: p.stat().st_mtime_ns for p in out.glob("*/manifest.json")}
    assert "v0" in done and "v3" not in done
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert again.returncode == 2, again.stderr
    assert all((out / name / "manifest.json").stat().st_mtime_ns == stamp for name, stamp in done.items())
    results = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
    assert [r["status"] for r in results] == ["done"] * 4 + ["bad input"]
    assert not list(out.rglob(".*.part"))
