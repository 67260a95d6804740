"""DINOv2 (Oquab et al. 2023, arXiv 2304.07193): a picture's embedding that was learnt without words, for likeness.

The embedding is the class token after the last norm. Places were learnt on a larger grid than pictures are read at
here and are resized to it, as the authors do.
"""

from dataclasses import dataclass

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, UInt8

from avatar_jax.models.clip_vision import bicubic, cropped
from avatar_jax.nn.encoder import EncoderAttention, exact_gelu
from avatar_jax.nn.linear import FeedForward, Linear
from avatar_jax.nn.norm import LayerNorm
from avatar_jax.nn.patch import patchify
from avatar_jax.nn.stack import Stack

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of red, green and blue in [0, 1], over ImageNet."""
SIDE = 224
"""Pixels a side at which pictures are read: 16 x 16 patches of 14."""


@dataclass(frozen=True)
class DINOv2Config:
    """Sizes; the defaults are ViT-S/14, 22 M parameters. `side`: of the pictures that the places were learnt on."""

    width: int = 384
    heads: int = 6
    layers: int = 12
    ffn: int = 1536
    side: int = 518
    patch: int = 14
    eps: float = 1e-6


class DINOv2(nn.Module):
    """Normalised pictures, whose side is a multiple of the patch -> embeddings."""

    config: DINOv2Config = DINOv2Config()

    @nn.compact
    def __call__(self, pixels_BHW3: Float[Array, "B H W 3"]) -> Float[Array, "B D"]:
        c = self.config
        learnt, wanted = c.side // c.patch, pixels_BHW3.shape[1] // c.patch
        x_BPD = Linear(c.width, ("small", "embed"), name="patch_embedding")(
            patchify(pixels_BHW3[:, None], c.patch)[:, 0]
        )
        normal = nn.initializers.normal(0.02)
        whole_D = self.param("class_embedding", normal, (c.width,))
        place_ID = self.param("position_embedding", normal, (1 + learnt**2, c.width))
        resize = jnp.asarray(bicubic(learnt, wanted))
        grid_LLD = place_ID[1:].reshape(learnt, learnt, c.width)
        place_PD = jnp.einsum("al,lmd,bm->abd", resize, grid_LLD, resize).reshape(-1, c.width)
        whole_B1D = jnp.broadcast_to(whole_D + place_ID[0], (len(x_BPD), 1, c.width))
        x_BID = jnp.concatenate([whole_B1D, x_BPD + place_PD], axis=1)
        x_BID = Stack(lambda name: DINOv2Layer(c, name=name), c.layers, name="blocks")(x_BID)
        return LayerNorm(c.eps, name="norm")(x_BID[:, 0])


class DINOv2Layer(nn.Module):
    """Attention, then feed-forward, a norm before each and a learnt scale after."""

    config: DINOv2Config

    @nn.compact
    def __call__(self, x_BID: jax.Array) -> jax.Array:
        c = self.config
        scale1_D = self.param("scale1", nn.initializers.ones, (c.width,))
        scale2_D = self.param("scale2", nn.initializers.ones, (c.width,))
        x_BID += scale1_D * EncoderAttention(c.heads, name="attention")(LayerNorm(c.eps, name="norm1")(x_BID))
        h_BID = LayerNorm(c.eps, name="norm2")(x_BID)
        return x_BID + scale2_D * FeedForward(c.ffn, activation=exact_gelu, name="ffn")(h_BID)


def dinov2_pixels(pictures: UInt8[np.ndarray, "B H W 3"], side: int = SIDE) -> Float32[np.ndarray, "B side side 3"]:
    """The middle squares of pictures as `DINOv2` takes them."""
    unit_BHW3 = np.stack([cropped(picture, side) for picture in pictures])
    return ((unit_BHW3 - np.array(MEAN)) / np.array(DEVIATION)).astype(np.float32)
