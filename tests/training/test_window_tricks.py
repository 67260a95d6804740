"""What each trick changes in the embedded generator's training, and that it changes nothing else."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from avatar_jax.models.segment import GRID_CHANNELS, WindowModel, example_conditions, init_window_model
from avatar_jax.training.dit_stage import conditions
from avatar_jax.training.losses import LossWeights, window_loss
from avatar_jax.training.window_scores import Making, conditions_of, known_scores, spoilt
from avatar_jax.training.window_tricks import cells_of, last_frame_as, padded, patches_of
from tests.training.test_dit_stage import MODEL, STAGE

BATCH = {name: jnp.asarray(x) for name, x in next(STAGE.batches(0)).items()}


def test_the_mouth_has_a_larger_gradient_by_its_weight() -> None:
    clean, points = jnp.zeros((1, 2, 17, 139)), jnp.array([[[0.5625, 0.6875], [0.3, 0.4], [0.7, 0.4]]])
    none = jnp.zeros((1, 2), bool)

    def gradient(weights: LossWeights) -> jax.Array:
        return jax.grad(lambda x: window_loss(x, clean, none, points, weights, GRID_CHANNELS)[0])(clean + 1.0)[0, 0]

    # Patch (2, 2) holds the mouth's cell, patch (0, 0) is far from it.
    mouth, corner = (gradient(LossWeights())[p, 64] for p in (10, 0))
    assert float(mouth / corner) == pytest.approx(11, rel=0.1)
    flat = gradient(LossWeights(mouth=0, eyes=0))
    np.testing.assert_allclose(flat[10, 64], flat[0, 64], rtol=1e-5)


def ends(frames: int = 6, last: int = 4) -> jax.Array:
    return jnp.isin(jnp.arange(frames), jnp.array([0, last]))[None]


def test_a_last_frame_is_hard_soft_or_shifted() -> None:
    cond = example_conditions(MODEL).replace(known_mask_BT=ends(), audio_BTUM=jnp.ones((1, 6, 8, 64)))
    assert last_frame_as(cond, "hard") is cond
    soft, later = last_frame_as(cond, "soft"), last_frame_as(cond, "shifted", 4.0)
    np.testing.assert_array_equal(soft.times_BT[0], [0, 1, 2, 3, 3, 5])
    np.testing.assert_array_equal(later.times_BT[0], [0, 1, 2, 3, 7, 5])
    for other in (soft, later):
        assert not other.audio_BTUM[0, 4].any() and other.audio_BTUM[0, :4].all()
        np.testing.assert_array_equal(other.known_mask_BT, cond.known_mask_BT)


@pytest.mark.parametrize("known", [[0], [], [0, 2, 4], [1, 3]])
def test_other_uses_of_the_model_keep_their_frames(known: list[int]) -> None:
    cond = example_conditions(MODEL).replace(known_mask_BT=jnp.isin(jnp.arange(6), jnp.array(known))[None])
    changed = last_frame_as(cond, "shifted")
    assert all(np.array_equal(a, b) for a, b in zip(*map(jax.tree.leaves, (cond, changed)), strict=True))


def test_a_soft_tail_may_be_corrected_and_a_hard_one_comes_back() -> None:
    params = jax.jit(lambda k: init_window_model(MODEL, k))(jax.random.key(0))
    params["dit"]["head"]["head"]["kernel"] += 0.1
    cond = example_conditions(MODEL).replace(known_mask_BT=ends(last=5), known_BTPC=jnp.full((1, 6, 17, 139), 0.7))
    noise = jax.random.normal(jax.random.key(1), cond.known_BTPC.shape)
    clean = WindowModel(MODEL).denoise(params, noise, jnp.ones(1), last_frame_as(cond, "soft"))
    np.testing.assert_allclose(clean[0, 5, :-1, :128], 0.7, rtol=1e-6)
    assert float(jnp.abs(clean[0, 4, :-1, :128] - 0.7).max()) > 1e-3, "the frame at the picture's time is made"


def test_padding_shrinks_the_face_and_moves_its_points() -> None:
    latents = jnp.broadcast_to(jnp.asarray(BATCH["latents_BTPC"], jnp.float32), (8, 6, 17, 139))
    np.testing.assert_array_equal(patches_of(cells_of(latents[:, :, :-1, :128])), latents[:, :, :-1, :128])
    ones = latents.at[:, :, :-1, :128].set(1.0)
    points = jnp.broadcast_to(jnp.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]]), (8, 3, 2))
    small, moved, which = padded(ones, points, jax.random.key(0), 1.0)
    cells = cells_of(small[:, :, :-1, :128])[:, 0, :, :, 0]
    assert which.all() and np.all(np.asarray(cells).sum((1, 2)) == 36), "six by six cells of eight by eight"
    for b in range(8):
        rows, columns = np.nonzero(cells[b])
        np.testing.assert_allclose(moved[b, 0] * 8, [columns.min(), rows.min()], atol=1e-5)
        np.testing.assert_allclose(moved[b, 2] * 8, [columns.max() + 1, rows.max() + 1], atol=1e-5)
    np.testing.assert_array_equal(small[:, :, -1], ones[:, :, -1], "the pose stays")
    assert len({moved[b].tobytes() for b in range(8)}) > 1
    same, _, none = padded(ones, points, jax.random.key(0), 0.0)
    np.testing.assert_array_equal(same, ones)
    assert not none.any()


@pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_frame_hears_what_lies_beside_it_unless_told_otherwise(whole: bool) -> None:
    """One layer whose self-attention gives nothing: then frames meet through the sound alone."""
    model = replace(MODEL, whole_sound=whole, sound_channels=1, dit=replace(MODEL.dit, depth=1))
    params = jax.jit(lambda k: init_window_model(model, k))(jax.random.key(0))
    params["dit"]["blocks"]["layers"]["self_attn"]["o"]["kernel"] *= 0
    params["dit"]["head"]["head"]["kernel"] += 0.1 * jax.random.normal(
        jax.random.key(1), params["dit"]["head"]["head"]["kernel"].shape
    )
    cond = conditions(BATCH)
    noise = jax.random.normal(jax.random.key(2), cond.known_BTPC.shape)
    cond = cond.replace(known_mask_BT=jnp.zeros_like(cond.known_mask_BT))

    def frame_two(audio: jax.Array) -> jax.Array:
        made = WindowModel(model).denoise(params, noise, jnp.ones(8), cond.replace(audio_BTUM=audio))
        return jnp.sum(made[:, 2] ** 2)

    felt = jnp.abs(jax.grad(frame_two)(cond.audio_BTUM)).max((0, 2, 3))
    assert float(felt[2]) > 0
    assert bool((felt[jnp.array([0, 1, 3, 4, 5])] > 0).all()) == whole
    assert whole or not felt[jnp.array([0, 1, 3, 4, 5])].any(), "exactly nothing from outside"


def test_times_move_towards_the_noise() -> None:
    from avatar_jax.diffusion.schedule import shifted, training_times

    plain = training_times(jax.random.key(0), 4000, 0.0)
    moved = shifted(plain, 5.0)
    assert float(jnp.median(plain)) == pytest.approx(0.5, abs=0.03)
    assert float(jnp.median(moved)) == pytest.approx(5 / 6, abs=0.03)


def test_dropped_conditions_are_the_ones_that_guidance_leaves_out() -> None:
    stage = replace(STAGE, config=replace(STAGE.config, drop_text=1.0, drop_audio=0.0))
    cond = stage.given(BATCH, jax.random.key(0), jax.random.key(1))
    assert not cond.text_ids_BSL.any() and cond.audio_BTUM.any()
    stage = replace(STAGE, config=replace(STAGE.config, drop_text=0.5, drop_audio=1.0))
    cond = stage.given(BATCH, jax.random.key(0), jax.random.key(1))
    kept = np.asarray(cond.text_ids_BSL).any((1, 2))
    assert 0 < kept.sum() < len(kept) and not cond.audio_BTUM.any()


def test_windows_with_known_frames_are_scored_in_every_way_of_giving_the_last() -> None:
    params = jax.jit(STAGE.init)(jax.random.key(0))
    batch, readout = STAGE.held_out_batch, STAGE.readout
    for last in ("hard", "shifted"):
        found = known_scores(MODEL, params, batch, readout, Making(steps=2, last=last), 0)
        assert found.keys() == {"first_mouth", "ends_mouth", "ends_error"}
        assert all(np.isfinite(value) for value in found.values())
    cond = conditions_of(batch, "first")
    wrong = spoilt(cond, jax.random.key(0))
    assert not np.array_equal(wrong.known_BTPC[:, 0], cond.known_BTPC[:, 0])
    assert not np.asarray(wrong.known_BTPC[:, 1:]).any()
