"""Exact arithmetic between seconds and frames."""

from fractions import Fraction

import pytest

from avatar_jax.timeline import Timeline, frame_count, frame_times, frames_in, nearest_frame, rate, seconds_of


@pytest.mark.parametrize(
    ("value", "exact"),
    [
        (12.5, Fraction(25, 2)),
        (25, Fraction(25)),
        (29.97, Fraction(30000, 1001)),
        (23.976, Fraction(24000, 1001)),
        ("48", Fraction(48)),
    ],
)
def test_rate_is_exact(value: float, exact: Fraction) -> None:
    assert rate(value) == exact


@pytest.mark.parametrize(
    ("samples", "hertz", "fps", "frames"),
    [
        (160000, 16000, 25, 250),
        (319, 16000, 25, 1),
        (16000 * 60 + 320, 16000, 25, 1501),
        (16000 * 60 + 319, 16000, 25, 1500),
        (44100 * 1200, 44100, 48, 57600),
    ],
)
def test_frame_count_rounds_half_up(samples: int, hertz: int, fps: int, frames: int) -> None:
    assert frame_count(samples, hertz, fps) == frames


def test_no_rounding_piles_up_over_twenty_minutes() -> None:
    times = frame_times(36000, 29.97)
    assert times[-1] == Fraction(35999 * 1001, 30000)
    assert nearest_frame(times[-1], 29.97) == 35999


@pytest.mark.parametrize("samples", [3200, 16000, 163840, 959999])
@pytest.mark.parametrize("fps", [12.5, 25, 29.97, 48])
def test_model_frames_cover_every_output_frame(samples: int, fps: float) -> None:
    line = Timeline(samples, 16000, rate(fps), rate(12.5))
    assert line.output_times()[-1] <= line.model_times()[-1]
    assert line.model_frames == 1 or line.output_times()[-1] > line.model_times()[-2]


def test_arrays_of_frames_become_seconds_as_exactly_as_single_ones() -> None:
    times = seconds_of([0, 1, 2.5, 1199 * 25], Fraction(25, 2))
    assert times.dtype == "float64" and times.tolist() == [0, 0.08, 0.2, 2398]
    assert float(seconds_of(3, "30000/1001")) == pytest.approx(float(frame_times(1, "30000/1001", 3)[0]), abs=1e-15)
    assert frames_in(3.2, Fraction(25, 2)) == 40
