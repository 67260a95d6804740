"""Layers of the Wan video VAE: norm, causal convolutions over space and time, attention inside one frame.

Activations are [B, T, H, W, C]. Time runs through the layers in chunks: the *first* chunk begins a video, every later
one continues it with what the layers remember (variables of the collection PAST, all of fixed size). A whole video is
simply one long first chunk. Rows of a picture carry the logical axis "rows", so they may be split over devices; the
partitioner then exchanges the halo rows that a convolution reads.
"""

from typing import cast

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from avatar_jax.mesh import constrain, partitioned
from avatar_jax.nn.attention import Attend, attend
from avatar_jax.nn.linear import LECUN, Linear

Video = Float[Array, "B T H W C"]

PAST = "past"
"""Collection in which a layer keeps the frames that its next chunk needs; kept only where it is mutable."""
AXES_3D, AXES_2D = ("NDHWC", "DHWIO", "NDHWC"), ("NHWC", "HWIO", "NHWC")
ZEROS, ONES = nn.initializers.zeros_init(), nn.initializers.ones_init()


def split_rows(x: Video) -> Video:
    """Pin the layout of a video: batch over the batch axes, rows of the picture over the sequence axis."""
    return constrain(x, "batch", None, "rows", "columns", "features")


def remember(layer: nn.Module, frames: Video) -> None:
    """Keep `frames` for the layer's next chunk, if this pass is part of a stream."""
    if layer.is_mutable_collection(PAST) and not layer.is_initializing():
        layer.put_variable(PAST, "frames", frames)


def recall(layer: nn.Module) -> Video:
    """What the layer remembered from the chunk before."""
    return cast(jax.Array, layer.get_variable(PAST, "frames"))


def after_two(layer: nn.Module, x: Video, first: bool) -> Video:
    """x with the two frames before it: zeros where the video begins. Remembers its last two frames."""
    past = jnp.zeros((x.shape[0], 2, *x.shape[2:]), x.dtype) if first else recall(layer)
    x = jnp.concatenate([past, x], axis=1)
    remember(layer, x[:, -2:])
    return x


class ChannelNorm(nn.Module):
    """Channels scaled to unit root mean square, with a gain; float32 inside, in the dtype of x outside."""

    @nn.compact
    def __call__(self, x: Array) -> Array:
        scale = self.param("scale", partitioned(ONES, "small"), (x.shape[-1],))
        wide = x.astype(jnp.float32)
        power = jnp.sum(wide * wide, axis=-1, keepdims=True)
        gain = scale * x.shape[-1] ** 0.5
        return (wide * jax.lax.rsqrt(jnp.maximum(power, 1e-24)) * gain).astype(x.dtype)


class SpatialConv(nn.Module):
    """3 x 3 convolution of every frame by itself; `stride` 2 halves the picture and reads one row and column of zeros
    beyond its right and lower edge."""

    out: int
    stride: int = 1

    @nn.compact
    def __call__(self, x: Video) -> Video:
        B, T, H, W, C = x.shape
        kernel = self.param("kernel", partitioned(LECUN, None, None, "small", "small"), (3, 3, C, self.out))
        bias = self.param("bias", partitioned(ZEROS, "small"), (self.out,))
        pad = (1, 1) if self.stride == 1 else (0, 1)
        y = jax.lax.conv_general_dilated(
            x.reshape(B * T, H, W, C), kernel.astype(x.dtype), (self.stride,) * 2, (pad, pad), dimension_numbers=AXES_2D
        )
        return split_rows(y.reshape(B, T, *y.shape[1:]) + bias.astype(x.dtype))


class CausalConv(nn.Module):
    """3 x 3 x 3 convolution of a frame and the two before it."""

    out: int

    @nn.compact
    def __call__(self, x: Video, first: bool) -> Video:
        lone = first and x.shape[1] == 1
        kernel = self.param(
            "kernel", partitioned(LECUN, *(None,) * 3, "small", "small"), (3, 3, 3, x.shape[-1], self.out)
        )
        bias = self.param("bias", partitioned(ZEROS, "small"), (self.out,))
        # Before a lone first frame there is nothing but zeros: two thirds of the kernel have no work.
        window, kernel = after_two(self, x, first), kernel.astype(x.dtype)
        y = conv_3d(window[:, 2:], kernel[2:]) if lone else conv_3d(window, kernel)
        return split_rows(y + bias.astype(x.dtype))


def conv_3d(x: Video, kernel: Float[Array, "K 3 3 C D"]) -> Video:
    """Convolution over time without padding, over space with one zero at each side."""
    # Eigen runs the sum of plane convolutions twice as fast as one over space and time; TPUs have the latter built in.
    return jax.lax.platform_dependent(x, kernel, cpu=_conv_by_planes, default=_conv_at_once)


def _conv_at_once(x: Array, kernel: Array) -> Array:
    return jax.lax.conv_general_dilated(x, kernel, (1,) * 3, ((0, 0), (1, 1), (1, 1)), dimension_numbers=AXES_3D)


def _conv_by_planes(x: Array, kernel: Array) -> Array:
    B, T, H, W, C = x.shape
    frames = T - len(kernel) + 1
    planes = (
        jax.lax.conv_general_dilated(
            x[:, tap : tap + frames].reshape(B * frames, H, W, C),
            plane,
            (1, 1),
            ((1, 1),) * 2,
            dimension_numbers=AXES_2D,
        )
        for tap, plane in enumerate(kernel)
    )
    return sum(planes, start=jnp.zeros((), x.dtype)).reshape(B, frames, H, W, -1)


class TimeConv(nn.Module):
    """Convolution of three frames, each pixel by itself, without padding: T frames -> (T - 3) // stride + 1."""

    out: int
    stride: int = 1

    @nn.compact
    def __call__(self, x: Video) -> Video:
        kernel = self.param("kernel", partitioned(LECUN, None, "small", "small"), (3, x.shape[-1], self.out))
        bias = self.param("bias", partitioned(ZEROS, "small"), (self.out,))
        span = self.stride * ((x.shape[1] - 3) // self.stride + 1)
        taps = (
            jnp.matmul(
                x[:, tap : tap + span : self.stride], kernel[tap].astype(x.dtype), preferred_element_type=jnp.float32
            )
            for tap in range(3)
        )
        return (sum(taps, start=bias)).astype(x.dtype)


class Downsample(nn.Module):
    """Half the rows and columns; with `time`, also half the frames after the first of the video."""

    time: bool

    @nn.compact
    def __call__(self, x: Video, first: bool) -> Video:
        x = SpatialConv(x.shape[-1], stride=2, name="space")(x)
        if not self.time:
            return x
        # The first frame passes as it is, and is also what the first pair of later frames looks back at.
        x = x if first else jnp.concatenate([recall(self), x], axis=1)
        remember(self, x[:, -1:])
        y = TimeConv(x.shape[-1], stride=2, name="time_conv")(x)
        return split_rows(jnp.concatenate([x[:, :1], y], axis=1) if first else y)


class Upsample(nn.Module):
    """Twice the rows and columns; with `time`, also twice the frames after the first of the video."""

    out: int
    time: bool

    @nn.compact
    def __call__(self, x: Video, first: bool) -> Video:
        if self.time:
            x = self.double_frames(x, first)
        return SpatialConv(self.out, name="space")(repeat_pixels(x))

    def double_frames(self, x: Video, first: bool) -> Video:
        """The video's first frame passes as it is, and no later frame looks back at it."""
        B, _, H, W, C = x.shape
        head, tail = (x[:, :1], x[:, 1:]) if first else (x[:, :0], x)
        y = TimeConv(2 * C, name="time_conv")(after_two(self, tail, first))
        pairs = jnp.moveaxis(y.reshape(B, -1, H, W, 2, C), 4, 2)
        return jnp.concatenate([head, pairs.reshape(B, -1, H, W, C)], axis=1)


def repeat_pixels(x: Video) -> Video:
    """Nearest neighbour, twice as large."""
    B, T, H, W, C = x.shape
    wide = jnp.broadcast_to(x[:, :, :, None, :, None], (B, T, H, 2, W, 2, C))
    return split_rows(wide.reshape(B, T, 2 * H, 2 * W, C))


class Residual(nn.Module):
    """x + conv(silu(norm(conv(silu(norm(x)))))); a linear map takes x to another width."""

    out: int

    @nn.compact
    def __call__(self, x: Video, first: bool) -> Video:
        h = CausalConv(self.out, name="conv1")(nn.silu(ChannelNorm(name="norm1")(x)), first)
        h = CausalConv(self.out, name="conv2")(nn.silu(ChannelNorm(name="norm2")(h)), first)
        narrow = x.shape[-1] == self.out
        return h + (x if narrow else Linear(self.out, ("small", "small"), name="conv_shortcut")(x))


class PlaneAttention(nn.Module):
    """Every pixel of a frame looks at all pixels of the same frame, with one head."""

    attend: Attend = attend

    @nn.compact
    def __call__(self, x: Video) -> Video:
        B, T, H, W, C = x.shape
        qkv = Linear(3 * C, ("small", "small"), name="to_qkv")(ChannelNorm(name="norm")(x))
        q, k, v = (jnp.moveaxis(y.reshape(B, T, H * W, 1, C), 1, 0) for y in jnp.split(qkv, 3, axis=-1))
        # One frame at a time: the scores of a frame are the largest array of the whole model.
        y_TBNAK = jax.lax.map(lambda frame: self.attend(*frame), (q, k, v))
        y = split_rows(jnp.moveaxis(y_TBNAK, 0, 1).reshape(B, T, H, W, C))
        return x + Linear(C, ("small", "small"), name="proj")(y)


class Middle(nn.Module):
    """Residual, attention, residual: the deepest part of encoder and decoder."""

    attend: Attend = attend

    @nn.compact
    def __call__(self, x: Video, first: bool) -> Video:
        x = Residual(x.shape[-1], name="resnets_0")(x, first)
        x = PlaneAttention(self.attend, name="attentions_0")(x)
        return Residual(x.shape[-1], name="resnets_1")(x, first)
