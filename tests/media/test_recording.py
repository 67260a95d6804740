"""Every bad or odd recording of the issue: handled with its exact length, or refused in three lines."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from avatar_jax.media import BadInput, load_audio


def tone(seconds: float, rate: int, channels: int = 1) -> np.ndarray:
    """[channels, n] float32: 440 Hz in every channel."""
    t = np.arange(round(seconds * rate)) / rate
    return np.tile((0.4 * np.sin(2 * np.pi * 440 * t)).astype(np.float32), (channels, 1))


def save(
    path: Path, wave: np.ndarray, rate: int, codec: str, sample: str, layout: str = "mono", picture: bool = False
) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        stream.codec_context.format = sample
        if picture:
            video = container.add_stream("libx264", rate=10)
            video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
            for _ in range(10):
                container.mux(video.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")))
            container.mux(video.encode(None))
        resampler = av.AudioResampler(format=sample, layout=layout, rate=rate)
        frame = av.AudioFrame.from_ndarray(wave, format="fltp", layout=layout)
        frame.sample_rate = rate
        size = stream.codec_context.frame_size
        fifo = av.AudioFifo()
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            fifo.write(part)
        while (part := fifo.read(size or 4096, partial=True)) is not None:
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    return path


FORMATS = {
    "8 kHz 8-bit mono wav": ("a.wav", 8000, 1, "pcm_u8", "u8", "mono", 0),
    "44.1 kHz stereo wav": ("a.wav", 44100, 2, "pcm_s16le", "s16", "stereo", 0),
    "96 kHz 5.1 wav": ("a.wav", 96000, 6, "pcm_s24le", "s32", "5.1", 0),
    "32-bit float wav": ("a.wav", 48000, 1, "pcm_f32le", "flt", "mono", 0),
    "mp3": ("a.mp3", 44100, 1, "libmp3lame", "fltp", "mono", 2500),
    "ogg": ("a.ogg", 48000, 1, "libopus", "s16", "mono", 1500),
    "flac": ("a.flac", 44100, 1, "flac", "s16", "mono", 0),
    "m4a": ("a.m4a", 44100, 1, "aac", "fltp", "mono", 2500),
}


@pytest.mark.parametrize("name", FORMATS)
def test_formats(name: str, tmp_path: Path) -> None:
    file, rate, channels, codec, sample, layout, slack = FORMATS[name]
    path = save(tmp_path / file, tone(1.0, rate, channels), rate, codec, sample, layout)
    recording = load_audio(path)
    assert recording.sample_rate == rate and abs(recording.samples - rate) <= slack
    assert len(recording.mono) == -(-recording.samples * 16000 // rate)
    middle = recording.mono[4000:12000]
    assert 0.2 < np.abs(middle).max() <= 1.0
    assert np.abs(np.fft.rfft(middle)).argmax() == 220


def test_mp4_with_picture(tmp_path: Path) -> None:
    path = save(tmp_path / "a.mp4", tone(1.0, 48000), 48000, "aac", "fltp", picture=True)
    assert abs(float(load_audio(path).seconds) - 1) < 0.06


def test_length_is_the_originals_not_the_resampled_one(tmp_path: Path) -> None:
    path = save(tmp_path / "a.wav", tone(1.0, 44100)[:, :44001], 44100, "pcm_s16le", "s16")
    assert load_audio(path).seconds == Fraction(44001, 44100)


def test_silence_and_20_minutes_are_fine(tmp_path: Path) -> None:
    path = save(tmp_path / "long.wav", np.zeros((1, 1200 * 8000), np.float32), 8000, "pcm_u8", "u8")
    recording = load_audio(path)
    assert recording.seconds == 1200 and np.abs(recording.mono).max() < 0.01


def write_wav(path: Path, wave: np.ndarray, rate: int = 16000) -> Path:
    return save(path, wave.reshape(1, -1).astype(np.float32), rate, "pcm_f32le", "flt")


def test_more_than_20_minutes_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "long.wav", np.zeros((1, 1201 * 8000), np.float32), 8000, "pcm_u8", "u8")
    with pytest.raises(BadInput, match="20 minutes"):
        load_audio(path)


@pytest.mark.parametrize("seconds", [0.001, 0.1, 0.199])
def test_too_short_is_refused(seconds: float, tmp_path: Path) -> None:
    with pytest.raises(BadInput):
        load_audio(write_wav(tmp_path / "a.wav", np.zeros(int(seconds * 16000))))


def test_the_shortest_accepted(tmp_path: Path) -> None:
    assert load_audio(write_wav(tmp_path / "a.wav", np.zeros(3200))).samples == 3200


def test_samples_that_are_not_numbers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="not numbers"):
        load_audio(write_wav(tmp_path / "a.wav", np.full(16000, np.nan)))


def test_a_few_of_them_are_silenced_with_a_warning(tmp_path: Path) -> None:
    wave = tone(1.0, 16000)[0].copy()
    wave[100] = np.inf
    with pytest.warns(UserWarning, match="not numbers"):
        recording = load_audio(write_wav(tmp_path / "a.wav", wave))
    assert np.isfinite(recording.mono).all()


def truncated(path: Path, codec: str, sample: str, keep: float) -> Path:
    whole = save(path, tone(3.0, 44100), 44100, codec, sample).read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep)])
    return path


REFUSED = {
    "missing": lambda d: d / "none.wav",
    "folder": lambda d: d,
    "empty": lambda d: [d / "a.wav", (d / "a.wav").touch()][0],
    "text": lambda d: (d / "a.wav").write_text("hello " * 200) and d / "a.wav",
    "noise bytes": lambda d: (d / "a.mp3").write_bytes(bytes(range(256)) * 40) and d / "a.mp3",
    "wav cut short": lambda d: truncated(d / "a.wav", "pcm_s16le", "s16", 0.5),
    "m4a cut short": lambda d: truncated(d / "a.m4a", "aac", "fltp", 0.6),
    "flac cut short": lambda d: truncated(d / "a.flac", "flac", "s16", 0.5),
    "wav header alone": lambda d: truncated(d / "a.wav", "pcm_s16le", "s16", 0.0001),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_three_lines(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput) as error:
        load_audio(REFUSED[name](tmp_path))
    assert len(str(error.value).splitlines()) == 3


def test_video_without_sound_is_refused(tmp_path: Path) -> None:
    from avatar_jax.media import write_video

    write_video(tmp_path / "mute.mp4", [np.zeros((32, 32, 3), np.uint8)] * 5, 25)
    with pytest.raises(BadInput, match="sound"):
        load_audio(tmp_path / "mute.mp4")
