"""A public video model as one function: noisy latents and everything known about them -> the flow's velocity.

Wan's three ways of being told what a video shows meet here: known frames beside the noise (four mask channels and the
frames' latents, image-to-video), tokens of pictures, and sound through the family's audio projector.
"""

from dataclasses import dataclass
from typing import Any, cast

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float

from avatar_jax.models.audio_projector import AudioProjector, AudioProjectorConfig, frame_windows
from avatar_jax.models.dit import DiT, DiTConfig
from avatar_jax.nn.once import READ
from avatar_jax.nn.patch import grid_positions, patchify, unpatchify

PATCH = 2
"""Side of a patch in latents."""
MASK_CHANNELS = 4
"""Of the known frames: one for each video frame of a latent."""


@dataclass(frozen=True)
class VideoModelConfig:
    """A denoiser and, where it hears, its audio projector."""

    dit: DiTConfig
    audio: AudioProjectorConfig | None = None

    @property
    def channels(self) -> int:
        """Of a latent."""
        return self.dit.out_channels // PATCH**2

    @property
    def sees_frames(self) -> bool:
        """Whether known frames stand beside the noise."""
        return self.dit.in_channels != self.dit.out_channels

    @property
    def pictures(self) -> int:
        """Pictures whose tokens it reads: none, the first, or the first and the last."""
        if self.dit.image_width is None:
            return 0
        return 1 if self.dit.image_tokens is None else 2


class VideoConditions(struct.PyTreeNode):
    """What the model is given about B windows of T latents of h x w cells; None where it has no such input."""

    text_BSLE: Float[Array, "B S L E"]
    """One prompt for each shot, zero after its end."""
    shares_BTS: Float[Array, "B T S"]
    known_BTHWC: Float[Array, "B T H W C"] | None = None
    """Mask channels, then the latents of a video whose unknown frames are grey."""
    image_BIE: Float[Array, "B I E"] | None = None
    audio_BTUM: Float[Array, "B T U M"] | None = None
    read: Any = None
    """What `read_once` made of all that, or None."""


def audio_tokens(config: VideoModelConfig, params: Any, heard_BFLC: Float[Array, "B F L C"]) -> jax.Array:
    """Audio tokens [B, T, U, M] of 1 + stride (T - 1) video frames, from their features and those of the two frames
    (half a window) on either side. Zeros stand for no sound given."""
    audio = config.audio
    assert audio is not None
    side = audio.window // 2
    windows_BFWLC = frame_windows(heard_BFLC, audio.window)[:, side : heard_BFLC.shape[1] - side]
    return cast(jax.Array, AudioProjector(audio).apply({"params": params["audio_projector"]}, windows_BFWLC))


def read_once(config: VideoModelConfig, params: Any, cond: VideoConditions) -> VideoConditions:
    """The conditions with every layer's keys and values of them, so that no step makes them again."""
    B, T = cond.shares_BTS.shape[:2]
    # They do not depend on the picture: one patch for each frame is enough.
    x_BTPC, positions_BNX = jnp.zeros((B, T, 1, config.dit.in_channels)), grid_positions(latent_times(B, T), 1, 1)
    given = (cond.text_BSLE, cond.shares_BTS, cond.audio_BTUM, cond.image_BIE)
    _, made = DiT(config.dit).apply(
        {"params": params["dit"]}, x_BTPC, jnp.zeros(B), positions_BNX, *given, mutable=[READ]
    )
    return cond.replace(read=made[READ])


def velocity(
    config: VideoModelConfig,
    params: Any,
    x_BTHWC: Float[Array, "B T H W C"],
    t: Float[Array, "B"],
    cond: VideoConditions,
    audio_gain: float = 1.0,
    times_BT: Float[Array, "B T"] | None = None,
) -> Float[Array, "B T H W C"]:
    """noise - data at these noise levels, float32. `times_BT`: places of the latents in time, if not 0, 1, 2 ..."""
    B, T, H, W, _ = x_BTHWC.shape
    known = [] if cond.known_BTHWC is None else [cond.known_BTHWC]
    x_BTPC = patchify(jnp.concatenate([x_BTHWC, *known], axis=-1), PATCH)
    y_BTPC = DiT(config.dit).apply(
        {"params": params["dit"]} | ({} if cond.read is None else {READ: cond.read}),
        x_BTPC,
        t,
        grid_positions(latent_times(B, T) if times_BT is None else times_BT, H // PATCH, W // PATCH),
        cond.text_BSLE,
        cond.shares_BTS,
        cond.audio_BTUM,
        cond.image_BIE,
        audio_gain,
    )
    return unpatchify(cast(jax.Array, y_BTPC), H // PATCH, PATCH)


def init_video_model(config: VideoModelConfig, key: jax.Array) -> dict[str, Any]:
    """Fresh parameters with their logical axes: {"dit": ...} and, where there is sound, {"audio_projector": ...}."""
    dit, audio, (B, T, P) = config.dit, config.audio, (1, 2, 4)
    image = None if dit.image_width is None else jnp.zeros((B, dit.image_tokens or 2, dit.image_width))
    heard = None if dit.audio_width is None else jnp.zeros((B, T, 2, dit.audio_width))
    inputs = (jnp.zeros((B, T, P, dit.in_channels)), jnp.zeros(B), grid_positions(latent_times(B, T), 2, 2))
    words = (jnp.zeros((B, 1, 2, dit.text_width)), jnp.ones((B, T, 1)))
    found: dict[str, Any] = {"dit": DiT(dit).init(key, *inputs, *words, heard, image)["params"]}
    if audio is not None:
        windows = jnp.zeros((B, 1 + audio.stride, audio.window, audio.layers, audio.channels))
        found["audio_projector"] = AudioProjector(audio).init(jax.random.fold_in(key, 2), windows)["params"]
    return found


def latent_times(batch: int, frames: int) -> jax.Array:
    """[B, T]: a window's latents are counted from its first."""
    return jnp.broadcast_to(jnp.arange(frames, dtype=jnp.float32), (batch, frames))
