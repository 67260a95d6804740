"""The generator's batches as train.py joins them: grain over ArrayRecord clips, exact from any step."""

from functools import partial
from itertools import islice

import numpy as np
import pytest

from avatar_jax.director.storyline import one_shot
from avatar_jax.models.segment import CHANNELS, PATCHES
from avatar_jax.training.dit_stage import DitConfig, DitStage
from configs.stages import window_batches
from data_pipeline.source import RecordSource, RecordWriter
from data_pipeline.synthetic.state import STATE
from data_pipeline.synthetic.windows import ClipWindows

CLIPS, FRAMES, BATCH = 6, 100, 4


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> DitStage:
    """Over clips of four seconds, each of them filled with its own number."""
    folder = tmp_path_factory.mktemp("latents")
    with RecordWriter(folder / "00000.array_record") as writer:
        for clip in range(CLIPS):
            writer.write(
                {
                    "latents_TPC": np.full((FRAMES, PATCHES, CHANNELS), clip, np.float16),
                    "audio_FM": np.full((2 * FRAMES, 64), clip, np.float16),
                    "spans_S2": np.array([[0.0, 4.0]]),
                    "states_TS": np.zeros((FRAMES, len(STATE)), np.float32),
                    "storyline": one_shot(64_000, 16_000, emotion="joy").to_json(),
                    "face_points_32": np.zeros((3, 2), np.float32),
                    "portrait_PC": np.zeros((PATCHES, CHANNELS), np.float16),
                }
            )
    records, config = RecordSource(folder), DitConfig(batch=BATCH, seed=3)
    return DitStage(config, partial(window_batches, records, config), ClipWindows(records))


def test_an_epoch_shows_every_clip_once(stage: DitStage) -> None:
    shown = np.concatenate([b["latents_BTPC"][:, 0, 0, 0] for b in islice(stage.batches(0), 3)]).astype(int)
    assert sorted(shown[:CLIPS]) == sorted(shown[CLIPS:]) == list(range(CLIPS))


def test_windows_differ_in_use_and_place(stage: DitStage) -> None:
    batch = next(stage.batches(0))
    frames = stage.config.model.frames
    assert batch["latents_BTPC"].shape == (BATCH, frames, PATCHES, CHANNELS)
    assert batch["known_BT"].shape == (BATCH, frames) and batch["known_BT"].dtype == bool
    assert "labels_BTK" not in batch
    later = list(islice(stage.batches(1), 4))
    assert len({b["times_BT"].tobytes() for b in [batch, *later]}) == 5


@pytest.mark.parametrize("start", [1, 4])
def test_batches_are_bit_equal_from_any_step(stage: DitStage, start: int) -> None:
    whole, resumed = list(islice(stage.batches(0), 6)), list(islice(stage.batches(start), 6 - start))
    for a, b in zip(whole[start:], resumed, strict=True):
        assert a.keys() == b.keys()
        for name in a:
            np.testing.assert_array_equal(a[name], b[name])
