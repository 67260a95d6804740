"""The encoder: exact frames, whole sound, all or nothing on disk."""

import errno
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from avatar_jax.media import BadInput, load_audio, read_frames, unwritable, write_video


def frames(count: int, side: int = 64) -> list[np.ndarray]:
    """Grey frames whose level tells their index."""
    return [np.full((side, side, 3), 20 + 5 * i, np.uint8) for i in range(count)]


def wav(path: Path, seconds: float, rate: int = 44100) -> Path:
    import wave

    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        t = np.arange(round(seconds * rate)) / rate
        file.writeframes((8000 * np.sin(2 * np.pi * 440 * t)).astype("<i2").tobytes())
    return path


@pytest.mark.parametrize("fps", [25, 30, 48, Fraction(30000, 1001)])
def test_every_frame_comes_back_in_order(fps: Fraction, tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    assert write_video(path, iter(frames(40)), fps, count=40) == 40
    back = [int(f.mean()) for f in read_frames(path)]
    np.testing.assert_allclose(back, [20 + 5 * i for i in range(40)], atol=3)
    with av.open(str(path)) as container:
        assert container.streams.video[0].average_rate == fps
        assert [f.pts * f.time_base for f in container.decode(video=0)] == [Fraction(i) / fps for i in range(40)]


@pytest.mark.parametrize("rate", [8000, 44100, 96000])
def test_sound_is_kept_whole(rate: int, tmp_path: Path) -> None:
    sound = wav(tmp_path / "a.wav", 1.13, rate)
    write_video(tmp_path / "a.mp4", frames(28), 25, 28, sound)
    seconds = load_audio(tmp_path / "a.mp4").seconds
    # The container may pad by up to one AAC frame (1024 samples) at each end.
    assert Fraction(113, 100) - Fraction(1, 1000) <= seconds <= Fraction(113, 100) + Fraction(2048, min(rate, 48000))


def test_nothing_but_the_result_is_left(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.mp4"
    write_video(path, frames(3), 25)
    write_video(path, frames(4), 25)
    assert [p.name for p in path.parent.iterdir()] == ["a.mp4"]
    assert len(list(read_frames(path))) == 4


@pytest.mark.parametrize("count", [2, 6])
def test_a_wrong_number_of_frames_leaves_nothing(count: int, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="frames"):
        write_video(tmp_path / "a.mp4", frames(4), 25, count)
    assert list(tmp_path.iterdir()) == []


def test_a_failure_while_frames_are_made_leaves_the_old_video(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write_video(path, frames(3), 25)
    old = path.read_bytes()

    def failing():
        yield from frames(2)
        raise RuntimeError("the model failed")

    with pytest.raises(RuntimeError):
        write_video(path, failing(), 25)
    assert path.read_bytes() == old and [p.name for p in tmp_path.iterdir()] == ["a.mp4"]


def test_an_output_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "file" / "a.mp4", tmp_path, Path("/proc/none/a.mp4")):
        with pytest.raises(BadInput):
            write_video(path, frames(2), 25)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT])
def test_no_space_is_told_in_three_lines(code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(code, "cannot")

    monkeypatch.setattr(av, "open", full)
    with pytest.raises(BadInput) as error:
        write_video(tmp_path / "a.mp4", frames(2), 25)
    assert len(str(error.value).splitlines()) == 3
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_device_that_is_really_full() -> None:
    try:
        with Path("/dev/full").open("wb", buffering=0) as file:
            file.write(b"x")
    except OSError as error:
        assert "no space" in str(unwritable("a.mp4", error))


def test_not_a_video(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("no video " * 50)
    for path in (tmp_path / "a.mp4", tmp_path / "none.mp4"):
        with pytest.raises(BadInput):
            list(read_frames(path))
