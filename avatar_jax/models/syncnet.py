"""SyncNet: two towers that bring five frames of a face and the 0.2 s of sound beside them close together.

Chung and Zisserman, "Out of time: automated lip sync in the wild" (2016). `PUBLISHED` has the layer sizes of the
network that its authors released, whose weights load through `weights.syncnet_keys`; `SMALL` is the same module in a
size that trains on one core (`training.syncnet_stage`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

FRAMES = 5
"""Frames of one window, at 25 a second."""
STEPS = 20
"""Rows of coefficients of one window, at 100 a second."""
PER_FRAME = 4
Size = tuple[int, int]


@dataclass(frozen=True)
class Pool:
    """A maximum over windows; sizes are (rows, columns)."""

    window: Size
    stride: Size
    pad: Size = (0, 0)


@dataclass(frozen=True)
class Layer:
    """A convolution, a norm and a ReLU, with a pooling after them where there is one."""

    width: int
    kernel: Size
    stride: Size = (1, 1)
    pad: Size = (0, 0)
    pool: Pool | None = None


class StoredNorm(nn.Module):
    """A batch norm whose statistics were measured long ago and are parameters like any other."""

    eps: float = 1e-5

    @nn.compact
    def __call__(self, x: Array) -> Array:
        shape = x.shape[-1:]
        scale = self.param("scale", nn.initializers.ones, shape)
        bias = self.param("bias", nn.initializers.zeros, shape)
        mean = self.param("mean", nn.initializers.zeros, shape)
        var = self.param("var", nn.initializers.ones, shape)
        return (x - mean) * (scale * jax.lax.rsqrt(var + self.eps)) + bias


def as_it_is(x: Array) -> Array:
    return x


def unit_length(x_BE: Array) -> Array:
    return x_BE / jnp.sqrt(jnp.sum(x_BE**2, axis=-1, keepdims=True) + 1e-6)


def brightness(x: Array) -> Array:
    """Numbers from 0 to 255 about [-1, 1]."""
    return x / 127.5 - 1


@dataclass(frozen=True)
class SyncNetConfig:
    """Crops of `side` pixels with `colours` channels, blue first as OpenCV reads them; layers; widths after them."""

    side: int
    colours: int
    video: tuple[Layer, ...]
    sound: tuple[Layer, ...]
    head: int
    embed: int
    norm: Callable[..., nn.Module] = StoredNorm
    look: Callable[[Array], Array] = as_it_is
    """What becomes of pixel values, 0 to 255, before the first layer."""
    finish: Callable[[Array], Array] = as_it_is
    """What becomes of an embedding."""


def _same(width: int, pool: Pool | None = None) -> Layer:
    """3 x 3, as many cells after it as before."""
    return Layer(width, (3, 3), pad=(1, 1), pool=pool)


_HALF = Pool((3, 3), (2, 2))
PUBLISHED = SyncNetConfig(
    side=224,
    colours=3,
    video=(
        Layer(96, (7, 7), (2, 2), pool=_HALF),
        Layer(256, (5, 5), (2, 2), (1, 1), Pool((3, 3), (2, 2), (1, 1))),
        _same(256),
        _same(256),
        _same(256, _HALF),
        Layer(512, (6, 6)),
    ),
    sound=(
        _same(64),
        _same(192, Pool((3, 3), (1, 2))),
        _same(384),
        _same(256),
        _same(256, _HALF),
        Layer(512, (5, 4)),
    ),
    head=512,
    embed=1024,
)
"""The released network; its first layer sees all five frames at once, the others one map each."""
SMALL = SyncNetConfig(
    side=40,
    colours=1,
    video=(
        Layer(32, (5, 5), (2, 2), (2, 2)),
        Layer(64, (3, 3), (2, 2), (1, 1)),
        Layer(64, (3, 3), (2, 2), (1, 1)),
        Layer(128, (5, 5)),
    ),
    sound=(
        _same(32),
        Layer(64, (3, 3), (1, 2), (1, 1)),
        Layer(64, (3, 3), (2, 2), (1, 1)),
        Layer(128, (7, 5)),
    ),
    head=128,
    embed=64,
    norm=nn.RMSNorm,
    look=brightness,
    finish=unit_length,
)
"""Squares about the mouth instead of faces; 0.6 M parameters, trained by `python -m data_pipeline experts`."""


class Tower(nn.Module):
    """Layers down to one cell, a hidden layer, the embedding."""

    layers: tuple[Layer, ...]
    config: SyncNetConfig

    @nn.compact
    def __call__(self, x_BHWC: Array) -> Array:
        c = self.config
        x = x_BHWC
        for i, layer in enumerate(self.layers):
            pad = [(p, p) for p in layer.pad]
            x = nn.Conv(layer.width, layer.kernel, layer.stride, pad, name=f"conv_{i}")(x)
            x = nn.relu(c.norm(name=f"norm_{i}")(x))
            if layer.pool is not None:
                edges: Any = [(p, p) for p in layer.pool.pad]
                x = nn.max_pool(x, layer.pool.window, layer.pool.stride, edges)
        if x.shape[1:3] != (1, 1):
            raise ValueError(f"the layers leave {x.shape[1:3]} cells of an input {x_BHWC.shape[1:3]}, not one")
        h = nn.relu(c.norm(name="head_norm")(nn.Dense(c.head, name="head")(x[:, 0, 0])))
        return c.finish(nn.Dense(c.embed, name="embed")(h))


class SyncNet(nn.Module):
    """Both towers; what they give is compared by its distance."""

    config: SyncNetConfig

    def setup(self) -> None:
        c = self.config
        self.video_tower, self.sound_tower = Tower(c.video, c), Tower(c.sound, c)

    def video(self, crops_B5HWC: Float[Array, "B 5 H W C"]) -> Float[Array, "B E"]:
        """Windows of five crops, values 0 to 255."""
        x = jnp.moveaxis(self.config.look(crops_B5HWC), 1, 3)
        return self.video_tower(x.reshape(*x.shape[:3], -1))

    def sound(self, heard_BFK: Float[Array, "B 20 13"]) -> Float[Array, "B E"]:
        """Windows of coefficients (`models.mfcc`)."""
        return self.sound_tower(jnp.swapaxes(heard_BFK, 1, 2)[..., None])

    def __call__(self, crops_B5HWC: Array, heard_BFK: Array) -> tuple[Array, Array]:
        return self.video(crops_B5HWC), self.sound(heard_BFK)


def relative(mfcc_FK: Float[np.ndarray, "F 13"]) -> Float[np.ndarray, "F 13"]:
    """Coefficients less their mean over the clip, over their spread: what a microphone does to a whole clip is gone."""
    x = np.asarray(mfcc_FK, np.float32)
    return (x - x.mean(0)) / (x.std(0) + 0.5)


def windows(frames: int, rows: int) -> int:
    """How many windows a clip has: the authors' count, which leaves the last possible one out."""
    return max(0, min(frames - FRAMES, (rows - STEPS) // PER_FRAME + 1))


def embed_clip(
    config: SyncNetConfig,
    params: Any,
    crops_THWC: np.ndarray,
    heard_FK: Float[np.ndarray, "F 13"],
    batch: int = 16,
) -> tuple[Float[np.ndarray, "N E"], Float[np.ndarray, "N E"]]:
    """Embeddings of video and sound of every window; window i begins with frame i."""
    count = windows(len(crops_THWC), len(heard_FK))
    video, sound = [], []
    for start in range(0, count, batch):
        # The last batch repeats its last window, so that one compilation serves every length.
        first = np.minimum(np.arange(start, start + batch), count - 1)
        seen = crops_THWC[first[:, None] + np.arange(FRAMES)]
        heard = heard_FK[first[:, None] * PER_FRAME + np.arange(STEPS)]
        v, s = _embed(config, params, seen, heard)
        video.append(np.asarray(v)[: count - start])
        sound.append(np.asarray(s)[: count - start])
    empty = np.zeros((0, config.embed), np.float32)
    return np.concatenate([empty, *video]), np.concatenate([empty, *sound])


@partial(jax.jit, static_argnums=0)
def _embed(config: SyncNetConfig, params: Any, seen: jax.Array, heard: jax.Array) -> tuple[jax.Array, jax.Array]:
    both: Any = SyncNet(config).apply({"params": params}, seen.astype(jnp.float32), heard.astype(jnp.float32))
    return both
