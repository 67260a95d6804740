"""The readers: exact labels, honest damage, and a loss that separates identities."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from avatar_jax.models import pose as poses
from avatar_jax.models.reader import READINGS, Reader, ReaderConfig, face_picture
from avatar_jax.models.warp import grid, sample_batch
from avatar_jax.training import reader_stage as rs
from avatar_jax.training.stills import Stills

COLUMNS = (*(n for n in rs.FROM_STATE if n not in poses.POSE), *poses.POSE, "emotion", "intensity")
TINY = ReaderConfig(shallow=8, middle=8, deep=8, head=16)


@pytest.fixture
def stills() -> Stills:
    rng = np.random.default_rng(0)
    states = rng.uniform(0, 0.2, (44, 4, len(COLUMNS))).astype(np.float32)
    marks = np.tile(np.float32([0.5, 0.62, 0.1, 0.4, 0.45, 0.6, 0.44, 0.3, 0.2, 0.7, 0.7]), (44, 1))
    pictures = rng.integers(0, 255, (44, 5, 128, 128, 3), dtype=np.uint8)
    return Stills(pictures[:, 0], pictures[:, 1:], states, marks, COLUMNS, held_out=4)


def test_face_box_follows_camera_and_head(stills: Stills) -> None:
    drawn = stills.gather(np.array([0]), np.array([0]))
    drawn["pose"] = np.zeros((1, 8), np.float32)
    read = dict(zip(READINGS, rs.labels(drawn, COLUMNS)[0], strict=True))
    np.testing.assert_allclose([read["face_x"], read["face_y"], read["face_size"]], [0.5, 0.45, 0.4], atol=1e-6)
    drawn["pose"][0, :2] = np.log(2), 0.1
    read = dict(zip(READINGS, rs.labels(drawn, COLUMNS)[0], strict=True))
    np.testing.assert_allclose([read["face_x"], read["face_y"], read["face_size"]], [0.3, 0.4, 0.8], atol=1e-6)


def test_planted_things_hide_the_mouth_and_say_how_much() -> None:
    frame, mouth = np.zeros((128, 128, 3), np.float32), np.array([0.5, 0.6, 0.08])
    hidden = [rs.planted(np.random.default_rng(i), frame, mouth)[1] for i in range(40)]
    assert min(hidden) == 0.0 and max(hidden) == 1.0


def test_blur_takes_detail_away_and_says_so() -> None:
    frame = np.random.default_rng(0).normal(size=(128, 128, 3)).astype(np.float32)
    drawn = [rs.blurred(np.random.default_rng(i), frame) for i in range(30)]
    clarity = np.array([c for _, c in drawn])
    down, across = (np.array([np.abs(np.diff(x, axis=axis)).mean() for x, _ in drawn]) for axis in (0, 1))
    assert (np.minimum(down, across) < 0.6 * np.abs(np.diff(frame, axis=0)).mean()).all()
    assert 0.1 < clarity.min() < 0.2 and 0.6 < clarity.max() < 0.85


def test_contrast_prefers_frames_of_one_identity_together() -> None:
    group = jnp.array([0, 0, 1, 1])
    apart = jnp.array([[1.0, 0], [1, 0], [0, 1], [0, 1]])
    mixed = apart[jnp.array([0, 2, 1, 3])]
    assert rs.contrast(apart, group) < 0.01 < rs.contrast(mixed, group)


def test_reader_shapes_and_training_signal(stills: Stills) -> None:
    stage = rs.ReaderStage(rs.ReaderStageConfig(model=TINY, identities=3), stills)
    batch = next(stage.batches(0))
    params = jax.jit(stage.init)(jax.random.key(0))
    read = jax.jit(Reader(TINY).apply)({"params": params}, batch["frame"])
    assert read.values.shape == (9, len(READINGS)) and read.emotion.shape == (9, 8)
    np.testing.assert_allclose(jnp.linalg.norm(read.identity, axis=-1), 1, rtol=1e-3)
    grads = jax.jit(jax.grad(lambda p: stage.loss(p, batch, jax.random.key(0))[0]))(params)
    assert all(bool(jnp.any(g != 0)) for g in jax.tree.leaves(grads))


def test_batches_are_reproducible(stills: Stills) -> None:
    config = rs.ReaderStageConfig()
    one, two = rs.training_batch(stills, config, 5), rs.training_batch(stills, config, 5)
    assert all(np.array_equal(one[name], two[name]) for name in one)


def test_second_look_is_the_upright_face() -> None:
    """A frame whose face was moved, turned and enlarged gives the same picture of the face."""
    small = jax.random.uniform(jax.random.key(0), (1, 8, 8, 3))
    frame = jax.image.resize(small, (1, 128, 128, 3), "cubic")
    pose = jnp.array([[0.2, 0.0, 0.0, 0.03, -0.02, 0.15, 0.0, 0.0]])
    head = poses.screen_to_portrait(pose)[:, 2]
    moved = sample_batch(frame, poses.apply(head[:, None, None], grid(128)[None]))
    at = poses.apply(poses.portrait_to_screen(pose)[:, 2], jnp.array([[0.5, 0.45]]))
    place = jnp.concatenate([at, jnp.array([[0.36 * float(jnp.exp(pose[0, 0])), 0.15]])], axis=-1)
    before = face_picture(frame, jnp.array([[0.5, 0.45, 0.36, 0.0]]))
    np.testing.assert_allclose(face_picture(moved, place), before, atol=0.03)
