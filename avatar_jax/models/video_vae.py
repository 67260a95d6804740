"""The Wan video VAE: 4 frames and 8 x 8 (2.1) or 16 x 16 (2.2) pixels per latent, causal in time.

    vae = VideoVAE(VAE_2_1)
    latents = vae.apply({"params": params}, frames, method="encode")
    frames = vae.apply({"params": params}, latents, method="decode")

A video has 4 n + 1 frames and n + 1 latents. For long or large videos `vae_stream` gives the same numbers chunk by
chunk.
"""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from avatar_jax.models.vae_layers import Video
from avatar_jax.models.vae_stages import TIME_FACTOR, Decoder, Encoder, VAEConfig
from avatar_jax.nn.attention import Attend, attend
from avatar_jax.nn.linear import Linear

Frames = Float[Array, "B T H W 3"]

VAE_2_1 = VAEConfig(
    latents_mean=(
        *(-0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508),
        *(0.4134, -0.0715, 0.5517, -0.3632, -0.1922, -0.9497, 0.2503, -0.2921),
    ),
    latents_std=(
        *(2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743),
        *(3.2687, 2.1526, 2.8652, 1.5579, 1.6382, 1.1253, 2.8251, 1.9160),
    ),
)
"""126.9M parameters; of Wan 2.1 and of the 14B models of Wan 2.2."""
VAE_2_2 = VAEConfig(width=160, decoder_width=256, latent_channels=48, shortcuts=True, patch=2)
"""704.7M parameters; of Wan 2.2 TI2V-5B. Its 48 means and deviations stand in the checkpoint's config.json."""


class VideoVAE(nn.Module):
    """Encoder and decoder. Frames are in [-1, 1]; latents have about zero mean and unit variance per channel.

    Both directions compute in `config.dtype` and return float32.
    """

    config: VAEConfig = VAE_2_1
    attend: Attend = attend
    frames_per_latent = TIME_FACTOR
    streaming = True

    def setup(self) -> None:
        z = self.config.latent_channels
        self.encoder = Encoder(self.config, self.attend)
        self.decoder = Decoder(self.config, self.attend)
        self.quant_conv = Linear(2 * z, ("small", "small"))
        self.post_quant_conv = Linear(z, ("small", "small"))

    def statistics(self) -> tuple[Array, Array]:
        """(mean, std) of the latents, each [C].

        Raises:
            ValueError: if the config does not hold one of each per latent channel.
        """
        mean, std, z = self.config.latents_mean, self.config.latents_std, self.config.latent_channels
        if (len(mean), len(std)) != (z, z):
            raise ValueError(
                f"Video VAE: got {len(mean)} latents_mean and {len(std)} latents_std for {z} channels.\n"
                "Rule: one of each per latent channel.\n"
                "Fix: read the config from the checkpoint's config.json (weights.vae_keys.vae_config)."
            )
        return jnp.asarray(mean), jnp.asarray(std)

    def encode(self, frames: Frames, first: bool = True) -> Float[Array, "B t h w C"]:
        """Frames -> the mode of their latents, normalised. T = 4 n + 1 frames, or 4 n that continue a stream.

        Raises:
            ValueError: on a number of frames, rows or columns that does not fit the grid of latents.
        """
        T, H, W = frames.shape[1:4]
        cell = self.config.cell
        if (T - first) % TIME_FACTOR or H % cell or W % cell:
            raise ValueError(
                f"Video VAE: got {T} frames of {W} x {H} pixels.\n"
                f"Rule: {TIME_FACTOR} n{' + 1' if first else ''} frames, both sides a multiple of {cell}.\n"
                "Fix: pad or cut the video."
            )
        mean, std = self.statistics()
        x = self.encoder(to_patches(frames.astype(self.config.dtype), self.config.patch), first)
        mode = jnp.split(self.quant_conv(x).astype(jnp.float32), 2, axis=-1)[0]
        return (mode - mean) / std

    def decode(self, latents: Float[Array, "B t h w C"], first: bool = True) -> Frames:
        """Normalised latents -> frames in [-1, 1]: 4 (t - 1) + 1 of them, or 4 t that continue a stream."""
        mean, std = self.statistics()
        z = (latents * std + mean).astype(self.config.dtype)
        x = self.decoder(self.post_quant_conv(z), first)
        return jnp.clip(from_patches(x, self.config.patch).astype(jnp.float32), -1.0, 1.0)

    def __call__(self, frames: Frames) -> Frames:
        """There and back again; what `init` calls."""
        return self.decode(self.encode(frames))


def to_patches(x: Video, side: int) -> Video:
    """Squares of `side` pixels become channels, in the order colour, column, row."""
    B, T, H, W, C = x.shape
    x = x.reshape(B, T, H // side, side, W // side, side, C).transpose(0, 1, 2, 4, 6, 5, 3)
    return x.reshape(*x.shape[:4], -1)


def from_patches(x: Video, side: int) -> Video:
    """Inverse of `to_patches`."""
    B, T, H, W, C = x.shape
    x = x.reshape(B, T, H, W, C // side**2, side, side).transpose(0, 1, 2, 6, 3, 5, 4)
    return x.reshape(B, T, H * side, W * side, -1)
