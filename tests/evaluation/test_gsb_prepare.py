"""Pairs for blind judging: copies tell nothing, pictures stay as they are, bad videos are left out and named."""

import shutil
from pathlib import Path

import av
import numpy as np
import pytest

pytest.importorskip("starlette", reason="needs the review extra")

from avatar_jax.evaluation.gsb import comparison as kept
from avatar_jax.evaluation.gsb.anonymous import copy_anonymously, facts_of
from avatar_jax.evaluation.gsb.prepare import prepare
from avatar_jax.media import BadInput, read_frames, write_video
from tests.evaluation.gsb_folders import TELLS, pictures, write_set, write_systems, write_titled, write_tone


@pytest.fixture(scope="module")
def systems(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_systems(tmp_path_factory.mktemp("systems"), 3, 0.5)


def copied(systems: tuple[Path, Path], to: Path) -> tuple[Path, Path]:
    return shutil.copytree(systems[0], to / "ours"), shutil.copytree(systems[1], to / "theirs")


def times(path: Path) -> list[float]:
    with av.open(str(path)) as opened:
        return [float(frame.time or 0) for frame in opened.decode(video=0)]


@pytest.mark.parametrize(
    ("name", "codec", "sound", "same"),
    [
        ("a.mp4", "libx264", "aac", True),
        ("a.webm", "libvpx-vp9", "libopus", True),
        ("a.mp4", "libsvtav1", None, True),
        ("a.mkv", "libvpx", None, False),
        ("a.mov", "mpeg4", "aac", False),
    ],
)
def test_copies_tell_nothing(name: str, codec: str, sound: str | None, same: bool, tmp_path: Path) -> None:
    video, copy = tmp_path / name, tmp_path / "copy.mp4"
    write_titled(video, codec, sound)
    assert b"SecretTool" in video.read_bytes()
    copy_anonymously(video, copy, video if sound else None)
    assert not any(tell in copy.read_bytes() for tell in TELLS) and copy.stat().st_mtime == 0
    facts, before = facts_of(copy), facts_of(video)
    assert (facts.width, facts.height, facts.fps, facts.sound) == (64, 64, 25, sound is not None)
    assert facts.codec == (before.codec if same else "h264") and abs(facts.seconds - before.seconds) < 0.05
    assert np.allclose(times(copy), times(video), atol=0.002)
    apart = max(np.abs(a.astype(int) - b).max() for a, b in zip(read_frames(video), read_frames(copy), strict=True))
    assert apart == 0 if same else apart <= 6


def test_sound_stays(systems: tuple[Path, Path], tmp_path: Path) -> None:
    video, copy = systems[0] / "case-0.mp4", tmp_path / "copy.mp4"
    copy_anonymously(video, copy, video)
    heard = []
    for path in (video, copy):
        with av.open(str(path)) as opened:
            parts = [frame.to_ndarray().astype(np.float64).ravel() for frame in opened.decode(audio=0)]
            heard.append(np.concatenate(parts))
    assert len(heard[0]) == len(heard[1]) and np.abs(heard[0] * 32768 - heard[1]).max() <= 1


def test_pairs(systems: tuple[Path, Path], tmp_path: Path) -> None:
    told = prepare(*systems, write_set(tmp_path / "set", 3, 0.5), tmp_path / "out", seed=3, raters=2)
    assert told == kept.read(tmp_path / "out") and (told.systems, told.raters) == (("ours", "theirs"), 2)
    assert [pair.case for pair in told.pairs] == ["case-0", "case-1", "case-2"] and not told.left_out
    first = told.pairs[0]
    assert first.notes == ("sizes differ: 64x64 and 96x96", "frame rates differ: 25 and 10")
    assert first.tags == {"language": "en"} and first.prompt == "smile <b>0</b>"
    names = sorted(path.name for path in (tmp_path / "out" / "videos").iterdir())
    assert len(names) == 7 and not any("case" in name or name.startswith(".") for name in names)
    again = prepare(*systems, tmp_path / "set", tmp_path / "out", seed=3, raters=2)
    assert again == told, "an interrupted evening goes on with the same names and sides"
    for changed in ({"seed": 4, "set_folder": tmp_path / "set"}, {"seed": 3, "set_folder": None}):
        with pytest.raises(BadInput, match="another one lies there"):
            prepare(*systems, out=tmp_path / "out", raters=2, **changed)


def test_what_cannot_be_judged_is_left_out_and_named(systems: tuple[Path, Path], tmp_path: Path) -> None:
    ours, theirs = copied(systems, tmp_path)
    whole = (ours / "case-0.mp4").read_bytes()
    for name, content in (("cut", whole[: len(whole) // 2]), ("empty", b""), ("noise", bytes(range(256)) * 9)):
        (ours / f"{name}.mp4").write_bytes(content)
        (theirs / f"{name}.mp4").write_bytes(whole)
    (ours / "mine.mp4").write_bytes(whole)
    (theirs / "yours.mkv").write_bytes(whole)
    (theirs / "case-2").mkdir()
    (theirs / "case-2.mp4").rename(theirs / "case-2" / "video.mp4")
    (theirs / "readme.txt").write_text("not a video")
    told = prepare(ours, theirs, None, tmp_path / "out", 0, 3)
    assert [pair.case for pair in told.pairs] == ["case-0", "case-1", "case-2"]
    assert set(told.left_out) == {"cut", "empty", "noise", "mine", "yours"}
    assert told.left_out["mine"] == "only ours has it" and told.left_out["yours"] == "only theirs has it"
    assert all(told.left_out[name].startswith("ours: damaged") for name in ("cut", "empty", "noise"))


def test_without_sound_and_other_lengths(systems: tuple[Path, Path], tmp_path: Path) -> None:
    ours, theirs = copied(systems, tmp_path)
    write_video(ours / "case-0.mp4", pictures(0.5, 25, 64, 7), 25)
    write_video(ours / "case-1.mp4", pictures(1, 25, 64, 7), 25, audio=write_tone(tmp_path / "a.wav", 1))
    for folder in (ours, theirs):
        write_video(folder / "case-2.mp4", pictures(0.5, 25, 64, 7), 25)
    told = prepare(ours, theirs, None, tmp_path / "out", 0, 3)
    notes = [pair.notes for pair in told.pairs]
    assert "ours: no sound of its own, heard with the other video's" in notes[0]
    assert "lengths differ: 1.00 s and 0.50 s" in notes[1]
    assert notes[2] == ("ours: no sound", "theirs: no sound")
    videos = tmp_path / "out" / "videos"
    assert facts_of(videos / told.pairs[0].a).sound and not facts_of(videos / told.pairs[2].a).sound
    lent = prepare(ours, theirs, write_set(tmp_path / "set", 3, 0.5), tmp_path / "with set", 0, 3)
    assert lent.pairs[2].notes[0] == "ours: no sound of its own, heard with the set's recording"
    assert facts_of(tmp_path / "with set" / "videos" / lent.pairs[2].b).sound


def test_refused_folders(systems: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(systems[0] / "case-0.mp4", other / "elsewhere.mp4")
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "case-0.mp4").write_bytes(b"")
    for b, told in (
        (tmp_path / "missing", "no such folder"),
        (tmp_path / "none", "no video in it"),
        (other, "none is in both"),
        (systems[0], "twice"),
        (broken, "no pair can be played"),
    ):
        with pytest.raises(BadInput, match=told):
            prepare(systems[0], b, None, tmp_path / "out", 0, 3)
    assert not (tmp_path / "out" / kept.FILE).exists()
