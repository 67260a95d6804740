"""A small convolutional classifier that says yes or no to a picture, or to a few frames stacked as its channels.

Two of the data pipeline's experts are one: is this mouth clear, and do these frames follow each other without a cut.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

from avatar_jax.models.conv import Residual
from avatar_jax.models.warp import space_to_depth


def pictures(x_BHWC: UInt8[Array, "B H W C"]) -> Float[Array, "B H W C"]:
    """uint8 to [-1, 1]."""
    return x_BHWC.astype(jnp.float32) / 127.5 - 1


def changes(x_BHWC: UInt8[Array, "B H W C"]) -> Float[Array, "B H W C+1"]:
    """The two frames in the middle of C, then the C - 1 differences of neighbours, enlarged: small motion counts."""
    x_BHWC = pictures(x_BHWC)
    middle = x_BHWC.shape[-1] // 2
    return jnp.concatenate([x_BHWC[..., middle - 1 : middle + 1], 3 * jnp.diff(x_BHWC, axis=-1)], axis=-1)


@dataclass(frozen=True)
class ClassifierConfig:
    """`side` pixels and `channels` of the input, what it is turned into first, and the widths at 1/4, 1/8, 1/16."""

    side: int = 64
    channels: int = 3
    prepare: Callable[[jax.Array], jax.Array] = pictures
    stem: int = 48
    middle: int = 64
    deep: int = 64
    head: int = 64


MOUTH = ClassifierConfig()
CONTINUITY = ClassifierConfig(channels=6, prepare=changes)


class Classifier(nn.Module):
    """Pictures -> logits: above 0 is yes."""

    config: ClassifierConfig = ClassifierConfig()

    @nn.compact
    def __call__(self, x_BHWC: UInt8[Array, "B H W C"]) -> Float[Array, " B"]:
        c = self.config
        x = nn.silu(nn.Conv(c.stem, (3, 3), name="stem")(space_to_depth(c.prepare(x_BHWC), 4)))
        x = Residual(name="near")(nn.Dense(c.middle, name="middle")(space_to_depth(x, 2)))
        x = nn.silu(nn.RMSNorm(name="norm")(Residual(name="far")(nn.Dense(c.deep, name="deep")(space_to_depth(x, 2)))))
        h = nn.silu(nn.Dense(c.head, name="head")(x.reshape(len(x), -1)))
        return nn.Dense(1, name="out")(h)[:, 0]


def classify(
    config: ClassifierConfig, params: Any, x_NHWC: UInt8[np.ndarray, "N H W C"], batch: int = 32
) -> Float[np.ndarray, " N"]:
    """Probabilities of yes, in batches of one shape so that one compilation serves any number."""
    parts = []
    for start in range(0, len(x_NHWC), batch):
        rows = x_NHWC[start : start + batch]
        padded = np.concatenate([rows, np.zeros((batch - len(rows), *rows.shape[1:]), rows.dtype)])
        parts.append(np.asarray(_classify(config, params, padded))[: len(rows)])
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


@partial(jax.jit, static_argnums=0)
def _classify(config: ClassifierConfig, params: Any, x_BHWC: jax.Array) -> jax.Array:
    logits: Any = Classifier(config).apply({"params": params}, x_BHWC)
    return jax.nn.sigmoid(logits)
