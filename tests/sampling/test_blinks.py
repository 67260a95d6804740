"""Blinks: when they are, how long they last, and that the shipped avatar closes its eyes at them."""

from fractions import Fraction

import numpy as np
import pytest

import sample
from avatar_jax import config as configs
from avatar_jax.mesh import make_mesh
from avatar_jax.models.portrait_layers import SIZE
from avatar_jax.models.segment import CHANNELS, PATCHES
from avatar_jax.sampling.blinks import SHORTEST_S, BlinkConfig, Blinks, blink_instants, lids
from avatar_jax.sampling.config import SampleConfig
from avatar_jax.sampling.pictures import Pictures
from data_pipeline.synthetic import render
from data_pipeline.synthetic.clip import HELD_OUT_IDENTITIES
from data_pipeline.synthetic.identity import make_identity

MINUTES = 30


@pytest.mark.parametrize("per_minute", [5.0, 20.0, 60.0])
def test_as_many_as_asked_for(per_minute: float) -> None:
    found = blink_instants(BlinkConfig(per_minute), 0, 60.0 * MINUTES)
    assert len(found) == pytest.approx(per_minute * MINUTES, rel=0.2)
    assert found[0] >= SHORTEST_S and (np.diff(found) >= SHORTEST_S).all()


def test_none_where_none_are_wanted() -> None:
    assert not len(blink_instants(BlinkConfig(0), 0, 600.0))
    assert not lids(np.zeros(0), np.linspace(0, 10, 100)).any()


def test_a_longer_video_begins_with_the_same_blinks() -> None:
    short, long = (blink_instants(BlinkConfig(), 7, seconds) for seconds in (20.0, 90.0))
    np.testing.assert_array_equal(short, long[: len(short)])
    for other in (blink_instants(BlinkConfig(), 8, 20.0), blink_instants(BlinkConfig(), 7, 20.0, who=1)):
        assert not np.array_equal(short, other[: len(short)])


@pytest.mark.parametrize("per_minute", [-1.0, 61.0, float("nan")])
def test_no_other_rates(per_minute: float) -> None:
    with pytest.raises(ValueError, match=r"within 0 \.\. 60"):
        BlinkConfig(per_minute)
    with pytest.raises(ValueError, match=r"within 0 \.\. 60"):
        configs.override(SampleConfig(), [f"--blinks.per_minute={per_minute}"])


def test_lids_close_and_open_again() -> None:
    seconds = np.arange(0, 2, 0.005).reshape(2, -1)
    closed = lids(np.array([0.8]), seconds)
    assert closed.shape == seconds.shape and closed.dtype == np.float32
    times, closed = seconds.ravel(), closed.ravel()
    assert closed.max() == 1 and abs(times[closed.argmax()] - 0.8) < 0.03
    shut = times[closed > 0]
    assert 0.68 < shut.min() < 0.75 and 0.95 < shut.max() < 0.98
    assert (np.diff(closed[times <= 0.78]) >= 0).all() and (np.diff(closed[times >= 0.82]) <= 0).all()


@pytest.mark.parametrize("seed", [3, 4, 7])
def test_the_shipped_avatar_closes_its_eyes(seed: int) -> None:
    """The gate's reader sees shut eyes at the blink alone, on characters that nothing was trained on."""
    models = sample.load_models(None, make_mesh(), False)
    portrait = render.portrait(make_identity(HELD_OUT_IDENTITIES + seed), SIZE)
    pictures = Pictures(models.codec, models.codec_params, models.reader, models.reader_params, portrait, SIZE)
    blinks = Blinks(np.array([8 / 25]), pictures.closed_eyes())
    made = list(blinks.along(np.zeros((16, PATCHES, CHANNELS), np.float32), Fraction(25)))
    shut = pictures.read(list(pictures.decode(made))).of("blink")
    assert shut[8] > 0.8 and shut[:5].max() < 0.2 and shut[13:].max() < 0.2
