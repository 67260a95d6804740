"""How pleasing a picture is: a small head on CLIP's picture embedding (Schuhmann et al. 2022, arXiv 2210.08402)."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from avatar_jax.models.clip_vision import CLIPVision, CLIPVisionConfig
from avatar_jax.nn.linear import Linear
from avatar_jax.nn.norm import LayerNorm


class CLIPEmbedding(nn.Module):
    """Normalised pictures -> CLIP's joint embedding, of length 1. `config.layers` counts one more than are built."""

    config: CLIPVisionConfig
    embed: int

    @nn.compact
    def __call__(self, pixels_BHW3: Float[Array, "B H W 3"]) -> Float[Array, "B E"]:
        tokens_BID = CLIPVision(self.config, name="tower")(pixels_BHW3)
        whole_BD = LayerNorm(self.config.eps, name="post_norm")(tokens_BID[:, 0])
        x_BE = Linear(self.embed, ("embed", "small"), bias=False, name="projection")(whole_BD).astype(jnp.float32)
        return x_BE / jnp.sqrt(jnp.sum(x_BE**2, axis=-1, keepdims=True))


class AestheticHead(nn.Module):
    """Linear maps one after the other, nothing between them, as released; without hidden `widths` it is one map."""

    widths: tuple[int, ...] = ()

    @nn.compact
    def __call__(self, x_BE: Float[Array, "B E"]) -> Float[Array, " B"]:
        for i, width in enumerate((*self.widths, 1)):
            x_BE = nn.Dense(width, name=f"map_{i}")(x_BE)
        return x_BE[:, 0]
