"""Index map, grid, masks and steering of the cascade on public weights: by hand, without a model."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from avatar_jax.diffusion.schedule import wan_euler_sigmas
from avatar_jax.diffusion.solver import Stage, integrate
from avatar_jax.director.storyline import Shot, Sound, Storyline
from avatar_jax.media import BadInput
from avatar_jax.sampling.keyframes import FrameScores, select_keyframes
from avatar_jax.sampling.public.clock import (
    BlueprintMap,
    grid_points,
    lengths,
    part_names,
    plan_clips,
    plan_seams,
    require_grid,
)
from avatar_jax.sampling.public.config import GRID, ClipConfig, PublicConfig, SeamConfig
from avatar_jax.sampling.public.joining import retimed
from avatar_jax.sampling.public.known import held_latents, known_frames, mask_channels, per_latent, pulled_latents
from avatar_jax.sampling.public.pictures import colour_matched, fitted, frame_size
from avatar_jax.sampling.public.prompts import ShotTexts, shot_prompt
from avatar_jax.sampling.public.scores import score_frames
from avatar_jax.sampling.public.solving import Given, steered

SKYREELS = PublicConfig(family="skyreels_a2v_19b")


def test_the_published_index_map_keeps_exact_times() -> None:
    index = BlueprintMap(made=81, frames=1501)
    assert index.times()[0] == 0 and index.times()[-1] == 1500 and index.times()[1] == Fraction(75, 4)
    for end in (64, 76, 700, 1500):
        assert index.frame_at(end) == round(end * 80 / 1500)
    assert index.frame_at(1503) == 80, "the padding behind the recording shows its last frame"
    assert [BlueprintMap(5, 5).frame_at(i) for i in range(5)] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("frames", [3, 5, 30, 77, 78, 150, 153, 154, 301, 2000])
def test_sub_clips_cover_the_recording_within_the_window(frames: int) -> None:
    points = grid_points(frames)
    limits = lengths(SKYREELS, points)
    rng = np.random.default_rng(frames)
    scores = FrameScores(*rng.uniform(0.6, 1, (3, points)), rng.normal(size=(points, 4)))
    clips = plan_clips(select_keyframes(scores, GRID, limits).model_frames)
    assert clips[0].first == 0 and frames - 1 <= clips[-1].last < max(frames - 1, 4) + GRID
    assert all(clip.first % GRID == 0 and 0 < clip.steps <= 76 for clip in clips)
    seams = plan_seams(clips, SKYREELS)
    assert len(seams) == len(clips) - 1 if frames > 150 else len(seams) < len(clips)
    assert all(seam.length == 25 and seam.first > clips[seam.index - 1].first for seam in seams)
    names = part_names(frames, clips, seams)
    assert len(names) == frames
    tight = lengths(PublicConfig("x", window=9), points)
    assert all(clip.steps == 4 for clip in plan_clips(select_keyframes(scores, GRID, tight).model_frames))
    assert sum(name.startswith("seam") for name in names) == 15 * len(seams)


def test_masks_by_hand() -> None:
    picture = np.full((1, 8, 8, 3), 0.5, np.float32)
    last_BF = np.arange(13)[None] >= 8
    known = known_frames(picture[:, None], picture, last_BF, 13)
    mask = mask_channels(known.told_BF, 1, 1)[0, :, 0, 0]
    np.testing.assert_array_equal(mask, [[1, 1, 1, 1], [0, 0, 0, 0], [0, 0, 0, 1], [1, 1, 1, 1]])
    assert not known.shown()[0, 1:8].any() and (known.shown()[0, 8:] == 0.5).all()
    np.testing.assert_array_equal(held_latents(known, everywhere=False), [[1, 0, 0, 0]])
    np.testing.assert_array_equal(held_latents(known, everywhere=True), [[1, 0, 0, 1]])
    flf = known_frames(picture[:, None], picture, np.arange(13)[None] >= 12, 13)
    np.testing.assert_array_equal(mask_channels(flf.told_BF, 1, 1)[0, -1, 0, 0], [0, 0, 0, 1])


def test_a_soft_tail_is_not_told_but_pulled_to() -> None:
    picture = np.full((1, 8, 8, 3), 0.5, np.float32)
    known = known_frames(picture[:, None], -picture, np.arange(13)[None] >= 8, 13, tail=0.7)
    assert not known.shown()[0, 8:].any()
    np.testing.assert_allclose(pulled_latents(known), [[0, 0, 0, 0.7]], rtol=1e-6)
    assert known.filled()[0, 4].min() == 0.5 and known.filled()[0, 5].max() == -0.5
    np.testing.assert_array_equal(per_latent(np.arange(5.0)[None])[0], [[0, 0, 0, 0], [1, 2, 3, 4]])


def steering(hold: float, pull: float) -> tuple[np.ndarray, np.ndarray]:
    """(where the first latent ends, its known value) when the model itself wants zeros."""
    noise = jax.random.normal(jax.random.key(0), (1, 2, 1, 1, 3))
    value = jnp.full((1, 2, 1, 1, 3), 2.0)
    at_first = jnp.array([[1.0, 0.0]])
    empty = jnp.zeros((1, 1, 1, 1))
    given = Given(
        empty, empty, empty[..., 0], None, None, None, None, None, value, hold * at_first, pull * at_first
    )  # fmt: skip
    towards_zero = lambda x, t, memory: (x / t, memory)  # noqa: E731
    x = integrate([Stage(steered(towards_zero, noise, given), 0, 4)], noise, wan_euler_sigmas(4, 11.0))
    np.testing.assert_allclose(x[0, 1], 0, atol=1e-5)
    return np.asarray(x[0, 0]), np.asarray(value[0, 0])


def test_held_latents_end_on_their_value_and_pulled_ones_lean_to_it() -> None:
    np.testing.assert_allclose(*steering(hold=1, pull=0), atol=1e-5)
    pulled, value = steering(hold=0, pull=0.7)
    assert (pulled > 0.01).all() and (pulled < value).all()


def test_lengths_that_cannot_be_windows_are_refused() -> None:
    require_grid(SKYREELS)
    for wrong in (
        PublicConfig("x", window=80),
        PublicConfig("x", clips=ClipConfig(repeat=4)),
        PublicConfig("x", seams=SeamConfig(lead=7)),
        PublicConfig("x", seams=SeamConfig(drop=3, lead=9)),
    ):
        with pytest.raises(BadInput):
            require_grid(wrong)


def test_other_rates_show_the_nearest_frame() -> None:
    def model() -> list[np.ndarray]:
        return [np.array(i) for i in range(26)]

    assert [int(f) for f in retimed(iter(model()), 26, Fraction(25), Fraction(25))] == list(range(26))
    assert [int(f) for f in retimed(iter(model()), 5, Fraction(50), Fraction(25))] == [0, 1, 1, 2, 2]
    assert [int(f) for f in retimed(iter(model()), 5, Fraction(25, 2), Fraction(25))] == [0, 2, 4, 6, 8]


def test_frames_have_the_portraits_proportions_in_whole_patches() -> None:
    assert frame_size(1000, 1000, 480 * 832, 8) == (624, 624)
    assert frame_size(480, 832, 480 * 832, 8) == (480, 832)
    wide, high = frame_size(3000, 300, 480 * 832, 8)
    assert wide % 16 == high % 16 == 0 and abs(wide / high - 16 / 9) < 0.05
    picture = np.zeros((100, 300, 3), np.uint8)
    picture[:, 200:] = 255
    assert fitted(picture, (64, 64), (250, 50)).mean() == 255
    assert fitted(picture, (64, 64), (0, 0)).max() == 0


def test_colours_are_matched_by_one_change_for_all_frames() -> None:
    rng = np.random.default_rng(0)
    portrait = rng.integers(90, 160, (32, 32, 3)).astype(np.uint8)
    frames = np.stack([portrait // 2, portrait // 2 + 20])
    matched = colour_matched(frames, portrait, 1.0)
    assert abs(matched.mean() - portrait.mean()) < 3 < abs(frames.mean() - portrait.mean())
    assert matched[1].mean() > matched[0].mean() + 10, "a change of light within the video stays"
    np.testing.assert_array_equal(colour_matched(frames, portrait, 0.0), frames)


def test_scores_fall_with_blur_other_faces_and_covered_views() -> None:
    rng = np.random.default_rng(0)
    portrait = rng.integers(60, 200, (64, 64, 3)).astype(np.uint8)
    blurred = np.full_like(portrait, 128)
    covered = portrait.copy()
    covered[4:44, 10:54] = (0, 110, 0)
    tokens = rng.normal(size=(3, 5, 8))
    tokens[0] = tokens[1]
    scores = score_frames(np.stack([portrait, blurred, covered]), tokens, portrait, tokens[0])
    assert scores.clarity[0] == 1 and scores.clarity[1] < 0.01
    assert scores.identity[0] == pytest.approx(1) and scores.identity[2] < 0.9
    assert scores.occlusion[0] == pytest.approx(1) and scores.occlusion[2] < 0.5
    assert scores.motion(0, 0) == 0 and scores.motion(0, 2) > 0.5


def two_shots() -> Storyline:
    shots = [
        Shot.model_validate({"start": 0, "end": 1, "emotion": "joy"}),
        Shot.model_validate({"start": 1, "end": 2, "emotion": "sadness", "voice": "listening"}),
    ]
    return Storyline(sound=Sound(samples=32000, sample_rate=16000), shots=shots, wish="happy, then sad", style="a film")


def test_every_window_reads_the_prompts_of_its_own_shots() -> None:
    story = two_shots()
    prompts = [shot_prompt(story, shot) for shot in story.shots]
    assert "happy" in prompts[0] and "listens" in prompts[1] and "sad" in prompts[1] and "a film" in prompts[1]
    texts = ShotTexts(story, np.arange(4.0).reshape(4, 1, 1), (0, 2), (1, 3))
    seconds = np.array([[0.0, 0.5], [1.5, 1.9]])
    assert texts.most(seconds) == 1 and texts.most(np.array([[0.5, 1.5]])) == 2
    wanted, unwanted, shares = texts.at(seconds, 1)
    assert wanted.ravel().tolist() == [0, 2] and unwanted.ravel().tolist() == [1, 3] and (shares == 1).all()
    _, _, shares = texts.at(np.array([[0.5, 1.5]]), 2)
    np.testing.assert_allclose(shares[0], [[1, 0], [0, 1]])
