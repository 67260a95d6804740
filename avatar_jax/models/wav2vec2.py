"""The speech encoder of MultiTalk, SkyReels-V3 and EchoMimicV3: wav2vec2 base (Baevski et al. 2020), all its layers.

Those models stretch the convolutions' features from about 50 Hz to the video's frame rate *before* the transformer, so
that every layer's output is already one vector for each frame; the denoiser reads all layers but the input.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32

from avatar_jax.mesh import constrain, fetched, partitioned
from avatar_jax.nn.encoder import EncoderAttention, exact_gelu
from avatar_jax.nn.linear import FeedForward, Linear
from avatar_jax.nn.norm import ONES, ZEROS, LayerNorm
from avatar_jax.nn.stack import Stack

SAMPLE_RATE = 16000
WINDOW, CONTEXT = 1500, 125
"""Frames that `encode_recording` hears at once, and those at either side that are heard twice: 60 and 5 s at 25 fps."""


@dataclass(frozen=True)
class Wav2Vec2Config:
    """Sizes; the defaults are wav2vec2 base, 94.4 M parameters."""

    width: int = 768
    heads: int = 12
    depth: int = 12
    ffn: int = 3072
    conv_width: int = 512
    kernels: tuple[int, ...] = (10, 3, 3, 3, 3, 2, 2)
    strides: tuple[int, ...] = (5, 2, 2, 2, 2, 2, 2)
    position_kernel: int = 128
    position_groups: int = 16
    eps: float = 1e-5
    dtype: jnp.dtype = field(default=jnp.float32)
    """Of the transformer's products; the convolutions, norms, softmax and residual sums are float32."""


class Wav2Vec2(nn.Module):
    """Sound -> the transformer's input and every layer's output."""

    config: Wav2Vec2Config = Wav2Vec2Config()

    @nn.compact
    def __call__(self, wave_BX: Float[Array, "B samples"], frames: int | None = None) -> Float[Array, "B T layers D"]:
        """States of `depth + 1` layers; `frames` is T, None keeps the features' own rate (about 50 Hz).

        Args:
            wave_BX: 16 kHz sound of zero mean and unit variance (`normalised`), at least 400 samples.
        """
        cfg = self.config
        x_BTC = wave_BX[..., None].astype(jnp.float32)
        for i, (kernel, stride) in enumerate(zip(cfg.kernels, cfg.strides, strict=True)):
            x_BTC = Convolution(cfg.conv_width, kernel, stride, name=f"conv_{i}")(x_BTC)
            if i == 0:
                x_BTC = ChannelNorm(cfg.eps, name="conv_norm")(x_BTC)
            x_BTC = exact_gelu(x_BTC)
        if frames is not None:
            x_BTC = at_frames(x_BTC, frames)
        x_BTC = LayerNorm(cfg.eps, name="feature_norm")(x_BTC)
        x_BTD = Linear(cfg.width, ("small", "embed"), name="feature_projection")(x_BTC)
        place = PositionConvolution(cfg.position_kernel, cfg.position_groups, name="position")
        x_BTD = LayerNorm(cfg.eps, name="norm")(x_BTD + exact_gelu(place(x_BTD)))
        layers_LBTD = Stack(lambda name: Wav2Vec2Layer(cfg, name=name), cfg.depth, name="blocks").every(x_BTD)
        return jnp.moveaxis(jnp.concatenate([x_BTD[None], layers_LBTD]), 0, 2)


class Wav2Vec2Layer(nn.Module):
    """Attention, then feed-forward; a norm after each sum."""

    config: Wav2Vec2Config

    @nn.compact
    def __call__(self, x_BTD: jax.Array) -> jax.Array:
        cfg = self.config
        y_BTD = EncoderAttention(cfg.heads, name="attention")(x_BTD.astype(cfg.dtype))
        x_BTD = LayerNorm(cfg.eps, name="norm1")(x_BTD + y_BTD.astype(jnp.float32))
        y_BTD = FeedForward(cfg.ffn, activation=exact_gelu, name="ffn")(x_BTD.astype(cfg.dtype))
        x_BTD = LayerNorm(cfg.eps, name="norm2")(x_BTD + y_BTD.astype(jnp.float32))
        return constrain(x_BTD, "batch", None, "features")


class Convolution(nn.Module):
    """Along time, without padding or bias; kernel [taps, in, out]."""

    out: int
    taps: int
    stride: int

    @nn.compact
    def __call__(self, x_BTC: jax.Array) -> jax.Array:
        init = partitioned(nn.initializers.he_normal(), None, "small", "small")
        kernel = self.param("kernel", init, (self.taps, x_BTC.shape[-1], self.out)).astype(jnp.float32)
        return jax.lax.conv_general_dilated(
            x_BTC, kernel, (self.stride,), "VALID", dimension_numbers=("NWC", "WIO", "NWC")
        )


class ChannelNorm(nn.Module):
    """Each channel to zero mean and unit variance over the whole sound (a group norm with one channel to a group)."""

    eps: float

    @nn.compact
    def __call__(self, x_BTC: jax.Array) -> jax.Array:
        scale = self.param("scale", partitioned(ONES, "small"), (x_BTC.shape[-1],))
        bias = self.param("bias", partitioned(ZEROS, "small"), (x_BTC.shape[-1],))
        centred = x_BTC - x_BTC.mean(axis=1, keepdims=True)
        variance = (centred * centred).mean(axis=1, keepdims=True)
        return centred * jax.lax.rsqrt(variance + self.eps) * scale + bias


class PositionConvolution(nn.Module):
    """Where a token stands, heard from the 128 around it: a grouped convolution with normalised weights.

    The released weights keep a gain for each tap and a direction for the rest (weight norm over the other two axes).
    """

    taps: int
    groups: int

    @nn.compact
    def __call__(self, x_BTD: jax.Array) -> jax.Array:
        D = x_BTD.shape[-1]
        init = partitioned(nn.initializers.normal(0.02), None, "small", "small")
        direction = self.param("direction", init, (self.taps, D // self.groups, D)).astype(jnp.float32)
        gain = self.param("gain", partitioned(ONES, "small"), (self.taps,)).astype(jnp.float32)
        bias = self.param("bias", partitioned(ZEROS, "small"), (D,)).astype(jnp.float32)
        kernel = direction * (gain * jax.lax.rsqrt((direction**2).sum((1, 2))))[:, None, None]
        # With an even kernel, padding by half of it at both sides gives one frame too many; the last is dropped.
        padding = (self.taps // 2, (self.taps - 1) // 2)
        y_BTD = jax.lax.conv_general_dilated(
            x_BTD, kernel, (1,), (padding,), dimension_numbers=("NWC", "WIO", "NWC"), feature_group_count=self.groups
        )
        return y_BTD + bias


def at_frames(x_BTC: Float[Array, "B T C"], frames: int) -> Float[Array, "B frames C"]:
    """Linear interpolation to `frames` instants: the first on the first feature, the last on the last."""
    last = x_BTC.shape[1] - 1
    where = np.linspace(0, last, frames)
    low = np.minimum(where.astype(np.int64), max(last - 1, 0))
    share_T1 = jnp.asarray(where - low, jnp.float32)[:, None]
    return x_BTC[:, low] * (1 - share_T1) + x_BTC[:, np.minimum(low + 1, last)] * share_T1


def normalised(wave: np.ndarray) -> Float32[np.ndarray, "samples"]:
    """Zero mean and unit variance over the recording, as the released feature extractor; loudness cancels out."""
    wave = np.asarray(wave, np.float64)
    return ((wave - wave.mean()) / np.sqrt(wave.var() + 1e-7)).astype(np.float32)


@partial(jax.jit, static_argnums=(0, 3))
def hear(config: Wav2Vec2Config, params: Any, wave_BX: jax.Array, frames: int) -> jax.Array:
    """`Wav2Vec2` compiled: [B, frames, depth + 1, D]."""
    states: Any = Wav2Vec2(config).apply({"params": params}, wave_BX, frames)
    return states


def encode_recording(
    config: Wav2Vec2Config, params: Any, wave: np.ndarray, frames: int, window: int = WINDOW, context: int = CONTEXT
) -> Float32[np.ndarray, "frames layers D"]:
    """States of a whole mono 16 kHz recording, for video frames spread evenly over it.

    Up to `window` frames are heard at once, exactly as published; attention's memory grows with the square of the
    frames, so longer recordings are heard in windows of that one length, with `context` frames around what is kept.
    """
    sound = normalised(wave)
    if frames <= window:
        return fetched(hear(config, params, jnp.asarray(sound)[None], frames)[0])
    samples = window * len(sound) // frames

    def run(start: int) -> np.ndarray:
        first = min(start * len(sound) // frames, len(sound) - samples)
        return fetched(hear(config, params, jnp.asarray(sound[None, first : first + samples]), window)[0])

    return in_windows(run, frames, window, context)


def in_windows(run: Callable[[int], np.ndarray], frames: int, window: int, context: int) -> np.ndarray:
    """[frames, ...] from overlapping `run(start)` [window, ...]; frames > window > 2 * context.

    At each seam, the earlier window has all but its last `context` frames taken and the later all but its first.
    """
    starts = [*range(0, frames - window, window - 2 * context), frames - window]
    seams = [0, *(start + context for start in starts[1:]), frames]
    parts = [
        run(start)[low - start : high - start] for start, low, high in zip(starts, seams[:-1], seams[1:], strict=True)
    ]
    return np.concatenate(parts)
