"""Audio encoder: mel frames in time, chunked = whole, exact-time tokens, shipped weights, and its training stage."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from avatar_jax.models.audio_encoder import (
    FEATURE_RATE,
    SAMPLE_RATE,
    AudioEncoder,
    audio_tokens,
    encode_recording,
    log_mel,
)
from avatar_jax.training.audio_stage import AudioData, AudioStage, AudioStageConfig, crop_batch, disguise


@pytest.fixture(scope="module")
def params():
    return AudioEncoder().init(jax.random.key(0), jnp.zeros((1, 40, 40)))["params"]


def tone(start_s: float, end_s: float, seconds: float, hz: float = 1000) -> np.ndarray:
    times = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (np.sin(2 * np.pi * hz * times) * ((times >= start_s) & (times < end_s))).astype(np.float32)


def test_mel_frame_i_is_centred_on_i_over_100_seconds() -> None:
    mels = log_mel(tone(0.5, 0.7, 1.2))
    assert mels.shape == (120, 40)
    loud = np.flatnonzero(mels.max(-1) > mels.max() - 1)
    assert abs(loud[0] - 50) <= 1 and abs(loud[-1] - 69) <= 1


def test_mels_ignore_loudness_and_colour_and_silence_at_the_end() -> None:
    rng = np.random.default_rng(0)
    voice = rng.normal(size=SAMPLE_RATE).astype(np.float32) * 0.1
    assert np.allclose(log_mel(voice), log_mel(voice * 0.3), atol=1e-2)
    padded = log_mel(np.concatenate([voice, np.zeros(4 * SAMPLE_RATE, np.float32)]))
    assert np.abs(padded[:90] - log_mel(voice)[:90]).mean() < 0.1
    assert np.isfinite(log_mel(np.zeros(5000, np.float32))).all()
    assert np.allclose(log_mel((voice * 32768).astype(np.int16)), log_mel(voice), atol=0.05)


def test_features_are_local_and_of_unit_size(params) -> None:
    mels = np.random.default_rng(0).normal(size=(1, 240, 40)).astype(np.float32)
    out = AudioEncoder().apply({"params": params}, mels)
    assert out.features_BTM.shape == (1, 120, 64) and out.shapes_BT4.shape == (1, 120, 4)
    assert np.allclose(np.square(out.features_BTM).mean(-1), 1, atol=1e-3)
    changed = mels.copy()
    changed[:, 200:] += 3
    moved = np.abs(AudioEncoder().apply({"params": params}, changed).features_BTM - out.features_BTM).max((0, 2))
    assert moved[:78].max() < 1e-5 and moved[100:].min() > 1e-3


def test_chunks_give_what_one_pass_gives(params) -> None:
    wave = np.random.default_rng(1).normal(size=25 * SAMPLE_RATE).astype(np.float32) * 0.1
    whole = AudioEncoder().apply({"params": params}, log_mel(wave)[None])
    chunked = encode_recording(params, wave)
    assert chunked.features_BTM.shape == (25 * FEATURE_RATE, 64)
    inner = slice(20, -20)
    assert np.allclose(chunked.features_BTM[inner], whole.features_BTM[0, inner], atol=2e-4)


def test_tokens_are_interpolated_at_exact_times() -> None:
    ramp = np.arange(100, dtype=np.float32)[:, None]
    tokens = audio_tokens(ramp, np.array([1.0, 1.013]))
    assert np.allclose(tokens[0, :, 0], 50 + np.arange(-3.5, 4))
    assert np.allclose(tokens[1, :, 0], 50.65 + np.arange(-3.5, 4), atol=1e-4)
    assert audio_tokens(ramp, np.array([0.0]))[0, 0, 0] == 0 and audio_tokens(ramp, np.array([9.0]))[0, -1, 0] == 99
    assert audio_tokens(ramp[:1], np.array([0.5])).shape == (1, 8, 1)


def sawtooth_data(clips: int = 4, length: int = 220) -> AudioData:
    """Loud frames are 'open': learnable in a few steps."""
    rng = np.random.default_rng(0)
    opening = np.repeat(rng.random(clips * length // 10), 10).astype(np.float32)
    mels = np.repeat(4 * opening - 2, 2)[:, None] + 0.1 * rng.normal(size=(2 * len(opening), 40))
    shapes = np.stack([opening] * 4, 1)
    spans = np.array([(i * length, length) for i in range(clips)])
    return AudioData(mels.astype(np.float16), (opening > 0.5).astype(np.int8), shapes.astype(np.float16), spans)


def test_batches_depend_on_the_step_alone() -> None:
    stage = AudioStage(AudioStageConfig(batch=2, crop=50), sawtooth_data(), sawtooth_data())
    batches = stage.batches(0)
    next(batches)
    second, again = next(batches), next(stage.batches(1))
    assert all(np.array_equal(second[k], again[k]) for k in second)
    assert second["mels_BT40"].shape == (2, 100, 40) and second["shapes_BT4"].shape == (2, 50, 4)


def test_crops_keep_mels_and_labels_together() -> None:
    data = sawtooth_data()
    batch = crop_batch(data, np.random.default_rng(3), 8, 40)
    loud = batch["mels_BT40"].reshape(8, 40, 2, 40).mean((2, 3))
    assert np.corrcoef(loud.ravel(), batch["shapes_BT4"][..., 0].ravel())[0, 1] > 0.98


def test_disguise_keeps_time_and_hides_bands() -> None:
    mels = jnp.ones((3, 20, 40)) * jnp.arange(20)[None, :, None]
    out = np.asarray(jax.jit(disguise)(mels, jax.random.key(0)))
    assert out.shape == mels.shape
    assert ((out == 0).all(1).sum(-1) == 5).all()
    assert np.corrcoef(out.mean((0, 2)), np.arange(20))[0, 1] > 0.99


def test_loss_falls_and_the_gate_reads_the_opening() -> None:
    stage = AudioStage(AudioStageConfig(batch=4, crop=60), sawtooth_data(), sawtooth_data())
    params = stage.init(jax.random.key(0))
    batch = next(stage.batches(0))
    key = jax.random.key(1)
    value = jax.jit(jax.value_and_grad(lambda p: stage.loss(p, batch, key)[0]))
    before, gradient = value(params)
    for _ in range(12):
        params = jax.tree.map(lambda p, g: p - 0.003 * jnp.sign(g), params, gradient)
        after, gradient = value(params)
    assert after < 0.8 * before
    scores = stage.evaluate(params)
    assert stage.gate(scores | {"open": 0.9}) and not stage.gate(scores | {"open": 0.8})
