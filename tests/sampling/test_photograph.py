"""Photographs as puppets: what the stand-in's frames say, and what is done to the photograph."""

from functools import cache

import cv2
import numpy as np
import pytest

from avatar_jax.models.pose import POSE
from avatar_jax.sampling.photograph import PhotoCompositor, is_photograph, study, within
from avatar_jax.sampling.photograph_face import find_features
from avatar_jax.sampling.photograph_twin import PICTURE, Expression, load_twin
from data_pipeline.synthetic.layers import face_layers
from data_pipeline.synthetic.render import portrait
from data_pipeline.synthetic.state import COLUMN, neutral
from data_pipeline.synthetic.twin import TWIN, twin_picture

REST = Expression(0.0, 1.0, 0.0, 0.0, (1.0, 1.0), (0.0, 0.0))
STILL = np.zeros(len(POSE))


def face_of(**state: float) -> Expression:
    """The stand-in's expression, as a perfect decoder would paint it."""
    row = neutral()
    for name, value in state.items():
        row[COLUMN[name]] = value
    paint = face_layers(TWIN, row[None], 256)[0].astype(np.float32) / 255
    return load_twin().expression(paint, np.zeros((128, 128, 1), np.float32), np.zeros((128, 128, 2), np.float32))


@cache
def noisy(seed: int = 3) -> np.ndarray:
    """A stand-in for a photograph: the renderer's portrait with a camera's noise."""
    drawn = portrait(TWIN, 256).astype(np.float32)
    return np.clip(drawn + np.random.default_rng(seed).normal(0, 6, drawn.shape), 0, 255).astype(np.uint8)


@cache
def puppet() -> PhotoCompositor:
    return PhotoCompositor(study(noisy()), 256)


def test_the_stand_in_is_the_renderers() -> None:
    shipped = cv2.imread(str(PICTURE), cv2.IMREAD_UNCHANGED)
    assert shipped is not None
    shipped = cv2.cvtColor(shipped, cv2.COLOR_BGRA2RGBA)
    assert np.abs(shipped.astype(int) - twin_picture()).max() <= 2


def test_the_stand_ins_face_is_measured() -> None:
    rest = face_of()
    assert rest.open < 0.002 and abs(rest.width - 1) < 0.02 and min(rest.eyes) > 0.95
    gaps = [face_of(open=opening).open for opening in (0.25, 0.5, 1.0)]
    np.testing.assert_allclose(gaps, TWIN.mouth_h * np.array([0.25, 0.5, 1.0]), atol=0.006)
    assert face_of(open=0.5, spread=-1).width < 0.75 < 1.1 < face_of(open=0.3, spread=1).width
    assert max(face_of(blink=1).eyes) < 0.1 and 0.25 < face_of(blink=0.5).eyes[0] < 0.7
    assert face_of(smile=1).corners > 0.008 > -0.004 > face_of(smile=-0.7).corners
    assert min(face_of(brow=1).brows) > 0.008 > -0.008 > max(face_of(brow=-0.6, frown=1).brows)


def test_photographs_are_told_from_drawings() -> None:
    drawn = portrait(TWIN, 256)
    ok, jpeg = cv2.imencode(".jpg", drawn, [cv2.IMWRITE_JPEG_QUALITY, 80])
    assert ok and is_photograph(noisy())
    assert not is_photograph(drawn)
    again = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
    assert again is not None and not is_photograph(again)


def test_at_rest_the_photograph_is_as_it_was() -> None:
    difference = np.abs(puppet().draw(REST, STILL).astype(int) - noisy())
    assert difference.mean() < 1.0


def test_only_the_lower_face_moves_when_the_mouth_opens() -> None:
    shut, wide = (
        puppet().draw(Expression(gap, 1.0, 0.0, 0.01, (1.0, 1.0), (0.0, 0.0)), STILL).astype(int) for gap in (0, 0.06)
    )
    changed = np.abs(wide - shut).max(-1) > 12
    rows, columns = np.nonzero(changed)
    assert changed.sum() > 100
    assert rows.min() > 0.5 * 256 and rows.max() < 0.85 * 256 and abs(columns.mean() / 256 - 0.5) < 0.03
    found = puppet().material.features
    middle = wide[round((found.mouth[1] + 0.03) * 256), round(found.mouth[0] * 256)]
    assert middle[0] > middle[1] and middle.max() < 150, "dark and red inside"


def test_eyelids_cover_the_pupils() -> None:
    closed = puppet().draw(Expression(0.0, 1.0, 0.0, 0.0, (0.0, 0.0), (0.0, 0.0)), STILL).astype(int)
    cheek = closed[round(0.53 * 256), round(0.42 * 256)]
    for x, y in puppet().material.features.eyes:
        assert np.abs(closed[round(y * 256) - 1, round(x * 256)] - cheek).max() < 45


def test_the_camera_stays_inside_the_photograph() -> None:
    pose = STILL.copy()
    pose[:3] = -0.4, 0.2, -0.2
    assert np.exp(within(pose)[0]) > 0.9 and np.abs(within(pose)[1:3]).max() < 0.051
    pose[:3] = 0.5, 0.1, -0.1
    np.testing.assert_allclose(within(pose), pose)


def test_a_real_face() -> None:
    data = pytest.importorskip("skimage.data")
    crop = data.astronaut()[8:228, 114:334]
    found = find_features(crop)
    np.testing.assert_allclose(found.eyes, [(0.402, 0.418), (0.603, 0.428)], atol=0.015)
    assert found.teeth and abs(found.mouth[0] - 0.495) < 0.02 and 0.615 < found.mouth[1] < 0.655
    assert is_photograph(crop)
    frame = PhotoCompositor(study(crop), 256).draw(REST, STILL)
    still = cv2.resize(crop, (256, 256), interpolation=cv2.INTER_LINEAR)
    assert np.abs(frame.astype(int) - still).mean() < 1.0
