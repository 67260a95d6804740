"""The video VAE over time in chunks, with memory that does not grow with the video.

    latents = encode_stream(vae, params, frames)
    frames = decode_stream(vae, params, latents)

The first frame (latent) is a chunk of its own; the rest runs in a loop whose carry is what the layers remember. The
numbers are those of `VideoVAE.encode` and `decode`. To write frames while later ones are still being made, call
`begin` once and `proceed` for every further chunk.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from avatar_jax.models.vae_layers import PAST
from avatar_jax.models.vae_stages import TIME_FACTOR
from avatar_jax.models.video_vae import Frames, VideoVAE

Latents = Float[Array, "B t h w C"]
Past = Any
"""Tree of the frames that the layers remember, all of fixed size."""


def begin(vae: VideoVAE, params: Any, chunk: Array, method: str) -> tuple[Array, Past]:
    """First chunk of a stream, 4 n + 1 frames to "encode" or any number of latents to "decode" -> (result, past)."""
    y, kept = vae.apply({"params": params}, chunk, True, method=method, mutable=[PAST])
    return y, kept[PAST]


def proceed(vae: VideoVAE, params: Any, past: Past, chunk: Array, method: str) -> tuple[Array, Past]:
    """A later chunk, a multiple of 4 frames or any number of latents -> (result, past)."""
    y, kept = vae.apply({"params": params, PAST: past}, chunk, False, method=method, mutable=[PAST])
    return y, kept[PAST]


def encode_stream(vae: VideoVAE, params: Any, frames: Frames, step: int = 1) -> Latents:
    """`vae.encode` in chunks of `step` latents (4 * step frames)."""
    return _stream(vae, params, frames, "encode", TIME_FACTOR * step)


def decode_stream(vae: VideoVAE, params: Any, latents: Latents, step: int = 1) -> Frames:
    """`vae.decode` in chunks of `step` latents."""
    return _stream(vae, params, latents, "decode", step)


def _stream(vae: VideoVAE, params: Any, x: Array, method: str, size: int) -> Array:
    B, T = x.shape[:2]
    if (T - 1) % size:
        raise ValueError(
            f"Video VAE stream: got {T} to {method} in chunks of {size}.\n"
            "Rule: one, and then whole chunks.\n"
            "Fix: a smaller step, or a longer video."
        )
    head, past = begin(vae, params, x[:, :1], method)
    if T == 1:
        return head
    chunks = jnp.moveaxis(x[:, 1:].reshape(B, -1, size, *x.shape[2:]), 1, 0)

    def loop(past: Past, chunk: Array) -> tuple[Past, Array]:
        y, past = proceed(vae, params, past, chunk, method)
        return past, y

    _, tail = jax.lax.scan(loop, past, chunks)
    tail = jnp.moveaxis(tail, 0, 1)
    return jnp.concatenate([head, tail.reshape(B, -1, *tail.shape[3:])], axis=1)
