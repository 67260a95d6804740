"""A wider denoiser starts as the narrow one."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from avatar_jax.models.dit import DiTConfig
from avatar_jax.models.growth import widened
from avatar_jax.models.segment import WindowConfig, WindowModel, example_conditions, init_window_model
from avatar_jax.models.text_encoder import TextEncoderConfig

DIT = DiTConfig(width=24, heads=2, depth=2, ffn=32, text_width=16, audio_width=8)
NARROW = WindowConfig(dit=DIT, text=TextEncoderConfig(width=16, tokens=3), frames=3)
WIDE = replace(NARROW, dit=replace(DIT, width=48, heads=4, ffn=64))


@pytest.fixture(scope="module")
def params() -> dict:
    leaves, tree = jax.tree.flatten(jax.jit(init_window_model, static_argnums=0)(NARROW, jax.random.key(0)))
    rng = np.random.default_rng(1)
    return jax.tree.unflatten(tree, [p + 0.1 * rng.normal(size=p.shape).astype(np.float32) for p in leaves])


def shapes(config: WindowConfig) -> dict:
    return jax.eval_shape(lambda: init_window_model(config, jax.random.key(0)))


def test_the_wider_model_computes_the_same(params: dict) -> None:
    cond = example_conditions(NARROW, shots=2)
    cond = cond.replace(audio_BTUM=cond.audio_BTUM + 0.5, text_ids_BSL=cond.text_ids_BSL + 3)
    noise = jax.random.normal(jax.random.key(2), cond.known_BTPC.shape)
    wide = widened(params, shapes(WIDE))
    expected, found = (
        jax.jit(WindowModel(config).denoise)(p, noise, jnp.array(0.7), cond)
        for config, p in ((NARROW, params), (WIDE, wide))
    )
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_noise_parts_the_copies(params: dict) -> None:
    kernel = widened(params, shapes(WIDE), 0.01, jax.random.key(0))["dit"]["blocks"]["layers"]["self_attn"]["v"][
        "kernel"
    ]
    assert jnp.abs(kernel[..., :24] - kernel[..., 24:]).max() > 1e-4


def test_a_width_that_is_no_multiple_is_explained(params: dict) -> None:
    with pytest.raises(ValueError, match="whole multiple"):
        widened(params, shapes(replace(NARROW, dit=replace(DIT, width=36, heads=3))))
