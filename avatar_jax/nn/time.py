"""Embedding of the diffusion time."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from avatar_jax.nn.linear import Linear


def sinusoid(t: jax.Array, width: int = 256) -> jax.Array:
    """t [...] in [0, 1] -> [..., width]: cosines, then sines, of 1000 t at rates 1 down to 1/10000 (Wan's order)."""
    half = width // 2
    rates = (10_000.0 ** -(np.arange(half, dtype=np.float64) / half)).astype(np.float32)
    angles = 1000.0 * t[..., None].astype(jnp.float32) * rates
    return jnp.concatenate([jnp.cos(angles), jnp.sin(angles)], axis=-1)


class TimeEmbedding(nn.Module):
    """t_BT in [0, 1] -> (embedding [B, T, D] for the head, six modulations [B, T, 6, D] for the blocks), float32."""

    width: int
    frequencies: int = 256

    @nn.compact
    def __call__(self, t_BT: Float[Array, "B T"]) -> tuple[jax.Array, jax.Array]:
        h = nn.silu(Linear(self.width, ("small", "embed"), name="0")(sinusoid(t_BT, self.frequencies)))
        time_BTD = Linear(self.width, name="2")(h)
        six = Linear(6 * self.width, ("embed", "mlp"), name="projection")(nn.silu(time_BTD))
        return time_BTD, six.reshape(*t_BT.shape, 6, self.width)
