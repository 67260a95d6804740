"""Latents to pictures, in chunks of one shape, and what the gate's reader sees in them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice

import cv2
import jax
import jax.numpy as jnp
import numpy as np

from avatar_jax.metrics.reading import Readings, read_frames
from avatar_jax.models.avatar_codec import AvatarCodec
from avatar_jax.models.reader import Reader

CHUNK = 8
"""Frames decoded per call: a stream of any length needs one compilation and little memory."""


def to_unit(frames: np.ndarray) -> np.ndarray:
    """uint8 -> [-1, 1]."""
    return frames.astype(np.float32) / 127.5 - 1


@partial(jax.jit, static_argnums=(0, 5))
def _decode(codec: AvatarCodec, params: dict, latents: jax.Array, small: jax.Array, source: jax.Array, size: int):
    frames = codec.apply({"params": params}, latents[None], small[None], source[None], size, method="decode")[0]
    return jnp.clip(jnp.round((frames + 1) * 127.5), 0, 255).astype(jnp.uint8)


@dataclass(frozen=True)
class Pictures:
    """Decoder and reader for one portrait; `size` is the side of the video."""

    codec: AvatarCodec
    codec_params: dict
    reader: Reader
    reader_params: dict
    small: np.ndarray
    """uint8 [128, 128, 3]: the portrait as the models see it."""
    source: np.ndarray
    """uint8: the portrait whose pixels the video is made of; `source_for` gives it."""
    size: int

    def decode(self, latents: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Frames uint8 [size, size, 3], one for every latent [P, C]."""
        small, source = jnp.asarray(to_unit(self.small)), jnp.asarray(to_unit(self.source))
        stream = iter(latents)
        while chunk := list(islice(stream, CHUNK)):
            batch = np.stack(chunk + [chunk[-1]] * (CHUNK - len(chunk))).astype(np.float32)
            frames = np.asarray(_decode(self.codec, self.codec_params, batch, small, source, self.size))
            yield from frames[: len(chunk)]

    def read(self, frames: Iterable[np.ndarray]) -> Readings:
        """The gate reader's view of these frames, which are `size` pixels wide."""
        return read_frames(self.reader, self.reader_params, frames)

    def portrait(self) -> np.ndarray:
        """The portrait at the video's size, for the reader."""
        return cv2.resize(self.source, (self.size, self.size), interpolation=cv2.INTER_AREA)


def source_for(portrait: np.ndarray, size: int) -> np.ndarray:
    """The portrait at `size`, or at twice that where it has the pixels: few shapes, yet sharp when the camera nears."""
    side = 2 * size if portrait.shape[0] >= 2 * size else size
    return cv2.resize(portrait, (side, side), interpolation=cv2.INTER_AREA)
