"""Which file is a case's video, where its seams are, when its frames are shown; labels at any rate."""

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from avatar_jax.evaluation.scoring.footage import facts_of, frames_of, report_of, seams_in, videos_of
from avatar_jax.evaluation.scoring.known import Known, read_labels
from avatar_jax.evaluation.scoring.video import crops
from avatar_jax.media import BadInput, write_video


def test_videos_by_their_names(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.WEBM", "notes.txt", ".c.mp4", "a.report.json"):
        (tmp_path / name).touch()
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "video.mp4").touch()
    assert {name: path.name for name, path in videos_of(tmp_path).items()} == {
        "a": "a.mp4",
        "b": "b.WEBM",
        "d": "video.mp4",
    }
    (tmp_path / "a.mkv").touch()
    with pytest.raises(BadInput, match="two videos of case a"):
        videos_of(tmp_path)


def test_seams_are_read_from_the_report(tmp_path: Path) -> None:
    report = {"segments": [{"end": 0.96}, {"end": 1.68}, {"end": 3.0}]}
    (tmp_path / "a.report.json").write_text(json.dumps(report))
    assert seams_in(report_of(tmp_path / "a.mp4")) == (0.96, 1.68)
    assert report_of(tmp_path / "b.mp4") is None and seams_in(None) == ()
    (tmp_path / "a.report.json").write_text("{}")
    assert seams_in(report_of(tmp_path / "a.mp4")) == ()
    (tmp_path / "report.json").write_text(json.dumps(report))
    assert report_of(tmp_path / "video.mp4") == tmp_path / "report.json"


def test_frames_come_at_their_own_times(tmp_path: Path) -> None:
    frames = [np.full((32, 48, 3), 9 * i, np.uint8) for i in range(12)]
    write_video(tmp_path / "a.mp4", frames, "24000/1001")
    facts = facts_of(tmp_path / "a.mp4")
    assert (facts.width, facts.height, facts.announced, facts.sound_starts) == (48, 32, 12, None)
    assert abs(facts.fps - Fraction(24000, 1001)) < Fraction(1, 1000)
    found = list(frames_of(tmp_path / "a.mp4", facts))
    np.testing.assert_allclose([seconds for seconds, _ in found], np.arange(12) * 1001 / 24000, atol=1e-3)
    assert [abs(int(frame.mean()) - 9 * i) < 4 for i, (_, frame) in enumerate(found)] == [True] * 12


def test_labels_at_another_rate(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", fps=25.0, open_T=np.arange(10) / 10, closed_T=np.arange(10) < 1, stranger=np.ones(3))
    labels, fps = read_labels(tmp_path / "a.npz")
    assert set(labels) == {"open", "closed", "silent"} and fps == 25
    known = Known(labels=labels, labels_fps=fps)
    times = np.arange(14) / 30
    assert known.labelled and known.covered(times) == 12
    found = known.at(times[:12])
    np.testing.assert_allclose(found["open"], np.minimum(times[:12] * 2.5, 0.9))
    assert found["closed"].tolist() == [True] + [False] * 11 and not found["silent"].any()


@pytest.mark.parametrize("arrays", [{"fps": 25.0}, {"fps": 0.0, "open_T": np.ones(3)}, {"open_T": np.ones(3)}])
def test_labels_that_are_none(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(BadInput, match="labels"):
        read_labels(tmp_path / "a.npz")
    (tmp_path / "b.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:40])
    with pytest.raises(BadInput, match="labels"):
        read_labels(tmp_path / "b.npz")


@pytest.mark.parametrize("fps", [50, 25, 10])
def test_syncnet_gets_25_crops_a_second(tmp_path: Path, fps: int) -> None:
    frames = [np.full((32, 48, 3), 240 * i // fps, np.uint8) for i in range(fps)]
    write_video(tmp_path / "a.mp4", frames, fps)
    found = list(crops(tmp_path / "a.mp4", facts_of(tmp_path / "a.mp4")))
    assert {crop.shape for crop in found} == {(224, 224, 3)} and abs(len(found) - 25) <= max(1, 25 / fps)
    grey = np.array([crop.mean() for crop in found])
    np.testing.assert_allclose(grey, 9.6 * np.arange(len(grey)), atol=240 / fps + 4)
