"""The video VAE by itself: causal, split over devices, in bfloat16, and what it says to wrong input."""

from dataclasses import replace
from functools import cache, partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from avatar_jax.mesh import make_mesh
from avatar_jax.models.vae_stages import VAEConfig
from avatar_jax.models.vae_stream import begin, decode_stream, encode_stream, proceed
from avatar_jax.models.video_vae import VAE_2_2, VideoVAE, from_patches, to_patches
from avatar_jax.weights.vae_keys import abstract_params, vae_config

SIZES: dict[str, Any] = {"multipliers": (1, 2, 2), "halve_time": (True, True), "blocks": 1, "latent_channels": 4}
TINY = VAEConfig(
    width=8, decoder_width=8, **SIZES, shortcuts=True, patch=2, latents_mean=(0.1,) * 4, latents_std=(2.0,) * 4
)
VAE = VideoVAE(TINY)


@cache
def params() -> Any:
    """Random numbers, made on the host: running `init` step by step takes longer than all tests."""
    random = np.random.default_rng(0)
    shapes = nn.unbox(abstract_params(TINY))
    return jax.tree.map(lambda p: random.normal(0, (p.size / p.shape[-1]) ** -0.5, p.shape).astype(np.float32), shapes)


def video(frames: int, rows: int = 4, batch: int = 2) -> np.ndarray:
    shape = (batch, frames, rows * TINY.cell, 2 * TINY.cell, 3)
    return np.random.default_rng(1).uniform(-1, 1, shape).astype(np.float32)


@partial(jax.jit, static_argnums=0)
def there_and_back(vae: VideoVAE, p: Any, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    z = vae.apply({"params": p}, x, method="encode")
    return z, vae.apply({"params": p}, z, method="decode")


@partial(jax.jit, static_argnums=0)
def partly_streamed(vae: VideoVAE, p: Any, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    z = vae.apply({"params": p}, x, method="encode")
    return z, decode_stream(vae, p, z)


def test_sizes_and_the_past_come_from_the_input_alone() -> None:
    x = video(9)
    z, y = jax.eval_shape(partial(there_and_back, VAE), params(), x)
    assert (z.shape, y.shape) == ((2, 3, 4, 2, 4), x.shape)
    _, past = jax.eval_shape(lambda p, x: begin(VAE, p, x, "encode"), params(), x[:, :5])
    _, later = jax.eval_shape(lambda p, k, x: proceed(VAE, p, k, x, "encode"), params(), past, x[:, 5:])
    assert jax.tree.leaves(past) == jax.tree.leaves(later)
    assert max(leaf.shape[1] for leaf in jax.tree.leaves(past)) == 2


def test_no_latent_and_no_frame_sees_a_later_frame() -> None:
    x = video(9)
    reversed_tail = np.concatenate([x[:, :5], -x[:, 5:]], axis=1)
    (z, y), (z2, y2) = there_and_back(VAE, params(), x), there_and_back(VAE, params(), reversed_tail)
    np.testing.assert_allclose(z[:, :2], z2[:, :2], atol=1e-6)
    np.testing.assert_allclose(y[:, :5], y2[:, :5], atol=1e-6)
    assert jnp.abs(z[:, 2] - z2[:, 2]).max() > 1e-3
    assert jnp.abs(y[:, 5:] - y2[:, 5:]).max() > 1e-3


def test_patches_are_undone() -> None:
    x = video(1)
    assert to_patches(x, 2).shape == (2, 1, 16, 8, 12)
    np.testing.assert_array_equal(from_patches(to_patches(x, 2), 2), x)


@pytest.mark.xdist_group("mesh")
def test_rows_split_over_devices_give_the_same_numbers() -> None:
    x = video(5, rows=8)
    with jax.default_matmul_precision("highest"):
        z, y = partly_streamed(VAE, params(), x)
        with jax.set_mesh(make_mesh("data=2,seq=4")):
            compiled = partly_streamed.lower(VAE, params(), x).compile()
            z_split, y_split = compiled(params(), x)
    np.testing.assert_allclose(z_split, z, atol=1e-5)
    np.testing.assert_allclose(y_split, y, atol=1e-5)
    # Neighbours exchange the rows at their border; every device holds a quarter of the picture.
    assert "collective-permute" in compiled.as_text()
    assert y_split.sharding.shard_shape(y_split.shape)[2] == x.shape[2] // 4


def test_bfloat16_is_close_and_norms_stay_wide() -> None:
    narrow = VideoVAE(replace(TINY, dtype=jnp.bfloat16))
    x = video(9)
    (z, y), (exact_z, exact_y) = there_and_back(narrow, params(), x), there_and_back(VAE, params(), x)
    assert z.dtype == y.dtype == jnp.float32
    assert 1e-6 < jnp.abs(z - exact_z).max() < 0.1 * jnp.abs(exact_z).max()
    assert jnp.abs(y - exact_y).mean() < 0.05 * jnp.abs(exact_y).mean()


@pytest.mark.parametrize("shape", [(1, 4, 8, 8, 3), (1, 5, 8, 12, 3), (1, 5, 4, 8, 3)])
def test_a_video_off_the_grid_is_explained(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"4 n \+ 1 frames, both sides a multiple of 8") as error:
        VAE.apply({"params": params()}, np.zeros(shape), method="encode")
    assert len(str(error.value).splitlines()) == 3


def test_a_stream_of_odd_chunks_is_explained() -> None:
    with pytest.raises(ValueError, match="in chunks of 8"):
        encode_stream(VAE, params(), video(5), step=2)


def test_latents_without_statistics_are_refused() -> None:
    with pytest.raises(ValueError, match="got 0 latents_mean and 0 latents_std for 48 channels"):
        jax.eval_shape(VideoVAE(VAE_2_2).init, jax.random.key(0), jnp.zeros((1, 1, 16, 16, 3)))


PUBLIC = {
    "base_dim": 96,
    "z_dim": 16,
    "dim_mult": [1, 2, 4, 4],
    "temperal_downsample": [False, True, True],
    "latents_mean": [0.0] * 16,
    "latents_std": [1.0] * 16,
}


def test_config_json_is_read() -> None:
    config = vae_config(PUBLIC)
    assert (config.decoder_width, config.cell, config.shortcuts) == (96, 8, False)


@pytest.mark.parametrize("change", [{"patch_size": 2}, {"attn_scales": [0.5]}, {"in_channels": 4}])
def test_config_json_of_another_model_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="rule: AutoencoderKLWan") as error:
        vae_config({**PUBLIC, **change})
    assert len(str(error.value).splitlines()) == 3
    with pytest.raises(ValueError, match="no dim_mult, z_dim"):
        vae_config({k: v for k, v in PUBLIC.items() if k not in ("z_dim", "dim_mult")})


def test_stages_that_do_not_make_four_frames_are_refused() -> None:
    with pytest.raises(ValueError, match="two of them true"):
        VAEConfig(halve_time=(False, False, True))
