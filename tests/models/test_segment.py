"""The embedded generator: the base that it corrects, what it leaves alone, and what it can do without."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from avatar_jax.models.dit import DiTConfig
from avatar_jax.models.segment import (
    CHANNELS,
    PATCHES,
    USED_PC,
    WindowConfig,
    WindowModel,
    example_conditions,
    fill,
    init_window_model,
)
from avatar_jax.models.text_encoder import LENGTH, PAD, TextEncoderConfig, tokenize

CONFIG = WindowConfig(
    dit=DiTConfig(width=32, heads=2, depth=1, ffn=32, text_width=16, audio_width=8),
    text=TextEncoderConfig(width=16, tokens=3),
    frames=6,
)


def filled(known: list[float | None], times: list[float]) -> list[float]:
    mask = jnp.array([[k is not None for k in known]])
    values = jnp.array([k or 0.0 for k in known]).reshape(1, -1, 1, 1)
    return fill(values, mask, jnp.array([times]))[0, :, 0, 0].tolist()


def test_fill_is_linear_in_time_between_known_frames() -> None:
    assert filled([1.0, None, None, 5.0], [0.0, 1.0, 3.0, 4.0]) == pytest.approx([1, 2, 4, 5])


def test_fill_holds_beyond_known_frames_and_is_the_portrait_without_any() -> None:
    assert filled([None, 2.0, None, 4.0, None], [0.0, 1.0, 2.0, 3.0, 4.0]) == pytest.approx([2, 2, 3, 4, 4])
    assert filled([None, None], [0.0, 1.0]) == [0, 0]


@pytest.fixture(scope="module")
def params() -> dict:
    """No parameter at zero, so that every path shows."""
    leaves, tree = jax.tree.flatten(jax.jit(init_window_model, static_argnums=0)(CONFIG, jax.random.key(0)))
    rng = np.random.default_rng(1)
    return jax.tree.unflatten(tree, [p + 0.1 * rng.normal(size=p.shape).astype(np.float32) for p in leaves])


def denoise(params: dict, noise: jax.Array, t: float, cond) -> np.ndarray:
    run = jax.jit(lambda p, x, t, c: WindowModel(CONFIG).denoise(p, x, t, c))
    return np.asarray(run(params, noise, jnp.asarray(t), cond))


def test_known_frames_come_back_exactly_and_unused_channels_stay_zero(params: dict) -> None:
    cond = example_conditions(CONFIG, batch=2, shots=2)
    known = jax.random.normal(jax.random.key(2), (2, 6, PATCHES, CHANNELS)) * USED_PC
    cond = cond.replace(known_BTPC=known, known_mask_BT=cond.known_mask_BT.at[:, jnp.array([0, 4])].set(True))
    x0 = denoise(params, jax.random.normal(jax.random.key(3), known.shape), 0.8, cond)
    np.testing.assert_allclose(x0[:, [0, 4]], known[:, [0, 4]], atol=1e-6)
    assert np.abs(x0[:, 1:4] - known[:, 1:4]).mean() > 0.1
    assert np.abs(x0 * (1 - USED_PC)).max() == 0


def test_values_of_unknown_frames_and_the_origin_of_time_are_not_read(params: dict) -> None:
    cond = example_conditions(CONFIG)
    noise = jax.random.normal(jax.random.key(3), cond.known_BTPC.shape)
    plain = denoise(params, noise, 0.5, cond)
    other = cond.replace(known_BTPC=cond.known_BTPC + 7, times_BT=cond.times_BT + 512)
    np.testing.assert_array_equal(denoise(params, noise, 0.5, other), plain)


def test_sound_and_prompt_are_read_and_can_be_dropped(params: dict) -> None:
    cond = example_conditions(CONFIG)
    noise = jax.random.normal(jax.random.key(3), cond.known_BTPC.shape)
    ids = jnp.asarray(tokenize("joy 0.7, camera push in"))[None, None]
    spoken = cond.replace(audio_BTUM=jax.random.normal(jax.random.key(4), cond.audio_BTUM.shape), text_ids_BSL=ids)
    plain, said = denoise(params, noise, 0.5, cond), denoise(params, noise, 0.5, spoken)
    assert np.abs(said - denoise(params, noise, 0.5, spoken.without_audio())).max() > 1e-3
    assert np.abs(said - denoise(params, noise, 0.5, spoken.without_text())).max() > 1e-3
    np.testing.assert_array_equal(denoise(params, noise, 0.5, spoken.without_text().without_audio()), plain)


def test_the_portrait_is_seen_but_where_the_model_has_no_channels_for_it(params: dict) -> None:
    cond = example_conditions(CONFIG)
    noise = jax.random.normal(jax.random.key(3), cond.known_BTPC.shape)
    somebody = cond.replace(portrait_BPC=jax.random.normal(jax.random.key(4), cond.portrait_BPC.shape))
    assert np.abs(denoise(params, noise, 0.5, somebody) - denoise(params, noise, 0.5, cond)).max() > 1e-3
    assert "portrait" not in init_window_model(replace(CONFIG, portrait_channels=0), jax.random.key(0))


def test_words_are_the_same_in_any_case_and_width_and_numbers_are_rounded() -> None:
    np.testing.assert_array_equal(tokenize("Joy, 0.72 Push_In"), tokenize("ｊｏｙ 0.7 push in"))
    assert (tokenize("joy 0.7") != tokenize("joy 0.2")).any()
    assert (tokenize("") == PAD).all()


@pytest.mark.parametrize(
    ("prompt", "words"), [("微笑并挥手", 5), ("미소", 2), ("smile and wave", 3), ("a " * 99, LENGTH)]
)
def test_every_language_has_words(prompt: str, words: int) -> None:
    assert (tokenize(prompt) != PAD).sum() == words
