"""Latents to pictures, in chunks of one shape, and what the gate's reader sees in them."""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import islice
from typing import Any

import cv2
import jax
import numpy as np

from avatar_jax.metrics.reading import Readings, read_frames
from avatar_jax.models.avatar_codec import AvatarCodec, FaceFields, unpack
from avatar_jax.models.portrait_layers import SIZE, PortraitLayers
from avatar_jax.models.reader import Reader
from avatar_jax.sampling.ahead import ahead
from avatar_jax.sampling.compositor import Compositor
from avatar_jax.sampling.hidden import uncovered
from avatar_jax.sampling.photograph import PhotoCompositor, study
from avatar_jax.sampling.photograph_twin import load_twin

CHUNK = 8
"""Frames decoded per call: a stream of any length needs one compilation and little memory."""
THREADS = 2


def to_unit(frames: np.ndarray) -> np.ndarray:
    """uint8 -> [-1, 1]."""
    return frames.astype(np.float32) / 127.5 - 1


@partial(jax.jit, static_argnums=0)
def _take_apart(codec: AvatarCodec, params: dict, source: jax.Array) -> PortraitLayers:
    made: Any = codec.apply({"params": params}, source[None], method="take_apart")
    return jax.tree.map(lambda x: x[0], made)


@partial(jax.jit, static_argnums=0)
def _decode(
    codec: AvatarCodec, params: dict, latents: jax.Array, small: jax.Array, layers: PortraitLayers
) -> tuple[FaceFields, jax.Array]:
    one = jax.tree.map(lambda x: x[None], layers)
    fields: Any = codec.apply({"params": params}, latents[None], small[None], one, method="decode_faces")
    return jax.tree.map(lambda x: x[0], fields), unpack(latents)[1]


@partial(jax.jit, static_argnums=(0, 1))
def _of_portrait(codec: AvatarCodec, method: str, params: dict, seen: jax.Array) -> jax.Array:
    found: Any = codec.apply({"params": params}, seen[None], method=method)
    return found[0]


@dataclass(frozen=True)
class Pictures:
    """Decoder and reader for one portrait; `size` is the side of the video."""

    codec: AvatarCodec
    codec_params: dict
    reader: Reader
    reader_params: dict
    source: np.ndarray
    """uint8: the portrait whose pixels the video is made of; `source_for` gives it."""
    size: int
    photograph: bool = False

    @cached_property
    def seen(self) -> np.ndarray:
        """The portrait, or the stand-in of a photograph, as the codec's networks see it, [-1, 1]."""
        if self.photograph:
            return load_twin().seen
        return to_unit(cv2.resize(self.source, (SIZE, SIZE), interpolation=cv2.INTER_AREA))

    @cached_property
    def compositors(self) -> Mapping[int, Compositor | PhotoCompositor]:
        """By the side of the picture: the video's, and a small one for the reader."""
        if self.photograph:
            material = study(self.source)
            return {side: PhotoCompositor(material, side) for side in (SIZE, self.size)}
        small, whole = (_take_apart(self.codec, self.codec_params, x) for x in (self.seen, to_unit(self.source)))
        return {SIZE: Compositor(small, SIZE), self.size: Compositor(uncovered(whole), self.size, fine=True)}

    def closed_eyes(self) -> np.ndarray:
        """What closed eyes add to the latents [P, C] of this portrait."""
        return np.asarray(_of_portrait(self.codec, "closed_eyes", self.codec_params, self.seen))

    def portrait_latent(self) -> np.ndarray:
        """The portrait's own latent [P, C]."""
        return np.asarray(_of_portrait(self.codec, "portrait_latent", self.codec_params, self.seen))

    def decode(self, latents: Iterable[np.ndarray], size: int | None = None) -> Iterator[np.ndarray]:
        """Frames uint8 [size, size, 3], one for every latent [P, C], at the video's size or at SIZE."""
        return self.composed(latents, self.compositors[size or self.size])

    def views(self, latents: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """`decode` at SIZE for the reader, which knows drawings: of a photograph it sees the stand-in."""
        own = self.compositors[SIZE]
        return self.composed(latents, Compositor(own.layers, SIZE) if self.photograph else own)

    def composed(self, latents: Iterable[np.ndarray], compositor: Compositor | PhotoCompositor) -> Iterator[np.ndarray]:
        """Frames of the latents' decoded fields."""
        with ThreadPoolExecutor(THREADS) as pool:
            for rows in ahead(self.fields(latents), 1):
                yield from pool.map(compositor.frame, *rows)

    def fields(self, latents: Iterable[np.ndarray]) -> Iterator[list[np.ndarray]]:
        """Face paint, mask, shift and pose of up to CHUNK frames at a time."""
        small, stream = self.compositors[SIZE].layers, iter(latents)
        while chunk := list(islice(stream, CHUNK)):
            batch = np.stack(chunk + [chunk[-1]] * (CHUNK - len(chunk))).astype(np.float32)
            fields, pose = _decode(self.codec, self.codec_params, batch, self.seen, small)
            yield [np.asarray(x)[: len(chunk)] for x in (*fields, pose)]

    def read(self, frames: Iterable[np.ndarray]) -> Readings:
        """The gate reader's view of these frames, which are of one size."""
        return read_frames(self.reader, self.reader_params, frames)

    def portrait(self) -> np.ndarray:
        """The portrait at SIZE, for the reader."""
        if self.photograph:
            return np.round(127.5 * (self.seen + 1)).astype(np.uint8)
        return cv2.resize(self.source, (SIZE, SIZE), interpolation=cv2.INTER_AREA)


def source_for(portrait: np.ndarray, size: int) -> np.ndarray:
    """The portrait at `size`, or at twice that where it has the pixels: few shapes, yet sharp when the camera nears."""
    side = 2 * size if portrait.shape[0] >= 2 * size else size
    return cv2.resize(portrait, (side, side), interpolation=cv2.INTER_AREA)
