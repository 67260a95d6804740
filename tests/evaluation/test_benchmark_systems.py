"""The systems that are compared: cheap ones by their frames and sound; all of them behind `slow`."""

import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from avatar_jax.evaluation.benchmark import edition, systems
from avatar_jax.evaluation.benchmark.manifest import SetCase
from avatar_jax.evaluation.benchmark.sharing import keep_to, make_together
from avatar_jax.evaluation.benchmark.systems import Studio
from avatar_jax.media import BadInput, load_audio, read_frames, write_video


def case(name: str, audio: str, truth: str | None = None) -> SetCase:
    return SetCase(name, "p.png", audio, "speaks", 1.0, "CC0", truth=truth)


def shades(path: Path) -> list[int]:
    """Brightness of the frames, in steps of 10."""
    return [round(float(frame.mean()) / 10) for frame in read_frames(path)]


def test_names() -> None:
    assert systems.named("") == list(systems.SYSTEMS)
    assert systems.named("shifted, ours") == ["ours", "shifted_late", "shifted_early"]
    with pytest.raises(BadInput, match="nobody"):
        systems.named("ours,nobody")


def test_frames_are_shown_later_or_earlier() -> None:
    frames = [np.full((2, 2, 3), i, np.uint8) for i in range(6)]
    assert [int(f[0, 0, 0]) for f in systems.moved(iter(frames), 2)] == [0, 0, 0, 1, 2, 3]
    assert [int(f[0, 0, 0]) for f in systems.moved(iter(frames), -2)] == [2, 3, 4, 5, 5, 5]


def test_shifted_and_truth_in_folders(tmp_path: Path) -> None:
    """Shifted needs ours; what is there is not made again; truth is the set's own file."""
    edition.write_sound(tmp_path / "a.wav", np.zeros(8000), 8000)
    ramp = [np.full((64, 64, 3), 10 * i, np.uint8) for i in range(25)]
    write_video(tmp_path / "truth.mp4", ramp, 25, audio=tmp_path / "a.wav")
    one = case("one", "a.wav", "truth.mp4")
    studio = Studio(tmp_path, tmp_path / "out", [one])
    assert [f.case for f in systems.make_systems(studio, ["shifted_late"])] == ["one"]
    studio.failures.clear()
    systems.put(tmp_path / "truth.mp4", studio.video("ours", one))
    assert not systems.make_systems(studio, ["truth", "shifted_late", "shifted_early"])
    assert shades(studio.video("truth", one)) == list(range(25))
    assert shades(studio.video("shifted_late", one)) == [0, 0, 0, *range(22)]
    assert shades(studio.video("shifted_early", one)) == [*range(3, 25), 24, 24, 24]
    made = studio.video("shifted_late", one).stat().st_mtime_ns
    systems.make_systems(studio, ["shifted_late"])
    assert studio.video("shifted_late", one).stat().st_mtime_ns == made
    with pytest.raises(BadInput, match="truth"):
        systems.make_systems(Studio(tmp_path, tmp_path / "other", [case("two", "a.wav")]), ["truth"])


def test_other_sound_of_the_same_length(tmp_path: Path) -> None:
    """A shorter sound is repeated, a longer one cut; the length is exact at the case's own rate."""
    rng = np.random.default_rng(0)
    short, long = 8000 * rng.standard_normal(12_000), 8000 * rng.standard_normal(30_000)
    edition.write_sound(tmp_path / "short.wav", short, 16_000)
    edition.write_sound(tmp_path / "long.wav", long, 22_050)
    systems.write_fitted(tmp_path / "repeated.wav", tmp_path / "short.wav", tmp_path / "long.wav")
    systems.write_fitted(tmp_path / "cut.wav", tmp_path / "long.wav", tmp_path / "short.wav")
    repeated, cut = load_audio(tmp_path / "repeated.wav"), load_audio(tmp_path / "cut.wav")
    assert (repeated.samples, repeated.sample_rate) == (30_000, 22_050)
    assert (cut.samples, cut.sample_rate) == (12_000, 16_000)
    assert np.corrcoef(cut.mono, load_audio(tmp_path / "long.wav").mono[:12_000])[0, 1] > 0.99
    with pytest.raises(BadInput, match="one case"):
        systems.make_systems(Studio(tmp_path, tmp_path / "out", [case("one", "short.wav")]), ["shuffled"])


def test_parts_are_all_cases_once_and_processes_make_them(tmp_path: Path) -> None:
    """Two processes make a half each; what they leave, because a truth is not there, is told here."""
    edition.write_sound(tmp_path / "a.wav", np.zeros(8000), 8000)
    write_video(tmp_path / "truth.mp4", [np.full((64, 64, 3), 99, np.uint8)] * 5, 25)
    cases = [case(name, "a.wav", "truth.mp4") for name in "abc"]
    studio = Studio(tmp_path, tmp_path / "out", cases)
    halves = [[one.case for one in replace(studio, part=(k, 2)).missing("truth")] for k in range(2)]
    assert halves == [["a", "c"], ["b"]]
    assert not make_together(studio, ["truth", "shifted_late"], 1)[3:]
    assert not studio.missing("truth") and [f.case for f in studio.failures] == ["a", "b", "c"]
    other = Studio(tmp_path, tmp_path / "other", [*cases, case("d", "a.wav")])
    with pytest.raises(BadInput, match="truth"):
        make_together(other, ["truth"], 2)
    assert [one.case for one in other.missing("truth")] == ["d"]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system cannot bind a process to cores")
def test_a_part_keeps_to_its_share_of_the_cores() -> None:
    cores = os.sched_getaffinity(0)
    try:
        keep_to(0, 2)
        assert os.sched_getaffinity(0) == set(sorted(cores)[::2])
        keep_to(5, 9)
        assert os.sched_getaffinity(0) == set(sorted(cores)[::2])
    finally:
        os.sched_setaffinity(0, cores)


@pytest.mark.slow
def test_every_system_on_two_cases(tmp_path: Path) -> None:
    """Every system gives a video of every case, made by two processes and as long as the sound; a second call makes
    nothing."""
    cases = edition.build(edition.EditionConfig(tmp_path / "set", 2, 1.6, workers=1))
    studio = Studio(tmp_path / "set", tmp_path / "out", cases, overrides=("--size=256",))
    assert not make_together(studio, systems.named(""), 2)
    videos = {name: [studio.video(name, one) for one in cases] for name in systems.SYSTEMS}
    for name, paths in videos.items():
        for path in paths:
            frames = np.stack(list(read_frames(path)))
            assert len(frames) == Fraction(8, 5) * 25, name
            moves = np.abs(np.diff(frames.astype(int), axis=0)).mean()
            assert (moves < 0.5) == (name == "still"), name
    assert all((tmp_path / "out" / name / f"{cases[0].case}.report.json").is_file() for name in ("ours", "chained"))
    times = {path: path.stat().st_mtime_ns for paths in videos.values() for path in paths}
    systems.make_systems(studio, systems.named(""))
    assert times == {path: path.stat().st_mtime_ns for path in times}
