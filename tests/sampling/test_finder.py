"""Drawn portraits, animals and robots among them, are found where they are; photographs are left to the detector."""

import jax
import numpy as np
import pytest

import sample
from avatar_jax.media.face import frame_portrait, locate_face
from avatar_jax.mesh import make_mesh
from avatar_jax.sampling.finder import face_finder
from data_pipeline.synthetic.identity import make_identity
from data_pipeline.synthetic.render import portrait


@pytest.fixture(scope="module")
def find():
    models = sample.load_models(None, make_mesh("", jax.devices()[:1]))
    return face_finder(models.reader, models.reader_params)


def test_canonical_drawings_are_taken_as_they_are(find) -> None:
    for seed in range(10_700_000, 10_700_012):
        picture = portrait(make_identity(seed), 256)
        box, how = locate_face(picture, find)
        assert frame_portrait(picture, box, how).crop == (0.0, 0.0, 256.0), seed


def test_a_drawing_that_lies_off_centre_is_followed(find) -> None:
    drawn = portrait(make_identity(10_700_003), 256)
    moved = np.pad(drawn, ((0, 0), (40, 0), (0, 0)), mode="edge")[:, :256]
    (x0, _, w, _), (x1, *_) = find(drawn), find(moved)
    assert w > 0 and 20 < x1 - x0 < 60


def test_photographs_are_not_its_business(find) -> None:
    assert find(np.random.default_rng(0).integers(0, 255, (200, 200, 3), dtype=np.uint8)) is None
