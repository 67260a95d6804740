"""Our video VAE against AutoencoderKLWan of diffusers: tiny random checkpoints, and names and shapes at full size."""

import gzip
import json
import math
from functools import cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import unflatten_dict
from safetensors.numpy import load_file

from avatar_jax.models.vae_stages import VAEConfig
from avatar_jax.models.vae_stream import decode_stream, encode_stream
from avatar_jax.models.video_vae import VAE_2_1, VAE_2_2, VideoVAE
from avatar_jax.weights.vae_keys import diffusers_mapping, vae_config

DATA = Path(__file__).parent / "data"
TINY: dict[str, dict[str, Any]] = {
    "2.1": {"base_dim": 8, "z_dim": 4},
    "2.2": {
        "base_dim": 8,
        "decoder_base_dim": 12,
        "z_dim": 6,
        "is_residual": True,
        "in_channels": 12,
        "out_channels": 12,
        "patch_size": 2,
        "scale_factor_spatial": 16,
    },
}


@pytest.mark.parametrize(
    ("config", "table", "tensors", "millions"),
    [(VAE_2_1, "autoencoder_kl_wan_2_1", 194, 126.89), (VAE_2_2, "autoencoder_kl_wan_2_2", 196, 704.69)],
    ids=["2.1", "2.2"],
)
def test_full_size_names_and_shapes_are_the_released_ones(
    config: VAEConfig, table: str, tensors: int, millions: float
) -> None:
    released = json.loads(gzip.decompress((DATA / "checkpoint_keys.json.gz").read_bytes()))[table]
    ours = diffusers_mapping(config).public_shapes()
    assert ours == {name: tuple(shape) for name, shape in released.items()}
    assert len(ours) == tensors
    assert sum(map(math.prod, ours.values())) / 1e6 == pytest.approx(millions, abs=0.005)


@cache
def reference(version: str) -> Any:
    """A released module with random weights of which every tensor matters."""
    torch = pytest.importorskip("torch")
    diffusers = pytest.importorskip("diffusers")
    torch.manual_seed(3)
    random = np.random.default_rng(4)
    z = TINY[version]["z_dim"]
    means, deviations = random.normal(size=z).round(4), random.uniform(0.5, 2, size=z).round(4)
    model = diffusers.AutoencoderKLWan(
        **TINY[version], latents_mean=means.tolist(), latents_std=deviations.tolist()
    ).eval()
    with torch.no_grad():
        for name, p in model.named_parameters():
            if name.endswith("gamma"):
                p.normal_(1.0, 0.2)
            else:
                p.normal_(0.0, 0.2 if name.endswith("bias") else 0.7 / math.sqrt(p[0].numel()))
    return model


@pytest.fixture(scope="module", params=["2.1", "2.2"])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, VideoVAE, Any]:
    """(released module, ours, our parameters read from what the released one saved)."""
    model = reference(request.param)
    directory = tmp_path_factory.mktemp("vae")
    model.save_pretrained(directory)
    config = vae_config(json.loads((directory / "config.json").read_text()))
    weights = load_file(directory / "diffusion_pytorch_model.safetensors")
    where = diffusers_mapping(config)
    assert weights.keys() == where.places.keys()
    flat = {place.path: jnp.asarray(place.layout.ours(weights[name])) for name, place in where.places.items()}
    return model, VideoVAE(config), unflatten_dict(flat, sep="/")


def close(ours: Any, theirs: Any, tolerance: float = 1e-4) -> None:
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= tolerance * np.abs(theirs).max()


def video(vae: VideoVAE, frames: int) -> np.ndarray:
    shape = (1, frames, 2 * vae.config.cell, 3 * vae.config.cell, 3)
    return np.random.default_rng(5).uniform(-1, 1, shape).astype(np.float32)


@pytest.mark.parametrize("frames", [1, 5, 9])
def test_latents_and_frames_are_those_of_the_released_module(pair: tuple[Any, VideoVAE, Any], frames: int) -> None:
    import torch

    model, vae, params = pair
    x = video(vae, frames)
    mean, std = (np.asarray(s, np.float32) for s in (model.config.latents_mean, model.config.latents_std))
    with torch.no_grad():
        mode = model.encode(torch.from_numpy(x.transpose(0, 4, 1, 2, 3).copy())).latent_dist.mode()
        back = model.decode(mode).sample.numpy().transpose(0, 2, 3, 4, 1)
    expected = (mode.numpy().transpose(0, 2, 3, 4, 1) - mean) / std
    assert np.abs(back).mean() < 0.9, "frames that are clipped everywhere would prove nothing"
    with jax.default_matmul_precision("highest"):
        close(jax.jit(lambda p, v: vae.apply({"params": p}, v, method="encode"))(params, x), expected)
        close(jax.jit(lambda p, z: vae.apply({"params": p}, z, method="decode"))(params, expected), back)


def test_a_stream_gives_the_same_numbers(pair: tuple[Any, VideoVAE, Any]) -> None:
    _, vae, params = pair
    x = video(vae, 9)
    with jax.default_matmul_precision("highest"):
        z = jax.jit(lambda p, v: vae.apply({"params": p}, v, method="encode"))(params, x)
        close(jax.jit(lambda p, v: encode_stream(vae, p, v))(params, x), z, 1e-5)
        y = jax.jit(lambda p, v: vae.apply({"params": p}, v, method="decode"))(params, z)
        close(jax.jit(lambda p, v: decode_stream(vae, p, v, step=2))(params, z), y, 1e-5)
