"""A black or frozen video is a failure of sample.py, never a result."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sample
from avatar_jax.mesh import make_mesh
from avatar_jax.sampling.pictures import Pictures
from avatar_jax.sampling.pipeline import generate
from avatar_jax.sampling.report import Lifeless
from avatar_jax.sampling.request import Request
from avatar_jax.sampling.work import Models
from tests.e2e.test_video import FAST, report_of
from tests.e2e.untrained import untrained_models, write_portrait, write_speech


@pytest.fixture(scope="module")
def models() -> Models:
    return untrained_models()


@pytest.fixture
def request_(tmp_path: Path) -> Request:
    return Request(write_portrait(tmp_path / "face.png"), write_speech(tmp_path / "speech.wav", 1.0), tmp_path / "out")


def spoil(monkeypatch: pytest.MonkeyPatch, name: str, how: Any) -> None:
    """Let a method of `Pictures` give other frames; a draft's, which are not the video's size, stay as they are."""
    honest = getattr(Pictures, name)

    def spoilt(self: Pictures, latents: Any, *more: Any) -> Iterator[np.ndarray]:
        frames = honest(self, latents, *more)
        return frames if more else how(frames)

    monkeypatch.setattr(Pictures, name, spoilt)


def frozen(frames: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    first = next(frames)
    yield first
    yield from (first for _ in frames)


def black(frames: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    return (np.zeros_like(frame) for frame in frames)


def test_a_dead_video_is_not_written(request_: Request, models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sub-clips were good; what came out of the last stage is not."""
    spoil(monkeypatch, "decode", frozen)
    with pytest.raises(Lifeless, match="frozen"):
        generate(request_, models, FAST, make_mesh(), quiet=True)
    left = {path.name for path in request_.out.iterdir()}
    assert not left & {"video.mp4", "report.json", "manifest.json"}


def test_dead_sub_clips_end_the_run_with_status_1(
    request_: Request, models: Models, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    spoil(monkeypatch, "views", black)

    def maker(*_: Any) -> Any:
        return lambda request, inputs: generate(request, models, FAST, make_mesh(), quiet=True, inputs=inputs)

    monkeypatch.setattr(sample, "maker", maker)
    given = ["--image", str(request_.image), "--audio", str(request_.audio), "--out", str(request_.out)]
    assert sample.main(given) == 1
    assert "came out black" in capsys.readouterr().err
    assert not (request_.out / "video.mp4").exists()


def test_the_report_tells_every_try(request_: Request, models: Models) -> None:
    """Nets that were never trained pass no gate: the whole budget is spent, and the report says so."""
    twice = replace(FAST, gate=replace(FAST.gate, retries=1))
    generate(request_, models, twice, make_mesh(), quiet=True)
    report = report_of(request_)
    every = [str(part["index"]) for part in report["segments"]]
    assert list(report["gate"]["below"]) == every and report["gate"]["made_again"] == [int(i) for i in every]
    for part in report["segments"]:
        assert {part["attempt"], *(one["attempt"] for one in part["rejected"])} == {0, 1}
        assert part["faults"] == report["gate"]["below"][str(part["index"])]
    assert report["gate"]["limits"]["retries"] == 1
