"""kill -9 at random moments and rerun: the same shards; and Beam makes what the pool of processes makes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from data_pipeline.records import from_lines
from data_pipeline.synthetic.videos import write_videos

pytestmark = pytest.mark.slow

COMMAND = (sys.executable, "-m", "data_pipeline", "build")
SETTINGS = ("--experts.names=", "--cut.shortest=1", "--speech.least=0.05", "--shards.clips=3")
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("raw")
    write_videos(folder, range(8, 10), 160, damaged=True, seconds=1.6)
    return folder


def begin(raw: Path, out: Path, *options: str) -> subprocess.Popen:
    environment = {**os.environ, "XLA_FLAGS": ""}
    command = [*COMMAND, str(raw), "--out", str(out), *SETTINGS, *options]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def whole(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """A run that nobody stopped, and how long it took."""
    out, start = tmp_path_factory.mktemp("whole"), time.monotonic()
    assert begin(raw, out, "--workers", "2").wait() == 0
    return out, time.monotonic() - start


def made(out: Path) -> dict[str, bytes]:
    kept = [*out.glob("*/1.0.0/*.array_record*"), *(out / "manifests").iterdir()]
    return {p.relative_to(out).as_posix(): p.read_bytes() for p in [*kept, out / "dead_letter.jsonl"]}


def test_killed_five_times(raw: Path, whole: tuple[Path, float], tmp_path: Path) -> None:
    rng = np.random.default_rng()
    moments = np.sort(rng.uniform(0.1, 0.9, 5)) * whole[1]
    for moment in moments:
        run = begin(raw, tmp_path, "--workers", "2")
        try:
            run.wait(timeout=float(moment))
        except subprocess.TimeoutExpired:
            run.send_signal(signal.SIGKILL)
            run.wait()
    # Workers of a killed run notice that they are orphans within a second or two.
    assert begin(raw, tmp_path, "--workers", "2").wait() == 0
    assert made(tmp_path) == made(whole[0]), f"killed after {moments} s"
    ids = [
        json.loads(line)["clip"] for p in tmp_path.glob("media/1.0.0/index/*") for line in p.read_text().splitlines()
    ]
    passed = [
        r.id for r in from_lines((tmp_path / "manifests" / "13-encode.jsonl").read_text()) if r.status == "passed"
    ]
    assert sorted(ids) == sorted(passed) and len(set(ids)) == len(ids) >= 3
    assert not list(tmp_path.rglob("*.part"))


def test_beam_and_local_make_the_same(raw: Path, whole: tuple[Path, float], tmp_path: Path) -> None:
    assert begin(raw, tmp_path, "--engine", "beam").wait() == 0
    assert made(tmp_path) == made(whole[0])
