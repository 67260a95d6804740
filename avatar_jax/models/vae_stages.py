"""Encoder and decoder of the Wan video VAE: stages of residual blocks between which the picture halves or doubles.

VAE 2.2 adds to every stage a shortcut without parameters (`shrink`, `grow`) that carries pixels in channels.
"""

from dataclasses import dataclass, field

import flax.linen as nn
import jax.numpy as jnp

from avatar_jax.models.vae_layers import CausalConv, ChannelNorm, Downsample, Middle, Residual, Upsample, Video
from avatar_jax.nn.attention import Attend, attend

TIME_FACTOR = 4
"""Frames per latent after the first."""


@dataclass(frozen=True)
class VAEConfig:
    """Sizes of a VAE and the statistics of its latents.

    Raises:
        ValueError: if there is not one entry of `halve_time` per halving of the picture, two of them true.
    """

    width: int = 96
    """Of the encoder's first stage; `decoder_width` of the decoder's last."""
    decoder_width: int = 96
    latent_channels: int = 16
    multipliers: tuple[int, ...] = (1, 2, 4, 4)
    """Widths of the encoder's stages, in units of `width`."""
    blocks: int = 2
    """Residual blocks in a stage of the encoder; a stage of the decoder has one more."""
    halve_time: tuple[bool, ...] = (False, True, True)
    """After which stages of the encoder the frames halve too."""
    shortcuts: bool = False
    """VAE 2.2: pixels carried in channels beside every stage."""
    patch: int = 1
    """Side of the squares of pixels that become channels before the first layer."""
    latents_mean: tuple[float, ...] = ()
    """Per channel; latents outside the VAE are (z - mean) / std. Empty: not known yet, see `weights.vae_keys`."""
    latents_std: tuple[float, ...] = ()
    dtype: jnp.dtype = field(default=jnp.float32)
    """Of activations; parameters and norms are float32."""

    def __post_init__(self) -> None:
        if len(self.halve_time) != len(self.multipliers) - 1 or 2 ** sum(self.halve_time) != TIME_FACTOR:
            raise ValueError(
                f"Video VAE: got {len(self.multipliers)} stages with halve_time {self.halve_time}.\n"
                "Rule: one entry per stage but the last, two of them true (four frames per latent).\n"
                "Fix: use the config.json of the checkpoint."
            )

    @property
    def cell(self) -> int:
        """Pixels per latent and side: 8 in VAE 2.1, 16 in 2.2."""
        return self.patch * 2 ** len(self.halve_time)


def shrink(x: Video, out: int, time: int, space: int) -> Video:
    """Mean over groups of the channels, rows, columns and frames of a block `time` x `space` x `space`.

    Zeros stand before a first frame that has no partner.
    """
    x = jnp.pad(x, ((0, 0), (-x.shape[1] % time, 0), (0, 0), (0, 0), (0, 0)))
    B, T, H, W, C = x.shape
    x = x.reshape(B, T // time, time, H // space, space, W // space, space, C).transpose(0, 1, 3, 5, 7, 2, 4, 6)
    return x.reshape(*x.shape[:4], out, -1).mean(-1)


def grow(x: Video, out: int, time: int, space: int, first: bool) -> Video:
    """Channels laid out as blocks of `time` frames and `space` x `space` pixels, repeated where they do not suffice."""
    B, T, H, W, C = x.shape
    x = jnp.repeat(x, out * time * space * space // C, axis=-1).reshape(B, T, H, W, out, time, space, space)
    x = x.transpose(0, 1, 5, 2, 6, 3, 7, 4).reshape(B, T * time, H * space, W * space, out)
    return x[:, time - 1 :] if first else x


class Encoder(nn.Module):
    """Frames as patches -> mean and log variance of the latents, 2 * latent_channels."""

    config: VAEConfig
    attend: Attend = attend

    @nn.compact
    def __call__(self, x: Video, first: bool) -> Video:
        cfg = self.config
        x = CausalConv(cfg.width, name="conv_in")(x, first)
        for stage, multiplier in enumerate(cfg.multipliers):
            last, out = stage == len(cfg.halve_time), cfg.width * multiplier
            halves = not last and cfg.halve_time[stage]
            beside = shrink(x, out, 1 + halves, 1 if last else 2) if cfg.shortcuts else 0
            for block in range(cfg.blocks):
                x = Residual(out, name=f"down_{stage}_resnets_{block}")(x, first)
            if not last:
                x = Downsample(halves, name=f"down_{stage}_downsampler")(x, first)
            x = x + beside
        x = nn.silu(ChannelNorm(name="norm_out")(Middle(self.attend, name="mid_block")(x, first)))
        return CausalConv(2 * cfg.latent_channels, name="conv_out")(x, first)


class Decoder(nn.Module):
    """Latents -> frames as patches, 3 * patch^2 channels."""

    config: VAEConfig
    attend: Attend = attend

    @nn.compact
    def __call__(self, z: Video, first: bool) -> Video:
        cfg = self.config
        widths = [cfg.decoder_width * m for m in reversed(cfg.multipliers)]
        x = Middle(self.attend, name="mid_block")(CausalConv(widths[0], name="conv_in")(z, first), first)
        for stage, out in enumerate(widths):
            last = stage == len(cfg.halve_time)
            doubles = not last and cfg.halve_time[-1 - stage]
            beside = grow(x, out, 1 + doubles, 2, first) if cfg.shortcuts and not last else 0
            for block in range(cfg.blocks + 1):
                x = Residual(out, name=f"up_{stage}_resnets_{block}")(x, first)
            if not last:
                # VAE 2.1 halves the width with the doubling of the picture, 2.2 in the next residual block.
                width = out if cfg.shortcuts else out // 2
                x = Upsample(width, doubles, name=f"up_{stage}_upsampler")(x, first) + beside
        x = nn.silu(ChannelNorm(name="norm_out")(x))
        return CausalConv(3 * cfg.patch**2, name="conv_out")(x, first)
