"""Requests of any length, portrait and storyline share few compiled programs, and waves change nothing."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import sample
from avatar_jax.director.storyline import Shot, Sound, Storyline
from avatar_jax.models.clip_vision import encode_pictures
from avatar_jax.models.umt5 import encode_ids
from avatar_jax.sampling.keyframes import FrameScores, select_keyframes
from avatar_jax.sampling.public.clips import window_of
from avatar_jax.sampling.public.clock import grid_points, lengths, plan_clips
from avatar_jax.sampling.public.config import COMMON, GRID, PublicConfig
from avatar_jax.sampling.public.pictures import decode_video, encode_video, frame_size
from avatar_jax.sampling.public.prompts import ShotTexts
from avatar_jax.sampling.public.solving import solve_windows
from avatar_jax.sampling.segments import SegmentConfig, plan_segments, sample_segments
from tests.e2e.public_weights import write_family
from tests.e2e.untrained import write_portrait, write_speech
from tests.sampling.toy import C, P, ToyDenoiser, noise

CONFIG = PublicConfig("skyreels_a2v_19b")


def window(frames: int, seed: int, config: PublicConfig = CONFIG) -> int:
    points = grid_points(frames)
    rng = np.random.default_rng(seed)
    scores = FrameScores(*rng.uniform(0.6, 1, (3, points)), rng.normal(size=(points, 4)))
    clips = plan_clips(select_keyframes(scores, GRID, lengths(config, points)).model_frames)
    assert window_of(clips, config) >= max(clip.steps for clip in clips) + config.clips.repeat
    return window_of(clips, config)


def test_all_lengths_of_recording_share_three_windows() -> None:
    rng = np.random.default_rng(0)
    recordings = [*range(2, 80, 3), *rng.integers(80, 3000, 40)]
    assert {window(int(n), i) for i, n in enumerate(recordings)} == {81, 41, 21}
    assert {window(int(n), i) for i, n in enumerate(recordings) if n > 160} == {81}
    exact = replace(CONFIG, lengths=0)
    assert len({window(int(n), i, exact) for i, n in enumerate(recordings)}) > 8


def test_all_portraits_share_eleven_sizes() -> None:
    rng = np.random.default_rng(0)
    pictures = rng.integers(300, 4000, (500, 2))
    assert len({frame_size(*map(int, wh), CONFIG.area, 8, COMMON) for wh in pictures}) <= len(COMMON)
    assert len({frame_size(*map(int, wh), CONFIG.area, 8) for wh in pictures}) > 30
    assert frame_size(480, 832, 480 * 832, 8, COMMON) == (480, 832)
    assert frame_size(1280, 720, 720 * 1280, 8, COMMON) == (1280, 720)
    for width, height in pictures:
        wide, high = frame_size(int(width), int(height), CONFIG.area, 8, COMMON)
        inside = min(max(width / height, 9 / 16), 16 / 9)
        assert abs(np.log(wide / high / inside)) < 0.15, "little is cropped"


def test_a_place_for_a_shot_that_is_not_there_changes_nothing() -> None:
    shots = [Shot(start=0, end=2), Shot(start=2, end=4)]
    story = Storyline(sound=Sound(samples=64_000, sample_rate=16_000), shots=shots)
    texts = ShotTexts(story, np.arange(4.0).reshape(4, 1, 1), (0, 1), (2, 3))
    seconds_BT = np.array([[0.5, 1.9, 2.1, 3.0]])
    two, four = texts.at(seconds_BT, 2), texts.at(seconds_BT, 4)
    assert four[0].shape == (1, 4, 1, 1) and not four[2][..., 2:].any()
    for a, b in zip(two[:2], four[:2], strict=True):
        np.testing.assert_array_equal(a, b[:, :2])
    np.testing.assert_array_equal(two[2], four[2][..., :2])


def test_waves_of_the_embedded_cascade_change_nothing() -> None:
    """Five sub-clips on two places are three calls, with the results of one call."""
    segments = plan_segments([0, 8, 16, 24, 32, 40])
    keys = {n: noise("key", n, 0)[0] for n in (0, 8, 16, 24, 32, 40)}
    made = {}
    for wave in (5, 2):
        denoise = ToyDenoiser(noisy=0.3, leak=0.2)
        config = SegmentConfig(wave=wave)
        made[wave] = sample_segments(denoise, noise, segments, keys, config, [0] * 5, {}, lambda segment, latents: None)
        assert [len(windows) for windows in denoise.seen] == ([5] if wave == 5 else [2, 2, 1])
    for index in range(5):
        assert made[2][index].shape == (9, P, C)
        np.testing.assert_allclose(made[2][index], made[5][index], atol=1e-6)


@pytest.mark.slow
@pytest.mark.xdist_group("mesh")
def test_five_sub_clips_on_two_places_and_another_length(tmp_path: Path) -> None:
    """Waves on a mesh give what one call gives; then a longer recording compiles none of the large programs."""
    weights = write_family(tmp_path / "weights", "skyreels_a2v_19b")
    portrait = write_portrait(tmp_path / "face.png")

    def latents(out: str, seconds: float, *more: str) -> list[np.ndarray]:
        speech = write_speech(tmp_path / f"{out}.wav", seconds)
        given = [
            "--config", "configs/skyreels_a2v_19b.py", "--weights", str(weights), "--image", str(portrait), "--audio",
            str(speech), "--out", str(tmp_path / out), "--numbers=fp32", "--area=1024", "--window=13",
            "--blueprint.frames=13", "--seams.drop=0", *more,
        ]  # fmt: skip
        assert sample.main(given) == 0
        folder = tmp_path / out / "segments"
        return [np.load(path)["latents"] for path in sorted(folder.glob("[0-9]*.npz"))]

    at_once = latents("at_once", 1.6, "--rows=5")
    assert len(at_once) == 5
    in_waves = latents("in_waves", 1.6, "--mesh", "data=2")
    for a, b in zip(at_once, in_waves, strict=True):
        # Key frames are rounded to whole levels, where a tie may fall to either side; another window is ones away.
        np.testing.assert_allclose(a, b, atol=5e-3)
    big = (solve_windows, encode_video.anywhere, decode_video.anywhere, encode_pictures, encode_ids)
    programs = [program._cache_size() for program in big]
    assert len(latents("longer", 2.2, "--mesh", "data=2")) == 7
    assert [program._cache_size() for program in big] == programs, "one executable of each serves both requests"
