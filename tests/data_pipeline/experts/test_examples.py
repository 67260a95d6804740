"""What the experts learn from: spoilt mouths, splices, moved sound, and tracks that are where the mouth is drawn."""

import numpy as np
import pytest

pytest.importorskip("skia")
from avatar_jax.models.syncnet import SMALL
from data_pipeline.clips import MemoryClip, crops
from data_pipeline.experts.cut_rule import likeness, similarity
from data_pipeline.experts.framing import MOUTH_EXTENT, face_squares, mouth_squares
from data_pipeline.experts.mouth_set import Mouths, contexts, spoilt_clip
from data_pipeline.experts.pool import Pool
from data_pipeline.experts.rendered import true_tracks
from data_pipeline.experts.splices import FRAMES, SEEN_MOVE, Splices, jump, move
from data_pipeline.experts.spoil import CONTEXT, KINDS, MIDDLE, SEEN
from data_pipeline.experts.sync_set import FARTHEST, SAMPLES, SyncWindows, shifted
from data_pipeline.protocol import Tracks
from data_pipeline.synthetic.identity import make_identity
from data_pipeline.synthetic.render import render
from data_pipeline.synthetic.state import COLUMN, neutral


def pool(clips: int = 3, count: int = 40) -> Pool:
    rng = np.random.default_rng(0)
    rows = []
    for i in range(clips):
        pose = np.zeros((count, 8), np.float32)
        pose[:, 3] = np.linspace(0, 0.06, count)
        rows.append(
            {
                "whole_THW": np.full((count, 64, 64), 20 + 60 * i, np.uint8),
                "mouth_THW": rng.integers(0, 255, (count, 44, 44), dtype=np.uint8),
                "mfcc_FK": rng.normal(0, 3, (4 * count - 1, 13)).astype(np.float16),
                "pose_TZ": pose,
            }
        )
    return Pool(tuple(rows))


def test_tracks_lie_where_the_mouth_is_drawn() -> None:
    """Only the mouth changes between two states; all that changes lies in the mouth's square, also when moved."""
    who = make_identity(3)
    states = np.tile(neutral(), (4, 1))
    states[1::2, COLUMN["open"]] = 0.8
    states[2:, [COLUMN[n] for n in ("log_zoom", "pan_x", "roll", "yaw")]] = 0.3, 0.05, 0.1, 0.5
    frames = render(who, states, 128)
    tracks = true_tracks(who, states)
    for first in (0, 2):
        rows, columns = np.nonzero(np.abs(frames[first + 1].astype(int) - frames[first]).max(-1) > 20)
        x, y, side, _ = mouth_squares(tracks)[first] * 128
        assert x < columns.min() and columns.max() < x + side
        assert y - side / 2 < rows.min() and rows.max() < y + side / 2
        assert abs(columns.mean() - (x + side / 2)) < 3
    assert tracks.heads_TB[2, 2] == pytest.approx(tracks.heads_TB[0, 2] * np.exp(0.3))


def test_squares_are_square_in_any_frame() -> None:
    boxes = np.tile(np.array([0.4, 0.3, 0.1, 0.4], np.float32), (3, 1))
    tracks = Tracks(boxes, boxes, np.zeros((3, 3), np.float32), np.ones(3, bool), 1, True)
    clip = MemoryClip(np.zeros((3, 100, 400, 3), np.uint8), np.zeros(0, np.float32), tracks)
    clip.frames_THW3[:, 48:52, 178:182] = 255
    cut = crops(clip, mouth_squares(tracks), 22, clip.frames_THW3)
    assert pytest.approx(22) == 0.1 * 400 * MOUTH_EXTENT
    assert cut[0, 9:13, 9:13].min() > 200 and cut[0].mean() == pytest.approx(255 * 16 / 22**2, rel=0.1)
    # Half the longer side of the face is 20 pixels: 56 pixels from 28 above the middle, which is moved down by 8.
    x, y, side, _ = face_squares(tracks, (400, 100))[1] * np.array([400, 100, 400, 100])
    assert (x, y, side) == pytest.approx((180 - 28, 50 + 8, 56), abs=1e-3)


@pytest.mark.parametrize("kind", list(KINDS))
def test_each_kind_spoils_what_is_seen_and_repeats(kind: str) -> None:
    picture = contexts(6_000_001, 1)[0][0]
    (one, view), (two, again) = (KINDS[kind](np.random.default_rng(5), picture) for _ in range(2))
    assert np.array_equal(one, two) and view == again
    assert one.shape == (CONTEXT, CONTEXT, 3) and one.dtype == np.uint8
    moved = view != MIDDLE
    assert moved == (kind == "misalignment") and (moved or np.abs(one.astype(int) - picture).mean() > 1)


def test_mouth_batches_are_halves_and_depend_on_the_generator_alone() -> None:
    mouths = Mouths(contexts(6_000_002, 2)[0])
    one, two = (mouths.batch(np.random.default_rng(1), 6) for _ in range(2))
    assert one["picture"].shape == (6, SEEN, SEEN, 3) and one["good"].tolist() == [1, 0, 1, 0, 1, 0]
    assert np.array_equal(one["picture"], two["picture"])


def test_a_misaligned_clip_has_wrong_tracks_and_a_blurred_one_soft_frames() -> None:
    clear, lost, soft = (spoilt_clip(10_000_000, kind, 4) for kind in ("clear", "misalignment", "blur"))
    assert clear.tracks is not None and lost.tracks is not None
    assert np.abs(clear.tracks.mouths_TB - lost.tracks.mouths_TB).max() > 0.03 or not np.allclose(
        clear.tracks.heads_TB, lost.tracks.heads_TB
    )
    sharp = [np.abs(np.diff(clip.frames_THW3.astype(int), axis=2)).mean() for clip in (clear, soft)]
    assert sharp[1] < sharp[0]


def test_windows_are_continuous_or_spliced_in_the_middle() -> None:
    splices, rng = Splices(pool()), np.random.default_rng(0)
    batch = splices.batch(rng, 8)
    assert batch["picture"].shape == (8, 64, 64, FRAMES) and batch["good"].sum() == 4
    for _ in range(20):
        window = splices.other(rng).astype(int)
        assert np.ptp(window[:3]) == 0 and np.ptp(window[3:]) == 0
        assert np.ptp(splices.continuous(rng)) == 0
    dissolve = next(w for w in (splices.dissolve(rng).astype(int)[:, 0, 0] for _ in range(20)) if np.ptp(w))
    assert np.all(np.diff(dissolve) >= 0) or np.all(np.diff(dissolve) <= 0)


def test_jumps_can_be_seen() -> None:
    pose = pool().clips[0]["pose_TZ"]
    a, b = jump(np.random.default_rng(0), pose, 3, 37) or (0, 0)
    assert move(pose, a, b) >= SEEN_MOVE and abs(a - b) >= 6
    assert jump(np.random.default_rng(0), 0 * pose, 3, 37) is None


def test_rule_is_negative_at_a_cut_alone() -> None:
    rng = np.random.default_rng(0)
    scenes = [
        np.kron(rng.integers(low, low + 60, (16, 16, 3)), np.ones((8, 8, 1))).astype(np.uint8) for low in (20, 150)
    ]
    frames = [scenes[0]] * 4 + [np.roll(scenes[0], 1, axis=1)] * 2 + [scenes[1]] * 4
    found = likeness(frames)
    assert np.flatnonzero(found < 0).tolist() == [5]
    same = scenes[0][..., 0].astype(np.float32)
    assert similarity(same, same) == pytest.approx(1, abs=1e-5)


def test_similarity_equals_the_usual_one() -> None:
    metrics = pytest.importorskip("skimage.metrics")
    rng = np.random.default_rng(0)
    a = rng.uniform(0, 255, (64, 64)).astype(np.float32)
    b = np.clip(a + rng.normal(0, 40, a.shape), 0, 255).astype(np.float32)
    assert similarity(a, b) == pytest.approx(metrics.structural_similarity(a, b, data_range=255), abs=1e-4)


def test_sync_windows_hold_what_belongs_together() -> None:
    data = pool(4)
    rows = SyncWindows(data).batch(np.random.default_rng(0), 2, 6)
    assert rows["seen"].shape == (2, 6, 5, SMALL.side, SMALL.side, 1) and rows["heard"].shape == (2, 6, 20, 13)
    assert np.all(np.diff(rows["at"], axis=1) > 0)
    again = SyncWindows(data).batch(np.random.default_rng(0), 2, 6)
    assert all(np.array_equal(rows[name], again[name]) for name in rows)


@pytest.mark.parametrize("shift", [-10, 0, 4])
def test_moved_sound_comes_that_many_frames_early(shift: int) -> None:
    count = 60
    boxes = np.zeros((count, 4), np.float32)
    tracks = Tracks(boxes, boxes, np.zeros((count, 3), np.float32), np.ones(count, bool), 1, True)
    frames = np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None, None, None], (count, 4, 4, 3))
    sound = np.repeat(np.arange(count), SAMPLES).astype(np.float32)
    clip = shifted(MemoryClip(frames, sound, tracks), shift)
    assert clip.count == count - 2 * FARTHEST == len(clip.mono) / SAMPLES
    assert clip.mono[0] - clip.frames_THW3[0, 0, 0, 0] == shift
