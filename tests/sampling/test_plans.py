"""Timelines, key frames, sub-clips and insertion, planned for any length and rate."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from avatar_jax.sampling.blueprint import BlueprintConfig, plan_blueprint
from avatar_jax.sampling.insertion import parting_frames, plan_insertion
from avatar_jax.sampling.keyframes import FrameScores, KeyframeConfig, select_keyframes, split_points
from avatar_jax.sampling.seams import part_of
from avatar_jax.sampling.segments import Segment, plan_segments
from avatar_jax.sampling.windows import FRAMES
from avatar_jax.timeline import Timeline

LENGTHS = [3200, 3201, 8000, 16000, 63_999, 64_000, 160_123, 16_000 * 61, 16_000 * 1200]
RATES = [Fraction(25, 2), 24, 25, Fraction(30000, 1001), 30, 48]


def timeline(samples: int, fps: Fraction | int) -> Timeline:
    return Timeline(samples, 16_000, Fraction(fps), Fraction(25, 2))


def random_scores(frames: int, seed: int = 0) -> FrameScores:
    rng = np.random.default_rng(seed)
    good = [rng.uniform(0.7, 1, frames) for _ in range(3)]
    return FrameScores(*good, look_ND=rng.standard_normal((frames, 6)))


def whole_plan(samples: int, fps: Fraction | int) -> tuple[Timeline, list[Segment]]:
    line = timeline(samples, fps)
    blueprint = plan_blueprint(line.model_frames, BlueprintConfig())
    keys = select_keyframes(random_scores(blueprint.frames), blueprint.stride, KeyframeConfig())
    return line, plan_segments(keys.model_frames)


@pytest.mark.parametrize("fps", RATES, ids=str)
@pytest.mark.parametrize("samples", LENGTHS)
def test_plan_covers_the_recording(samples: int, fps: Fraction | int) -> None:
    line, segments = whole_plan(samples, fps)
    assert segments[0].first == 0
    assert all(a.last == b.first for a, b in pairwise(segments))
    assert segments[-1].last >= line.model_frames - 1
    assert all(2 <= s.length <= FRAMES for s in segments)
    if len(segments) > 1:
        assert min(s.length for s in segments) >= 7


@pytest.mark.parametrize("fps", RATES, ids=str)
@pytest.mark.parametrize("samples", LENGTHS)
def test_each_output_instant_is_made_once(samples: int, fps: Fraction | int) -> None:
    line, segments = whole_plan(samples, fps)
    assert line.frames == max(1, int(Fraction(samples, 16_000) * fps + Fraction(1, 2)))
    [rung] = plan_insertion(line, segments, reach=2)
    plan = rung.windows
    ratio = line.model_fps / line.fps
    made = [(o, t) for window in plan for o, t in zip(window.output, window.times, strict=True) if o >= 0]
    on_grid = [i for i in range(line.frames) if (i * ratio).denominator == 1]
    assert sorted([o for o, _ in made] + on_grid) == list(range(line.frames))
    assert all(t == o * ratio for o, t in made)
    assert all(i * ratio <= segments[-1].last for i in on_grid)
    for window in plan:
        assert len(window.times) == FRAMES
        assert all(a < b for a, b in pairwise(window.times))
        assert all(m == t for m, t in zip(window.known, window.times, strict=True) if m >= 0)
        assert max(window.known) <= segments[-1].last


def test_no_insertion_window_spans_a_parting() -> None:
    line, segments = whole_plan(16_000 * 30, 24)
    parts = parting_frames(segments, 2, line.model_frames - 1)
    for window in plan_insertion(line, segments, 2)[0].windows:
        known = [m for m in window.known if m >= 0]
        assert not [p for p in parts if known[0] < p < known[-1]]


@pytest.mark.parametrize("frames", [2, 3, 5, 6, 7, 11, 12, 40, 41, 1667])
def test_split_points_are_even(frames: int) -> None:
    points = split_points(frames, 3, KeyframeConfig())
    assert points[0] == 0 and points[-1] == frames - 1
    gaps = np.diff(points) * 3
    assert gaps.max() <= 15 and gaps.max() - gaps.min() <= 3


@pytest.mark.parametrize("flaw", ["identity", "occlusion", "clarity"])
@pytest.mark.parametrize("seed", range(20))
def test_a_planted_flaw_is_never_chosen(flaw: str, seed: int) -> None:
    frames = 60
    config = KeyframeConfig()
    scores = random_scores(frames, seed)
    planted = split_points(frames, 3, config)[1:-1]
    getattr(scores, flaw)[planted] = 0.1
    keys = select_keyframes(scores, 3, config)
    assert not set(keys.chosen) & set(planted)
    assert len(keys.chosen) == len(planted) + 2


def test_the_best_chain_is_found() -> None:
    """Against trying every chain."""
    import itertools

    config = KeyframeConfig()
    for seed in range(5):
        scores = random_scores(17, seed)
        keys = select_keyframes(scores, 3, config)
        still = scores.still(config)

        def value(chain: tuple[int, ...], scores: FrameScores = scores, still: np.ndarray = still) -> float:
            gaps = np.diff(chain) * 3
            if gaps.min() < config.shortest or gaps.max() > config.longest:
                return -np.inf
            moves = sum(scores.motion(a, b) for a, b in itertools.pairwise(chain))
            return config.motion * moves + still[list(chain[1:-1])].sum()

        assert keys.chosen == max(itertools.product(*keys.candidates), key=value)


def test_all_candidates_bad_still_gives_a_chain() -> None:
    scores = random_scores(40)
    scores.identity[:] = 0
    assert select_keyframes(scores, 3, KeyframeConfig()).chosen[-1] == 39


@pytest.mark.parametrize("fps", RATES)
def test_every_frame_belongs_to_the_part_that_its_window_makes(fps: Fraction | int) -> None:
    """Parts come in order, and change only at the frames where insertion windows part."""
    line, segments = whole_plan(64_000, fps)
    ratio = line.model_fps / line.fps
    names = [part_of(i * ratio, segments, 2) for i in range(line.frames)]
    order = list(dict.fromkeys(names))
    wanted = [part for s in segments for part in (f"sub-clip {s.index}", f"seam {s.index}|{s.index + 1}")][:-1]
    assert order == wanted and names == sorted(names, key=order.index)
    for name in {part for part in order if part.startswith("seam")}:
        key = segments[int(name.split()[1].split("|")[0])].last
        assert all(abs(i * ratio - key) < 3 for i, part in enumerate(names) if part == name)
    # Where no frame is made again, the inserted ones next to a key frame still see both sub-clips.
    seams = [i * ratio for i in range(line.frames) if part_of(i * ratio, segments, 0).startswith("seam")]
    assert all(min(abs(time - s.last) for s in segments[:-1]) < 1 for time in seams)
