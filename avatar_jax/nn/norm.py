"""Normalisation and adaptive modulation. Statistics, gains and modulation are float32 whatever the dtype of x."""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from avatar_jax.mesh import partitioned

ONES, ZEROS = nn.initializers.ones_init(), nn.initializers.zeros_init()


def layer_norm(x: jax.Array, eps: float = 1e-6) -> jax.Array:
    """Zero mean and unit variance over the last axis, without parameters, in float32."""
    x = x.astype(jnp.float32)
    x = x - x.mean(-1, keepdims=True)
    return x * jax.lax.rsqrt((x * x).mean(-1, keepdims=True) + eps)


def layer_norm_at_once(x: jax.Array, eps: float = 1e-6) -> jax.Array:
    """`layer_norm` whose mean and mean square come out of one pass over x, which can be that of the product before.

    For residual sums, whose mean is small beside their spread: where it is not, digits are lost.
    """
    x = x.astype(jnp.float32)
    mean, square = x.mean(-1, keepdims=True), (x * x).mean(-1, keepdims=True)
    return (x - mean) * jax.lax.rsqrt(jnp.maximum(square - mean * mean, 0.0) + eps)


def rms_norm(x: jax.Array, eps: float = 1e-6) -> jax.Array:
    """Unit root mean square over the last axis, without parameters, in float32."""
    x = x.astype(jnp.float32)
    return x * jax.lax.rsqrt((x * x).mean(-1, keepdims=True) + eps)


class LayerNorm(nn.Module):
    """Layer norm with scale and bias; the result has the dtype of x."""

    eps: float = 1e-6
    at_once: bool = False
    """By `layer_norm_at_once`."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        scale = self.param("scale", partitioned(ONES, "small"), (x.shape[-1],))
        bias = self.param("bias", partitioned(ZEROS, "small"), (x.shape[-1],))
        normed = (layer_norm_at_once if self.at_once else layer_norm)(x, self.eps)
        return (normed * scale + bias).astype(x.dtype)


class RMSNorm(nn.Module):
    """RMS norm with a gain; the result has the dtype of x."""

    eps: float = 1e-6

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        scale = self.param("scale", partitioned(ONES, "small"), (x.shape[-1],))
        return (rms_norm(x, self.eps) * scale).astype(x.dtype)


class Scale(NamedTuple):
    """What an RMS norm multiplies with: a number of each token, a gain of each feature; float32."""

    row_BN1: jax.Array
    gain_11D: jax.Array


def scaled(x_BND: jax.Array, scale: Scale | None) -> jax.Array:
    """x times both, in the dtype of x; x itself where there are none."""
    if scale is None:
        return x_BND
    return (x_BND.astype(jnp.float32) * scale.row_BN1 * scale.gain_11D).astype(x_BND.dtype)


class RMSScale(nn.Module):
    """The `Scale` of an RMSNorm with the same parameters: attention multiplies with it where it reads x anyway."""

    eps: float = 1e-6

    @nn.compact
    def __call__(self, x_BND: jax.Array) -> Scale:
        gain = self.param("scale", partitioned(ONES, "small"), (x_BND.shape[-1],))
        square = jnp.square(x_BND.astype(jnp.float32)).mean(-1, keepdims=True)
        return Scale(jax.lax.rsqrt(square + self.eps), gain[None, None])


def modulate(x: jax.Array, shift: jax.Array, scale: jax.Array, eps: float = 1e-6) -> jax.Array:
    """Adaptive layer norm: norm(x) * (1 + scale) + shift, computed in float32, in the dtype of x."""
    return (layer_norm_at_once(x, eps) * (1 + scale) + shift).astype(x.dtype)
