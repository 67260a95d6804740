"""One video made by several processes: the same video, and process 0 alone writes it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.distributed import processes
from tests.e2e.public_weights import write_family
from tests.e2e.untrained import QUICK, write_portrait, write_speech, write_weights


def inputs(folder: Path, seconds: float) -> list[str]:
    image, audio = write_portrait(folder / "face.png"), write_speech(folder / "speech.wav", seconds)
    return [str(processes.ROOT / "sample.py"), "--image", str(image), "--audio", str(audio), "--prompt", "happy"]


def latents(out: Path) -> dict[str, np.ndarray]:
    """Of the blueprint and of every sub-clip and seam."""
    return {path.name: np.load(path)["latents"] for path in sorted((out / "segments").glob("*.npz"))}


def report(out: Path) -> dict[str, Any]:
    return json.loads((out / "report.json").read_text())


def assert_same(one: Path, many: Path) -> None:
    first, second = latents(one), latents(many)
    assert first.keys() == second.keys() and len(first) >= 2
    for name, made in first.items():
        np.testing.assert_allclose(made, second[name], atol=2e-3, err_msg=name)
    assert report(one)["frames"] == report(many)["frames"]
    assert not list(many.rglob(".*.part"))


def sampled(command: list[str], out: Path, count: int, mesh: str) -> Path:
    for index, done in enumerate(processes.run([*command, "--out", str(out), "--mesh", mesh], count)):
        assert done.returncode == 0, done.stderr
        assert (str(out) in done.stdout) == (index == 0), "process 0 tells what all have made"
    return out


@pytest.mark.slow
@pytest.mark.xdist_group("mesh")
@pytest.mark.parametrize(("count", "mesh"), [(2, "data=4"), (4, "data=4")])
def test_the_embedded_cascade(count: int, mesh: str, tmp_path: Path) -> None:
    """Sub-clips over the data axis of several processes; then the same command again finds the video finished."""
    command = [*inputs(tmp_path, 2.4), "--weights", str(write_weights(tmp_path / "weights")), *QUICK]
    one = sampled(command, tmp_path / "one", 1, "")
    many = sampled(command, tmp_path / "many", count, mesh)
    assert_same(one, many)
    (many / "video.mp4").unlink()
    stamp = (many / "segments" / "000.npz").stat().st_mtime_ns
    sampled(command, many, count, mesh)
    assert (many / "segments" / "000.npz").stat().st_mtime_ns == stamp, "what was saved is not made again"
    assert report(many)["frames_sha256"] == report(sampled(command, many, count, mesh))["frames_sha256"]


@pytest.mark.slow
@pytest.mark.xdist_group("mesh")
def test_the_public_cascade(tmp_path: Path) -> None:
    """Weights split over hosts by `fsdp`, tokens by `seq`, sub-clips by `data`."""
    weights = write_family(tmp_path / "weights", "skyreels_a2v_19b")
    command = [
        *inputs(tmp_path, 1.3), "--weights", str(weights), "--config", "configs/skyreels_a2v_19b.py", "--numbers=fp32",
        "--area=1024", "--window=13", "--blueprint.frames=13", "--seams.drop=6", "--seams.lead=2",
    ]  # fmt: skip
    one = sampled(command, tmp_path / "one", 1, "")
    two = sampled(command, tmp_path / "two", 2, "data=2,seq=2")
    assert_same(one, two)
