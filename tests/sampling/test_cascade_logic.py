"""Blueprint, sub-clips, seams and insertion with a denoiser whose answer is known."""

from fractions import Fraction

import numpy as np
import pytest

from avatar_jax.diffusion.guidance import Guidance
from avatar_jax.sampling.blueprint import BlueprintConfig, plan_blueprint, sample_blueprint
from avatar_jax.sampling.config import SampleConfig
from avatar_jax.sampling.insertion import InsertionConfig, insert_frames, plan_insertion
from avatar_jax.sampling.joins import INSERTIONS, JOINS
from avatar_jax.sampling.seams import SeamConfig, part_of, repair_seams
from avatar_jax.sampling.segments import SegmentConfig, assemble, plan_segments, sample_segments
from avatar_jax.sampling.windows import SolverConfig, solve, windows_at
from avatar_jax.timeline import Timeline
from tests.sampling.toy import C, P, ToyDenoiser, noise, truth

KEYS = (0, 12, 21, 27, 33, 45, 60)


def run(
    denoise: ToyDenoiser,
    attempts: list[int] | None = None,
    seams: SeamConfig | None = None,
    fps: int = 25,
    insertion: InsertionConfig | None = None,
):
    """(track before seams, track, output frames) of a video with key frames KEYS."""
    segments = plan_segments(KEYS)
    keys = {k: truth(np.array(k)) + 0.5 for k in KEYS}
    attempts, insertion = attempts or [0] * len(segments), insertion or InsertionConfig(wave=3)
    made = sample_segments(denoise, noise, segments, keys, SegmentConfig(wave=4), attempts, {}, lambda *_: None)
    before = assemble(segments, made)
    config = seams or SeamConfig()
    track = repair_seams(denoise, noise, before, segments, config)
    line = Timeline(int(16_000 * 4.8), 16_000, Fraction(fps), Fraction(25, 2))
    plan = plan_insertion(line, segments, config.width, insertion)
    frames = np.stack(list(insert_frames(denoise, noise, track, line, plan, insertion)))
    assert len(frames) == line.frames
    return before, track, frames


def test_solver_ends_in_what_the_denoiser_predicts() -> None:
    times = np.arange(32.0).reshape(2, 16)
    windows = windows_at(times, (P, C))
    clean = solve(ToyDenoiser(), windows, np.stack([noise("a", 0, 0)] * 2), SolverConfig())
    np.testing.assert_allclose(clean, truth(times), atol=1e-5)


def test_hint_fades_with_the_noise() -> None:
    windows = windows_at(np.arange(16.0)[None], (P, C)).hinted(np.full((1, 16, P, C), 9.0), np.ones((1, 16)))
    predict = ToyDenoiser()(windows, Guidance())
    from avatar_jax.sampling.windows import pull

    clean = predict(np.zeros((1, 16, P, C), np.float32), 1.0)
    np.testing.assert_allclose(pull(windows, clean, 1.0), 9.0)
    np.testing.assert_allclose(pull(windows, clean, 0.0), clean)


@pytest.mark.parametrize("model_frames", [2, 10, 46, 47, 49, 300, 1000])
def test_blueprint_of_any_length(model_frames: int) -> None:
    config = BlueprintConfig()
    plan = plan_blueprint(model_frames, config)
    latents = sample_blueprint(ToyDenoiser(), noise, plan, config)
    assert plan.times[-1] >= model_frames - 1 and (plan.frames == 2 or plan.times[-2] < model_frames - 1)
    np.testing.assert_allclose(latents, truth(plan.times), atol=1e-5)


def test_blueprint_windows_share_their_latents() -> None:
    """With a denoiser that keeps noise, the two windows of a frame still agree: there is one track."""
    config = BlueprintConfig()
    plan = plan_blueprint(150, config)
    toy = ToyDenoiser(noisy=0.2)
    latents = sample_blueprint(toy, noise, plan, config)
    alone = sample_blueprint(toy, noise, plan_blueprint(46, config), config)
    assert np.isfinite(latents).all()
    np.testing.assert_array_equal(latents[:8], alone[:8])


def test_sub_clips_keep_their_key_frames_and_seams_do_not() -> None:
    before, track, _ = run(ToyDenoiser())
    for key in KEYS:
        np.testing.assert_array_equal(before[key], truth(np.array(key)) + 0.5)
    for key in KEYS[1:-1]:
        np.testing.assert_allclose(track[key], truth(np.array(key)), atol=1e-5)


def test_seams_change_two_frames_on_either_side() -> None:
    before, track, _ = run(ToyDenoiser(noisy=0.3, leak=0.3))
    changed = np.flatnonzero(np.abs(before - track).max(axis=(1, 2)) > 0)
    assert set(changed) == {key + d for key in KEYS[1:-1] for d in range(-2, 3)}


@pytest.mark.parametrize("fps", [24, 25, 48])
@pytest.mark.parametrize("redo", range(6))
def test_redo_changes_its_sub_clip_and_two_seams_only(redo: int, fps: int) -> None:
    toy = ToyDenoiser(noisy=0.3, leak=0.3)
    attempts = [0] * 6
    _, track, frames = run(toy, attempts, fps=fps)
    attempts[redo] = 1
    _, track_new, frames_new = run(toy, attempts, fps=fps)
    first, last = KEYS[redo], KEYS[redo + 1]
    changed = np.flatnonzero(np.abs(track - track_new).max(axis=(1, 2)) > 0)
    low, high = (first - 2 if redo else 0), (last + 2 if redo < 5 else last)
    assert len(changed) and changed.min() >= low and changed.max() <= high
    times = np.arange(len(frames)) * 12.5 / fps
    moved = times[np.abs(frames - frames_new).max(axis=(1, 2)) > 0]
    assert len(moved) and moved.min() > low - 1 and moved.max() < high + 1


def test_resumed_sub_clips_are_not_made_again() -> None:
    toy = ToyDenoiser(noisy=0.3)
    segments = plan_segments(KEYS)
    keys = {k: truth(np.array(k)) for k in KEYS}
    saved: list[int] = []
    args = (toy, noise, segments, keys, SegmentConfig(wave=4), [0] * 6)
    full = sample_segments(*args, {}, lambda s, _: saved.append(s.index))
    assert saved == list(range(6))
    saved.clear()
    half = sample_segments(*args, {i: full[i] for i in (0, 1, 2, 3, 5)}, lambda s, _: saved.append(s.index))
    assert saved == [4]
    np.testing.assert_array_equal(half[4], full[4])


def test_inserted_frames_are_generated_at_their_own_times() -> None:
    for fps in (24, 25, 30, 48):
        toy = ToyDenoiser()
        _, _, frames = run(toy, fps=fps, seams=SeamConfig())
        times = np.arange(len(frames)) * 12.5 / fps
        off = np.abs(times - np.round(times)) > 1e-6
        np.testing.assert_allclose(frames[off], truth(times[off]), atol=1e-5)


def test_ways_to_join() -> None:
    """Each as the config that is compared: what it does to the frames about a seam."""
    ways = {name: change(SampleConfig()) for name, change in JOINS.items()}
    before, hard, _ = run(ToyDenoiser(), seams=ways["hard key frames"].seams)
    np.testing.assert_array_equal(before, hard)
    _, blended, _ = run(ToyDenoiser(), seams=ways["plain blending"].seams)
    np.testing.assert_allclose(blended[12], (before[9] + before[15]) / 2, atol=1e-5)
    np.testing.assert_array_equal(np.flatnonzero((blended != before).any(axis=(1, 2)))[:5], [10, 11, 12, 13, 14])
    assert ways["regenerated seam"].seams.width == 2 and ways["soft tail"].seams.width == 0
    assert [way.segment.tail for way in ways.values()].count(1.0) == 3


@pytest.mark.parametrize("lean", [0, 2])
def test_soft_tail_pulls_the_end_and_lets_the_sound_decide(lean: int) -> None:
    segments = plan_segments((0, 12, 21))
    keys = {k: truth(np.array(k)) + 3 * (k == 12) for k in (0, 12, 21)}
    tracks = {}
    for tail in (0.0, 0.7, 1.0):
        config = SegmentConfig(tail=tail, lean=lean)
        made = sample_segments(ToyDenoiser(noisy=0.5), noise, segments, keys, config, [0, 0], {}, lambda *_: None)
        tracks[tail] = assemble(segments, made)
        np.testing.assert_array_equal(made[1][0], keys[12])
    error = {tail: np.abs(track[12] - keys[12]).mean() for tail, track in tracks.items()}
    assert error[1.0] == 0 < error[0.7] < error[0.0]
    moved = np.flatnonzero(np.abs(tracks[0.7] - tracks[0.0])[:13].max(axis=(1, 2)) > 1e-6)
    assert moved.tolist() == list(range(12 - lean, 13))


@pytest.mark.parametrize("fps", [24, 25, 48])
@pytest.mark.parametrize("name", INSERTIONS)
def test_ways_to_insert(name: str, fps: int) -> None:
    """Model frames stay; the others are where the way says: at their own times, on a line, or the frame before."""
    config = INSERTIONS[name](SampleConfig()).insertion
    _, track, frames = run(ToyDenoiser(), fps=fps, insertion=config)
    times = np.arange(len(frames)) * 12.5 / fps
    if "repeat" in name:
        np.testing.assert_array_equal(frames, track[np.floor(times + 1e-9).astype(int)])
        return
    on_grid = np.abs(times - np.round(times)) < 1e-9
    np.testing.assert_array_equal(frames[on_grid], track[np.round(times[on_grid]).astype(int)])
    step = {"straight line": 1.0, "model to 25, then line": 0.5}.get(name)
    if step is None:
        wanted = truth(times)
    else:
        low = np.floor(times / step + 1e-9) * step
        share = ((times - low) / step)[:, None, None]
        wanted = (1 - share) * truth(low) + share * truth(low + step)
    inside = ~on_grid & (times > 1) & (times < 59)  # the video's own ends are key frames, which `run` moves
    np.testing.assert_allclose(frames[inside], wanted[inside], atol=1e-5)


@pytest.mark.parametrize("name", INSERTIONS)
@pytest.mark.parametrize("join", JOINS)
def test_a_redo_stays_within_its_seams_however_joined(join: str, name: str) -> None:
    """Frames outside the parts that `part_of` names for the sub-clip and its seams are bit-equal at 48 fps."""
    config = INSERTIONS[name](JOINS[join](SampleConfig()))
    toy, redo = ToyDenoiser(noisy=0.3, leak=0.3), 4
    attempts = [0] * 6
    _, _, frames = run(toy, attempts, config.seams, 48, config.insertion)
    attempts[redo] = 1
    _, _, again = run(toy, attempts, config.seams, 48, config.insertion)
    segments, ratio = plan_segments(KEYS), Fraction(25, 96)
    parts = [part_of(i * ratio, segments, config.seams.width) for i in range(len(frames))]
    changed = {parts[i] for i in np.flatnonzero((frames != again).any(axis=(1, 2)))}
    assert f"sub-clip {redo}" in changed
    assert changed <= {f"seam {redo - 1}|{redo}", f"sub-clip {redo}", f"seam {redo}|{redo + 1}"}
