"""Extractors that a user names: factories, files of weights, the judge; and what is done with their features."""

from pathlib import Path

import numpy as np
import pytest

from avatar_jax.evaluation.scoring.comparison import Comparison, summary_of
from avatar_jax.evaluation.scoring.glean import Batches, Gleaned, square_in
from avatar_jax.evaluation.scoring.readers import Options, extractor, open_readers
from avatar_jax.evaluation.scoring.results import CaseScore
from avatar_jax.media import BadInput

MODULE = """
import numpy as np

def mean_colour():
    return lambda pictures: pictures.mean(axis=(1, 2))

def nothing():
    return 3

def broken():
    raise OSError("no weights here")
"""


@pytest.fixture
def stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "strangers_extractor.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    return "strangers_extractor"


def test_a_factory_is_called(stranger: str) -> None:
    found = extractor("--likeness", f"{stranger}:mean_colour", None)
    np.testing.assert_array_equal(found(np.full((2, 4, 4, 3), 7, np.uint8)), np.full((2, 3), 7.0))
    assert extractor("--fid", None, None) is extractor("--fid", "judge", None) is None


@pytest.mark.parametrize("name", ["nothing", "broken", "missing"])
def test_a_factory_that_fails_is_told(stranger: str, name: str) -> None:
    with pytest.raises(BadInput, match="--fid"):
        extractor("--fid", f"{stranger}:{name}", None)


def test_readers_are_opened_once_and_weights_are_checked(tmp_path: Path) -> None:
    assert open_readers(Options()) is open_readers(Options())
    with pytest.raises(BadInput):
        open_readers(Options(syncnet=tmp_path / "none.safetensors"))
    (tmp_path / "damaged.safetensors").write_bytes(b"nonsense")
    with pytest.raises(BadInput):
        open_readers(Options(likeness=str(tmp_path / "damaged.safetensors")))


def test_networks_see_their_frames(stranger: str) -> None:
    """2.2 s at 20 frames a second: every 0.2 s, every 0.5 s, clips of 16 frames every 2 s."""
    mean = extractor("--fid", f"{stranger}:mean_colour", None)
    gleaned = Gleaned(20.0, Batches(mean), Batches(mean), Batches(lambda clips: clips.mean(axis=(2, 3, 4))))
    frames = ((i / 20, np.full((16, 24, 3), i, np.uint8)) for i in range(44))
    squares = list(gleaned.through(frames))
    assert {square.shape for square in squares} == {(16, 16, 3)} and len(gleaned.times) == 44
    assert gleaned.likeness is not None and gleaned.fid is not None and gleaned.fvd is not None
    np.testing.assert_allclose(gleaned.likeness.all()[:, 0], np.arange(0, 44, 4))
    np.testing.assert_allclose(gleaned.fid.all()[:, 0], np.arange(0, 44, 10))
    np.testing.assert_allclose(gleaned.fvd.all(), [np.arange(16)])


def test_the_square_lies_inside() -> None:
    blank = np.full((60, 100, 3), 90, np.uint8)
    assert square_in(blank) == (0, 20, 60)
    assert square_in(blank[:, :60]) == (0, 0, 60)


def test_distances_need_a_reference_and_features(tmp_path: Path) -> None:
    scores, tracks = [], {}
    for system, away in (("a", 0.0), ("b", 3.0)):
        scores.append(CaseScore(system, "one", "scored", metrics={"identity": 1.0}))
        tracks[system, "one"] = tmp_path / f"{system}.npz"
        np.savez(tracks[system, "one"], fid=np.array([[-1.0], [1.0], [0.0]]) + away)
    alone = summary_of(Comparison(("a", "b"), scores, tracks))
    assert alone["systems"]["b"]["fid"] == {"value": None, "note": "no --reference to compare with"}
    found = summary_of(Comparison(("a", "b"), scores, tracks, reference="a"))["systems"]
    assert found["b"]["fid"]["value"] == pytest.approx(9) and found["a"]["fid"]["value"] == pytest.approx(0)
    assert found["b"]["fvd"]["value"] is None and "--fvd" in found["b"]["fvd"]["note"]
