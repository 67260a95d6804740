"""The one convolutional block of the small image networks."""

import flax.linen as nn
from jaxtyping import Array, Float


class Residual(nn.Module):
    """x + conv(silu(norm(conv(silu(norm(x))))))."""

    @nn.compact
    def __call__(self, x: Float[Array, "B h w D"]) -> Float[Array, "B h w D"]:
        y = nn.Conv(x.shape[-1], (3, 3))(nn.silu(nn.RMSNorm()(x)))
        return x + nn.Conv(x.shape[-1], (3, 3))(nn.silu(nn.RMSNorm()(y)))
