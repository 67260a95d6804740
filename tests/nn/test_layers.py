"""Norms, patches, time embedding and the stack, against hand-computed values or plain loops."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from avatar_jax.nn.attention import attend
from avatar_jax.nn.linear import FeedForward
from avatar_jax.nn.norm import layer_norm, modulate, rms_norm
from avatar_jax.nn.patch import grid_positions, patchify, unpatchify
from avatar_jax.nn.stack import REMAT, Stack
from avatar_jax.nn.time import sinusoid
from avatar_jax.nn.window_attention import FrameAttention


def test_norms_by_hand() -> None:
    np.testing.assert_allclose(rms_norm(jnp.array([3.0, 4.0]), 0.0), np.array([3, 4]) / np.sqrt(12.5), rtol=1e-6)
    np.testing.assert_allclose(layer_norm(jnp.array([1.0, 3.0]), 0.0), [-1, 1], rtol=1e-6)
    np.testing.assert_allclose(modulate(jnp.array([1.0, 3.0]), 5.0, 1.0, 0.0), [3, 7], rtol=1e-6)


def test_bfloat16_input_is_normalised_in_float32() -> None:
    x = (1000 + jnp.arange(8.0)).astype(jnp.bfloat16)
    assert layer_norm(x).dtype == jnp.float32


def test_patch_orders_differ_as_in_wan() -> None:
    video = jnp.arange(2 * 4 * 6 * 3, dtype=jnp.float32).reshape(1, 2, 4, 6, 3)
    patches = patchify(video)
    assert patches.shape == (1, 2, 6, 12)
    # In: channel, row, column. The second number of a patch is the same channel, one column on.
    assert patches[0, 0, 0, 1] == video[0, 0, 0, 1, 0]
    reordered = patches.reshape(1, 2, 6, 3, 4).swapaxes(-1, -2).reshape(1, 2, 6, 12)
    np.testing.assert_array_equal(unpatchify(reordered, 2), video)


def test_extra_patches_lie_off_the_grid() -> None:
    positions = grid_positions(jnp.array([[0.0, 1.5]]), 4, 4, extra=1)
    assert positions.shape == (1, 34, 3)
    np.testing.assert_array_equal(positions[0, 16], [0, 4, 4])
    np.testing.assert_array_equal(positions[0, 17 + 5], [1.5, 1, 1])


def test_sinusoid_is_cosine_first_and_scaled_by_1000() -> None:
    e = sinusoid(jnp.array(0.713), 256)
    np.testing.assert_allclose([e[0], e[128]], [np.cos(713.0), np.sin(713.0)], atol=1e-4)


def test_attention_equals_a_loop() -> None:
    q, k, v = jax.random.normal(jax.random.key(0), (3, 1, 4, 2, 8))
    for head in range(2):
        scores = np.asarray(q[0, :, head] @ k[0, :, head].T) / np.sqrt(8)
        weights = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
        np.testing.assert_allclose(attend(q, k, v)[0, :, head], weights @ v[0, :, head], atol=1e-5)


def test_audio_of_other_frames_is_not_heard() -> None:
    module, T, P = FrameAttention(heads=2), 3, 5
    x, audio = jax.random.normal(jax.random.key(0), (1, T * P, 16)), jax.random.normal(jax.random.key(1), (1, T, 4, 8))
    params = nn.unbox(module.init(jax.random.key(2), x, audio))

    def frame(audio_BTUM: jax.Array) -> jax.Array:
        return module.apply(params, x, audio_BTUM).reshape(T, P, 16)[1].sum()

    gradient = jax.grad(frame)(audio)[0]
    assert jnp.abs(gradient[1]).max() > 1e-3
    assert jnp.abs(gradient[jnp.array([0, 2])]).max() == 0


class Layer(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array, shift: jax.Array) -> jax.Array:
        return x + FeedForward(12, name="ffn")(x + shift)


@pytest.mark.parametrize("remat", REMAT)
@pytest.mark.parametrize("unroll", [1, 3])
def test_stack_equals_a_loop_over_layers(remat: str, unroll: int) -> None:
    stack = Stack(lambda name: Layer(name=name), depth=3, remat=remat, unroll=unroll)
    x, shift = jax.random.normal(jax.random.key(0), (2, 4, 8))
    params = nn.unbox(stack.init(jax.random.key(1), x, shift))["params"]

    def loop(params: dict, x: jax.Array) -> jax.Array:
        for i in range(3):
            x = Layer().apply({"params": jax.tree.map(lambda p, i=i: p[i], params["layers"])}, x, shift)
        return x

    np.testing.assert_allclose(stack.apply({"params": params}, x, shift), loop(params, x), atol=1e-6)
    ours = jax.grad(lambda p: (stack.apply({"params": p}, x, shift) ** 2).sum())(params)
    theirs = jax.grad(lambda p: (loop(p, x) ** 2).sum())(params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), ours, theirs)


def test_layers_start_different() -> None:
    stack = Stack(lambda name: Layer(name=name), depth=2)
    kernel = nn.unbox(stack.init(jax.random.key(1), jnp.ones((1, 8)), jnp.ones(8)))["params"]["layers"]["ffn"]["up"]
    assert jnp.abs(kernel["kernel"][0] - kernel["kernel"][1]).max() > 0.1
