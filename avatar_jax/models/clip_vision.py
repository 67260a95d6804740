"""The image encoder of Wan's image-to-video models: CLIP ViT-H/14's picture tower, without its last layer.

Wan reads the 257 tokens that leave the last layer but one (`hidden_states[-2]`), before any final norm.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, UInt8
from PIL import Image

from avatar_jax.mesh import constrain, partitioned
from avatar_jax.nn.encoder import EncoderAttention, exact_gelu
from avatar_jax.nn.linear import FeedForward, Linear
from avatar_jax.nn.norm import LayerNorm
from avatar_jax.nn.patch import patchify
from avatar_jax.nn.stack import Stack

MEAN, DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""Of red, green and blue in [0, 1], over CLIP's training pictures (Radford et al. 2021)."""


def quick_gelu(x: jax.Array) -> jax.Array:
    """x sigmoid(1.702 x), CLIP's first approximation of the GELU."""
    return x * jax.nn.sigmoid(1.702 * x)


@dataclass(frozen=True)
class CLIPVisionConfig:
    """Sizes; the defaults are ViT-H/14, 0.631 B parameters with the layer and the norm that Wan does not read."""

    width: int = 1280
    heads: int = 16
    layers: int = 32
    """Of the released model; one fewer is built."""
    ffn: int = 5120
    side: int = 224
    """Of the picture in pixels."""
    patch: int = 14
    eps: float = 1e-5
    dtype: jnp.dtype = field(default=jnp.float32)
    """Of products; norms, softmax and residual sums are float32."""
    activation: Callable[[jax.Array], jax.Array] = exact_gelu
    """`quick_gelu` in the models of the first release, ViT-L/14 among them."""

    @property
    def tokens(self) -> int:
        """One for the whole picture, then one for each patch."""
        return 1 + (self.side // self.patch) ** 2


class CLIPVision(nn.Module):
    """Normalised pictures -> tokens of the last layer but one."""

    config: CLIPVisionConfig = CLIPVisionConfig()

    @nn.compact
    def __call__(self, pixels_BHW3: Float[Array, "B H W 3"]) -> Float[Array, "B I E2"]:
        cfg = self.config
        patches_BPC = patchify(pixels_BHW3[:, None], cfg.patch)[:, 0].astype(cfg.dtype)
        x_BPD = Linear(cfg.width, ("small", "embed"), bias=False, name="patch_embedding")(patches_BPC)
        normal = nn.initializers.normal(0.02)
        whole_D = self.param("class_embedding", partitioned(normal, "small"), (cfg.width,))
        place_ID = self.param("position_embedding", partitioned(normal, None, "small"), (cfg.tokens, cfg.width))
        whole_B1D = jnp.broadcast_to(whole_D, (len(x_BPD), 1, cfg.width))
        x_BID = jnp.concatenate([whole_B1D, x_BPD.astype(jnp.float32)], axis=1) + place_ID
        x_BID = LayerNorm(cfg.eps, name="pre_norm")(x_BID)
        return Stack(lambda name: CLIPLayer(cfg, name=name), cfg.layers - 1, name="blocks")(x_BID)


class CLIPLayer(nn.Module):
    """Attention, then feed-forward; a norm before each."""

    config: CLIPVisionConfig

    @nn.compact
    def __call__(self, x_BID: jax.Array) -> jax.Array:
        cfg = self.config
        h_BID = LayerNorm(cfg.eps, name="norm1")(x_BID).astype(cfg.dtype)
        x_BID = x_BID + EncoderAttention(cfg.heads, name="attention")(h_BID).astype(jnp.float32)
        h_BID = LayerNorm(cfg.eps, name="norm2")(x_BID).astype(cfg.dtype)
        y_BID = FeedForward(cfg.ffn, activation=cfg.activation, name="ffn")(h_BID)
        return constrain(x_BID + y_BID.astype(jnp.float32), "batch", None, "features")


Resize = Callable[[np.ndarray, int], np.ndarray]
"""(picture [H, W, 3] uint8, side) -> [side, side, 3] float32 in [0, 1], give or take what bicubic overshoots."""


def stretched(picture_HW3: np.ndarray, side: int) -> np.ndarray:
    """The whole picture, its proportions lost, bicubic without antialiasing: what Wan's models were trained with."""
    rows, columns = (bicubic(size, side) for size in picture_HW3.shape[:2])
    return np.einsum("ah,hwc,bw->abc", rows, picture_HW3.astype(np.float32) / 255, columns, optimize=True)


def cropped(picture_HW3: np.ndarray, side: int) -> np.ndarray:
    """The middle square of the picture, bicubic with antialiasing: what the -Diffusers pipelines do."""
    height, width = picture_HW3.shape[:2]
    short = min(height, width)
    size = (side * width // short, side * height // short)
    picture = Image.fromarray(picture_HW3).resize(size, Image.Resampling.BICUBIC)
    left, top = (size[0] - side) // 2, (size[1] - side) // 2
    return np.asarray(picture.crop((left, top, left + side, top + side)), np.float32) / 255


def clip_pixels(
    pictures: list[UInt8[np.ndarray, "H W 3"]], side: int = 224, resize: Resize = stretched
) -> Float32[np.ndarray, "B side side 3"]:
    """Pictures of any size -> what `CLIPVision` takes."""
    unit_BHW3 = np.stack([resize(picture, side) for picture in pictures])
    return ((unit_BHW3 - np.array(MEAN)) / np.array(DEVIATION)).astype(np.float32)


@cache
def bicubic(size: int, target: int) -> np.ndarray:
    """Weights [target, size] of Keys' cubic with a = -0.75 (1981): pixel centres aligned, edges repeated."""
    a = -0.75
    centre = (np.arange(target) + 0.5) * size / target - 0.5
    first = np.floor(centre).astype(np.int64)
    weights = np.zeros((target, size))
    for tap in range(-1, 3):
        d = np.abs(centre - (first + tap))
        near = ((a + 2) * d - (a + 3)) * d * d + 1
        far = ((d - 5) * d + 8) * d * a - 4 * a
        np.add.at(weights, (np.arange(target), np.clip(first + tap, 0, size - 1)), np.where(d <= 1, near, far))
    return weights.astype(np.float32)


@partial(jax.jit, static_argnums=0)
def encode_pictures(config: CLIPVisionConfig, params: Any, pixels_BHW3: jax.Array) -> jax.Array:
    """`CLIPVision` compiled: [B, I, E2]."""
    tokens: Any = CLIPVision(config).apply({"params": params}, pixels_BHW3)
    return tokens
