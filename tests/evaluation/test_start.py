"""Cold and warm starts are measured on real runs of sample.py."""

import json
from pathlib import Path

import pytest

from avatar_jax.evaluation import start
from tests.e2e.untrained import QUICK, write_portrait, write_speech, write_weights


@pytest.mark.slow
def test_a_warm_start_is_cheaper(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = [
        "--image", str(write_portrait(tmp_path / "face.png")), "--audio", str(write_speech(tmp_path / "a.wav", 0.6)),
        "--json", "--", "--weights", str(write_weights(tmp_path / "weights")), *QUICK,
    ]  # fmt: skip
    assert start.main(given) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert 0 < found["warm"]["cpu_s"] < found["cold"]["cpu_s"]
    assert found["cold"]["ready_s"] < found["cold"]["first_step_s"] and found["cache_mb"] > 0
    assert start.main(["--image", str(tmp_path / "nowhere.png")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 3
