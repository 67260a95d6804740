"""Chips of two cores: one head is work for both."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def cycles(cores: int) -> dict[str, int]:
    command = [sys.executable, "-m", "tests.tpu.one_head", "v5p:2x2x1", str(cores)]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr[-2000:]
    words = [line.split() for line in process.stdout.splitlines() if line.startswith("flash_")]
    return {name: int(count) for name, count in words}


@pytest.mark.slow
@pytest.mark.skipif(find_spec("libtpu") is None, reason="the TPU compiler is not installed")
def test_one_head_takes_half_the_cycles_on_two_cores() -> None:
    alone, shared = cycles(1), cycles(2)
    assert set(alone) == set(shared) == {"flash_attention", "flash_gradients"}
    for name, count in shared.items():
        assert 0.49 < count / alone[name] < 0.55, name
