"""The generator's stage on a toy clip: batches, the loss's weights, and that it learns to follow the sound."""

from collections.abc import Iterator
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from avatar_jax.models.dit import DiTConfig
from avatar_jax.models.segment import CHANNELS, GRID_CHANNELS, PATCHES, USED_PC, WindowConfig
from avatar_jax.models.text_encoder import TextEncoderConfig
from avatar_jax.training.dit_stage import WINDOW_KINDS, DitConfig, DitStage, Draw, draw_window
from avatar_jax.training.face_probe import correlation, fit_ridge, read
from avatar_jax.training.losses import LossWeights, face_weights, window_loss
from data_pipeline.loader import LoaderConfig, batches

MODEL = WindowConfig(
    dit=DiTConfig(width=32, heads=2, depth=2, ffn=64, text_width=16, audio_width=16),
    text=TextEncoderConfig(width=16, tokens=2),
    frames=6,
)


def toy_source(rng: np.random.Generator, stride: float, frames: int) -> dict[str, np.ndarray]:
    """A clip whose first audio number opens a mouth that fills patch 9, and whose pose drifts."""
    times = np.arange(frames, dtype=np.float32) * stride
    opening = rng.uniform(-1, 1, frames).astype(np.float32)
    latents = np.zeros((frames, PATCHES, CHANNELS), np.float16)
    latents[:, 9, :GRID_CHANNELS] = opening[:, None]
    latents[:, -1, GRID_CHANNELS:] = (0.1 * times)[:, None]
    audio = np.zeros((frames, 8, 64), np.float16)
    audio[:, 4] = opening[:, None]
    return {
        "latents_TPC": latents,
        "times_T": times,
        "audio_TUM": audio,
        "text_ids_SL": np.ones((3, 48), np.int32),
        "shot_weights_TS": np.eye(3, dtype=np.float32)[np.zeros(frames, int)],
        "face_points_32": np.array([[0.4, 0.7], [0.35, 0.4], [0.65, 0.4]], np.float32),
        "clocks_TS2": np.ones((frames, 3, 2), np.float32),
        "portrait_PC": np.zeros((PATCHES, CHANNELS), np.float16),
        "labels_TK": np.tile(opening[:, None], (1, 8)),
    }


def toy_feed(draw: Draw, start: int, index: int = 0, count: int = 1) -> Iterator[dict[str, np.ndarray]]:
    def window(clip: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        stride, known_T = draw(rng)
        return {**toy_source(rng, stride, MODEL.frames), "known_T": known_T}

    return batches(range(20), LoaderConfig(batch=8), window, start, index, count)


STAGE = DitStage(DitConfig(model=MODEL, batch=8, eval_windows=16, eval_steps=4), toy_feed, toy_source, toy_source)


def test_shares_of_the_kinds_sum_to_one() -> None:
    assert sum(kind.share for kind in WINDOW_KINDS.values()) == pytest.approx(1)
    assert all(sum(kind.strides.values()) == pytest.approx(1) for kind in WINDOW_KINDS.values())


@pytest.mark.parametrize("name", WINDOW_KINDS)
def test_every_kind_leaves_something_to_make(name: str) -> None:
    for seed in range(50):
        assert not WINDOW_KINDS[name].known(np.random.default_rng(seed), 16).all()


def test_all_strides_are_drawn() -> None:
    assert {draw_window(np.random.default_rng(seed), 16)[0] for seed in range(100)} == {3.0, 1.0, 0.5}


def test_batches_resume_exactly() -> None:
    whole, resumed = STAGE.batches(0), STAGE.batches(2)
    third = [next(whole) for _ in range(3)][2]
    again = next(resumed)
    assert set(third) == {
        "latents_BTPC", "times_BT", "audio_BTUM", "text_ids_BSL", "shot_weights_BTS", "clocks_BTS2", "portrait_BPC",
        "face_points_B32", "known_BT",
    }  # fmt: skip
    for key in third:
        np.testing.assert_array_equal(third[key], again[key])


def test_cells_at_the_mouth_weigh_most() -> None:
    points = jnp.array([[[0.5625, 0.6875], [0.3, 0.4], [0.7, 0.4]]])
    weights = face_weights(points, LossWeights(), GRID_CHANNELS // 4)[0]
    patch, channel = jnp.unravel_index(weights.argmax(), weights.shape)
    # Cell (row 5, column 4) is patch (2, 2), second row, first column inside it.
    assert (int(patch), int(channel) // 32) == (2 * 4 + 2, 2)
    assert weights.max() == pytest.approx(11, abs=0.5)
    assert weights.min() == pytest.approx(1, abs=0.02)


def test_known_frames_do_not_count() -> None:
    clean = jnp.zeros((1, 4, PATCHES, CHANNELS))
    known = jnp.array([[True, False, False, True]])
    points = jnp.full((1, 3, 2), 0.5)
    wrong = clean.at[:, 0].set(5.0)
    loss, parts = window_loss(wrong, clean, known, points, LossWeights(), GRID_CHANNELS)
    assert parts["grid"] == 0 and parts["pose"] == 0 and loss == parts["pose_motion"] * LossWeights().pose_motion


def test_a_steady_pose_error_is_no_motion_error() -> None:
    clean = jnp.zeros((1, 4, PATCHES, CHANNELS))
    steady = clean.at[:, :, -1, GRID_CHANNELS:].set(2.0)
    _, parts = window_loss(
        steady, clean, jnp.zeros((1, 4), bool), jnp.full((1, 3, 2), 0.5), LossWeights(), GRID_CHANNELS
    )
    assert (float(parts["pose"]), float(parts["pose_motion"])) == (4.0, 0.0)


def test_readout_of_a_linear_label() -> None:
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(500, 6)), rng.normal(size=6)
    found = read(fit_ridge(x, x @ w + 2, strength=1e-3), x)
    np.testing.assert_allclose(found, x @ w + 2, atol=1e-3)
    assert correlation(found, x @ w) == pytest.approx(1)


def test_training_learns_to_follow_the_sound() -> None:
    params = jax.jit(STAGE.init)(jax.random.key(0))
    tx = optax.adam(3e-3)
    state = tx.init(params)

    @jax.jit
    def step(params: dict, state: optax.OptState, batch: dict, key: jax.Array):
        (loss, _), gradient = jax.value_and_grad(STAGE.loss, has_aux=True)(params, batch, key)
        update, state = tx.update(gradient, state)
        return optax.apply_updates(params, update), state, loss

    losses = []
    for n, batch in zip(range(80), STAGE.batches(0), strict=False):
        params, state, loss = step(params, state, batch, jax.random.key(n))
        losses.append(float(loss))
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])
    scores = STAGE.evaluate(params)
    assert scores["mouth"] > 0.7 > 0.3 > scores["mouth_swapped"]
    assert scores["mouth_bound"] > 0.99
    assert replace(STAGE, heldout=None).evaluate(params) == {}
    assert USED_PC.sum() == 16 * 128 + 11
