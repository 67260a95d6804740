"""Drawn avatars as a finished set: the same schema, mouths where they are drawn, resumed, never mixed."""

from pathlib import Path

import numpy as np
import pytest

from avatar_jax.media import BadInput
from data_pipeline.buckets import Bucket
from data_pipeline.dataset import shard
from data_pipeline.dataset.reader import SetSource
from data_pipeline.synthetic import finished
from data_pipeline.synthetic.clip import make_clip
from data_pipeline.transforms import PixelWindow

CONFIG = finished.FinishedConfig(3, seconds=(1.0, 2.0), size=64)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two shards of two clips and one, made here instead of in workers."""
    out = tmp_path_factory.mktemp("drawn")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finished, "SHARD", 2)
        for number in range(2):
            finished._write(out, CONFIG, "media", number, 2)
        finished.write_finished(out, CONFIG, workers=1)
    return out


def test_set_is_read_like_any_other(out: Path) -> None:
    records = SetSource(shard.set_folder(out, "media"))
    clip, record = make_clip(1, seconds=(1.0, 2.0)), records[1]
    assert len(records) == 3 and record["frames"] == len(clip.states_TS) and record["source"] == "synthetic"
    assert record["storyline"] == clip.storyline.to_json() and record["caption"]
    np.testing.assert_array_equal(record["audio"], clip.speech.wave)
    window = PixelWindow(9, Bucket(64, 64))(record, np.random.default_rng(0))
    begin = round(float(window["start"]) * 25)
    drawn = clip.frames(64)[begin : begin + 9].astype(int)
    assert np.abs(window["frames_THW3"] - drawn).mean() < 4
    assert (out / "README.md").read_text().count("synthetic")


def test_mouth_boxes_lie_on_mouths(out: Path) -> None:
    record = SetSource(shard.set_folder(out, "media"))[0]
    x, y, w, h = record["mouths_T4"].T
    face = record["faces_T4"].T
    assert (x > face[0]).all() and (x + w < face[0] + face[2]).all() and (y + h / 2 > face[1] + face[3] / 2).all()


def test_folders_are_not_mixed(out: Path) -> None:
    with pytest.raises(BadInput, match="another size"):
        finished.write_finished(out, finished.FinishedConfig(3, seconds=(1.0, 2.0), size=32))
    with pytest.raises(BadInput, match="even"):
        finished.write_finished(out, finished.FinishedConfig(3, size=33))


@pytest.mark.slow
def test_latents_of_the_shipped_encoders(tmp_path: Path) -> None:
    from avatar_jax.weights import ship

    config = finished.FinishedConfig(1, seconds=(1.0, 1.0), size=64, weights=str(ship.SHIPPED))
    finished.write_finished(tmp_path, config, workers=1)
    record = SetSource(shard.set_folder(tmp_path, "latents"))[0]
    assert record["latents_TPC"].shape == (25, 17, 139) and len(record["audio_FM"]) >= 50
    assert record["labels_TK"].shape == (25, len(record["label_names"]))
