"""The renderer: deterministic, neutral at rest, layers that move as `models.pose` says, honest labels."""

import numpy as np
import pytest

from avatar_jax.models.pose import LAYERS, apply, inverse, portrait_to_screen
from data_pipeline.synthetic.identity import BACKGROUNDS, HAIRCUTS, make_identity, with_background
from data_pipeline.synthetic.render import landmarks, occlusion, portrait, render
from data_pipeline.synthetic.state import COLUMN, EMOTIONS, POSE_COLUMNS, RANGES, STATE, bound, emotion_face, neutral
from data_pipeline.synthetic.stills import stills

cv2 = pytest.importorskip("cv2")


def frame_state(**values: float) -> np.ndarray:
    state = neutral()
    for name, value in values.items():
        state[COLUMN[name]] = value
    return state


def of_kind(kind: str):
    return next(who for who in map(make_identity, range(200)) if who.kind == kind)


def patch(picture: np.ndarray, x: float, y: float, half_w: float, half_h: float) -> np.ndarray:
    size = picture.shape[0]
    rows = slice(round((y - half_h) * size), round((y + half_h) * size))
    columns = slice(round((x - half_w) * size), round((x + half_w) * size))
    return picture[rows, columns].astype(np.float32)


def test_stills_depend_on_seed_and_index_alone():
    both = list(stills(5, 2))
    second = next(stills(5, 1, first=1))
    assert both[1].identity == second.identity != both[0].identity
    np.testing.assert_array_equal(both[1].frames, second.frames)
    np.testing.assert_array_equal(both[1].states, second.states)
    assert second.ref.shape == (128, 128, 3)
    assert second.frames.shape == (6, 128, 128, 3)
    assert second.states.shape == (6, len(STATE))


def test_states_stay_in_their_ranges():
    states = np.concatenate([item.states for item in stills(1, 8, per_identity=9)])
    low, high = np.array(list(RANGES.values()), np.float32).T
    assert (states >= low).all()
    assert (states <= high).all()
    assert states[:, COLUMN["open"]].max() > 0.9
    for emotion in EMOTIONS:
        face = frame_state(**emotion_face(emotion, 1.0))
        np.testing.assert_array_equal(face, bound(face))


@pytest.mark.parametrize("kind", ["human", "animal", "robot"])
def test_portrait_is_the_neutral_frame_and_features_change_it(kind: str):
    who = of_kind(kind)
    rest = portrait(who)
    np.testing.assert_array_equal(rest, render(who, neutral()[None])[0])
    mouth_x, mouth_y, half_w = landmarks(who)["mouth"]
    eye_x, eye_y = landmarks(who)["eye_l"]
    spoken, blinked = render(who, np.stack([frame_state(open=0.9), frame_state(blink=1.0)]))
    assert (
        np.abs(
            patch(spoken, mouth_x, mouth_y + 0.02, half_w, 0.05) - patch(rest, mouth_x, mouth_y + 0.02, half_w, 0.05)
        ).mean()
        > 8
    )
    assert np.abs(patch(blinked, eye_x, eye_y, 0.03, 0.03) - patch(rest, eye_x, eye_y, 0.03, 0.03)).mean() > 8
    assert (
        np.abs(patch(blinked, mouth_x, mouth_y, half_w, 0.05) - patch(rest, mouth_x, mouth_y, half_w, 0.05)).max() == 0
    )


@pytest.mark.parametrize(
    ("layer", "box"),
    [("background", (0.02, 0.02, 0.22, 0.4)), ("body", (0.32, 0.88, 0.68, 0.98)), ("face", (0.4, 0.43, 0.6, 0.64))],
)
def test_layers_move_as_the_pose_geometry_says(layer: str, box: tuple[float, float, float, float]):
    """Resampling the moved frame by the layer's own transform gives the portrait back, another layer's does not."""
    busy = ("shelves", "leaves", "city")
    who, size = (
        next(who for who in map(make_identity, range(200)) if who.kind == "human" and who.background in busy),
        256,
    )
    state = frame_state(
        log_zoom=-0.12, pan_x=0.03, pan_y=-0.02, head_x=0.02, head_y=-0.01, roll=0.06, yaw=0.3, pitch=-0.3
    )
    rest, moved = portrait(who, size), render(who, state[None], size)[0]
    rows, columns = slice(int(box[1] * size), int(box[3] * size)), slice(int(box[0] * size), int(box[2] * size))

    def error(a: float, b: float, x: float, y: float) -> float:
        # cv2 puts pixel centres on whole numbers, the pose geometry on halves
        shift_x, shift_y = 0.5 * (a - b) + x * size - 0.5, 0.5 * (a + b) + y * size - 0.5
        to_screen = np.array([[a, -b, shift_x], [b, a, shift_y]])
        back = cv2.warpAffine(moved, to_screen, (size, size), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        return float(np.abs(back[rows, columns].astype(np.float32) - rest[rows, columns]).mean())

    errors = {
        name: error(*row)
        for name, row in zip(LAYERS, portrait_to_screen(state[POSE_COLUMNS].astype(np.float64)), strict=True)
    }
    assert errors[layer] < 8
    assert all(errors[layer] < 0.7 * value for name, value in errors.items() if name != layer)


def test_occlusion_follows_the_hand():
    who = of_kind("human")
    states = np.stack(
        [
            neutral(),
            frame_state(hand=1.0, hand_x=0.33, hand_y=-0.1),
            frame_state(hand=1.0),
            frame_state(hand=1.0, log_zoom=0.3, roll=0.1),
            frame_state(hand=1.0, hand_x=0.06 * who.handed),
        ]
    )
    label = occlusion(who, states)
    assert label[0] == label[1] == 0
    assert label[2] > 0.8
    assert label[3] > 0.7
    assert 0 < label[4] <= 1
    with_hand, without = render(who, states[[2, 0]])
    x, y, half_w = landmarks(who)["mouth"]
    assert np.abs(patch(with_hand, x, y, half_w, 0.03) - patch(without, x, y, half_w, 0.03)).mean() > 6


def test_hidden_hand_is_outside_every_view():
    who = of_kind("human")
    states = np.stack([frame_state(log_zoom=-0.36, pan_y=0.25, hand=hand) for hand in (0.0, 1e-3)])
    empty, low = render(who, states)
    np.testing.assert_array_equal(empty, low)


def test_background_goes_on_beyond_the_picture():
    """Zoomed out, the border that the portrait does not show still has a pattern."""
    busy = [who for who in map(make_identity, range(120)) if who.background in ("dots", "checks", "shelves", "city")]
    wide = [render(who, frame_state(log_zoom=-0.3, pan_x=-0.2)[None])[0] for who in busy[:8]]
    assert all(picture[:, :12].std(axis=(0, 1)).max() > 1.0 for picture in wide)


def test_other_background_keeps_the_character():
    who = make_identity(3)
    other = with_background(who, 11)
    x, y, half_w = landmarks(who)["mouth"]
    np.testing.assert_array_equal(patch(portrait(who), x, y, half_w, 0.04), patch(portrait(other), x, y, half_w, 0.04))
    assert (portrait(who)[:10] != portrait(other)[:10]).any()


def test_characters_are_varied_and_reproducible():
    crowd = [make_identity(seed) for seed in range(400)]
    assert make_identity(7) == crowd[7]
    humans = [who for who in crowd if who.kind == "human"]
    assert 0.8 < len(humans) / len(crowd) < 0.92
    assert {who.style for who in crowd} >= {"flat", "soft", "ink"}
    assert {who.species for who in crowd} == {"human", "cat", "dog", "bear", "fox", "robot"}
    assert {who.hair for who in humans} == set(HAIRCUTS)
    assert {who.background for who in crowd} == set(BACKGROUNDS)


def test_transform_and_inverse_agree():
    pose = bound(np.random.default_rng(0).normal(0, 0.2, (5, len(STATE))))[:, POSE_COLUMNS].astype(np.float64)
    forth = portrait_to_screen(pose)
    spot = np.broadcast_to(np.array([0.3, 0.6]), (5, 4, 2))
    np.testing.assert_allclose(apply(inverse(forth), apply(forth, spot)), spot, atol=1e-12)
