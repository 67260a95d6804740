"""The judge's data and its training signal."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from avatar_jax.metrics.judging import judge_frames
from avatar_jax.models.judge import COLUMNS, EMOTIONS, VISEMES, JudgeConfig
from avatar_jax.training.judge_stage import JudgeStage, JudgeStageConfig, knowable

pytest.importorskip("skia")
from data_pipeline.synthetic import judged, state

TINY = JudgeConfig(shallow=8, middle=8, deep=8, head=16)


def stage() -> JudgeStage:
    return JudgeStage(JudgeStageConfig(model=TINY, identities=2, each=2), judged.judged_batch, judge_frames)


def test_batch_depends_on_seed_and_step_alone() -> None:
    one, two, later = (next(stage().batches(step)) for step in (3, 3, 4))
    assert all(np.array_equal(one[name], two[name]) for name in one)
    assert not np.array_equal(one["face"], later["face"])


def test_every_parameter_learns() -> None:
    this = stage()
    batch = next(this.batches(0))
    params = jax.jit(this.init)(jax.random.key(0))
    loss, grads = jax.jit(jax.value_and_grad(lambda p: this.loss(p, batch, jax.random.key(0))[0]))(params)
    assert np.isfinite(loss) and all(bool(jnp.any(g != 0)) for g in jax.tree.leaves(grads))


def test_reads_a_stream_of_frames_of_any_size() -> None:
    params = jax.jit(stage().init)(jax.random.key(0))
    frames = np.random.default_rng(0).integers(0, 255, (3, 320, 320, 3), dtype=np.uint8)
    read = judge_frames(params, TINY, iter(frames), frames[0])
    assert read.values.shape == (3, len(COLUMNS)) and read.emotion.shape == (3, len(EMOTIONS))
    np.testing.assert_allclose(np.linalg.norm(read.identity, axis=-1), 1, rtol=1e-3)


def test_mouths_that_stand_for_a_class_are_of_it_and_halves_between_are_unclear() -> None:
    states = np.tile(state.neutral(), (len(VISEMES) + 1, 1))
    states[:-1, :4] = list(VISEMES.values())
    states[-1, :4] = np.mean([VISEMES["open"], VISEMES["mid"]], axis=0)
    classes = judged.viseme_classes(states)
    assert classes[:-1].tolist() == [[i, 1] for i in range(len(VISEMES))] and classes[-1, 1] == 0


def test_labels_follow_camera_and_hand() -> None:
    who = judged.random_identity(np.random.default_rng(0))
    states = np.tile(state.neutral(), (2, 1))
    states[1, [state.COLUMN[n] for n in ("log_zoom", "pan_x", "hand", "hand_x")]] = np.log(2), 0.1, 1.0, 0.25
    still, moved = (dict(zip(COLUMNS, row, strict=True)) for row in judged.labels(who, states))
    np.testing.assert_allclose([still["face_x"], still["face_y"], still["hand"]], [0.5, 0.47, 0], atol=1e-6)
    np.testing.assert_allclose([moved["face_x"], moved["face_y"]], [0.3, 0.44], atol=1e-6)
    np.testing.assert_allclose([moved["hand"], moved["hand_x"]], [1, 0.25], atol=1e-6)


def test_what_cannot_be_seen_does_not_count() -> None:
    values = np.zeros((1, len(COLUMNS)), np.float32)
    values[0, [COLUMNS.index("occlude"), COLUMNS.index("blink")]] = 1
    weight = dict(zip(COLUMNS, np.asarray(knowable(values))[0], strict=True))
    assert [weight[n] for n in ("open", "teeth", "gaze_x", "hand_x")] == [0, 0, 0, 0] and weight["yaw"] == 1
