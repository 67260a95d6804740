"""Normalisation and adaptive modulation. Statistics, gains and modulation are float32 whatever the dtype of x."""

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


def rms_norm(x: jax.Array, eps: float = 1e-6) -> jax.Array:
    """Unit root mean square over the last axis, without parameters, in float32."""
    x = x.astype(jnp.float32)
    return x * jax.lax.rsqrt((x * x).mean(-1, keepdims=True) + eps)


class LayerNorm(nn.Module):
    """Layer norm with scale and bias; the result has the dtype of x."""

    eps: float = 1e-6

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        scale = self.param("scale", partitioned(ONES, "small"), (x.shape[-1],))
        bias = self.param("bias", partitioned(ZEROS, "small"), (x.shape[-1],))
        return (layer_norm(x, self.eps) * scale + bias).astype(x.dtype)


class RMSNorm(nn.Module):
    """RMS norm with a gain; the result has the dtype of x."""

    eps: float = 1e-6

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        scale = self.param("scale", partitioned(ONES, "small"), (x.shape[-1],))
        return (rms_norm(x, self.eps) * scale).astype(x.dtype)


def modulate(x: jax.Array, shift: jax.Array, scale: jax.Array, eps: float = 1e-6) -> jax.Array:
    """Adaptive layer norm: norm(x) * (1 + scale) + shift, computed in float32, in the dtype of x."""
    return (layer_norm(x, eps) * (1 + scale) + shift).astype(x.dtype)
