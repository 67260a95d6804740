"""Reads frames with the gate's reader: mouth, eyes, pose, clarity and identity of every frame."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float32

from avatar_jax.models.avatar_codec import PICTURE
from avatar_jax.models.reader import READINGS, Reader

CHUNK = 8
"""Frames per call: one compiled shape for streams of any length."""


@dataclass(frozen=True)
class Readings:
    """What the reader sees in N frames: values in the order of `reader.READINGS`, identity of length one."""

    values_NR: Float32[np.ndarray, "N R"]
    identity_ND: Float32[np.ndarray, "N 64"]

    def of(self, name: str) -> Float32[np.ndarray, " N"]:
        """One column by its name."""
        return self.values_NR[:, READINGS.index(name)]


@partial(jax.jit, static_argnums=0)
def _read(reader: Reader, params: dict, frames: jax.Array) -> tuple[jax.Array, jax.Array]:
    x = frames.astype(jnp.float32) / 127.5 - 1
    x = jax.image.resize(x, (x.shape[0], PICTURE, PICTURE, 3), "linear", antialias=True)
    reading: Any = reader.apply({"params": params}, x)
    return reading.values, reading.identity


def read_frames(reader: Reader, params: dict, frames: Iterable[np.ndarray], chunk: int = CHUNK) -> Readings:
    """Readings of a stream of square uint8 frames, all of one size, at least one."""
    parts: list[tuple[np.ndarray, np.ndarray]] = []
    stream = iter(frames)
    while held := list(islice(stream, chunk)):
        read = _read(reader, params, np.stack(held + [held[-1]] * (chunk - len(held))))
        parts.append((np.asarray(read[0])[: len(held)], np.asarray(read[1])[: len(held)]))
    values, identities = zip(*parts, strict=True)
    return Readings(np.concatenate(values), np.concatenate(identities))
