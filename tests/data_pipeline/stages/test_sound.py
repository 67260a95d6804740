"""Loudness by the standard's own reference; sound begins with the picture, whatever the time stamps say."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from avatar_jax.media import BadInput
from data_pipeline.records import SOUND_RATE
from data_pipeline.stages.sound import SILENT, levelled, loudness, read_sound


def sine(seconds: float, level: float, hertz: float = 997.0) -> np.ndarray:
    return (level * np.sin(2 * np.pi * hertz * np.arange(int(seconds * SOUND_RATE)) / SOUND_RATE)).astype(np.float32)


def test_full_scale_sine_has_minus_three_lufs() -> None:
    """ITU-R BS.1770: a 997 Hz sine of full scale in one channel reads -3.01 LUFS."""
    assert loudness(sine(3, 1.0)) == pytest.approx(-3.01, abs=0.05)
    assert loudness(sine(3, 0.1)) == pytest.approx(-23.01, abs=0.05)


def test_pauses_do_not_count() -> None:
    wave = np.concatenate([sine(2, 0.1), np.zeros(6 * SOUND_RATE, np.float32)])
    assert loudness(wave) == pytest.approx(-23.0, abs=0.4)


def test_levelled_reaches_the_target_unless_the_peak_is_in_the_way() -> None:
    samples, facts = levelled(sine(3, 0.01), -23.0, -1.0)
    assert loudness(samples / 32768) == pytest.approx(-23.0, abs=0.1) and facts["gain"] == pytest.approx(20.0, abs=0.2)
    wave = sine(3, 0.01)
    wave[1000] = 0.8
    assert np.abs(levelled(wave, -23.0, -1.0)[0]).max() <= 32768 * 10 ** (-1 / 20) + 1
    silence, facts = levelled(np.zeros(SOUND_RATE, np.float32), -23.0, -1.0)
    assert not silence.any() and facts == {"loudness": SILENT, "gain": 0.0, "clipped": 0.0}


def write(path: Path, wave: np.ndarray, start: float) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=SOUND_RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray((wave * 32767).astype(np.int16)[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = SOUND_RATE, int(start * SOUND_RATE), Fraction(1, SOUND_RATE)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.mark.parametrize("start", [0.0, 0.25])
def test_sound_is_placed_by_its_time_stamps(start: float, tmp_path: Path) -> None:
    wave = np.zeros(2 * SOUND_RATE, np.float32)
    wave[SOUND_RATE] = 1.0
    write(tmp_path / "a.mkv", wave, start)
    mono, _ = read_sound(tmp_path / "a.mkv", Fraction(1, 2), int(1.5 * SOUND_RATE))
    assert int(np.argmax(np.abs(mono))) == pytest.approx((0.5 + start) * SOUND_RATE, abs=16)


def test_sound_that_ends_early_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.mkv", sine(1, 0.5), 0.0)
    with pytest.raises(BadInput, match=r"sound for 1\.00 of 3\.00 s"):
        read_sound(tmp_path / "a.mkv", Fraction(0), 3 * SOUND_RATE)
