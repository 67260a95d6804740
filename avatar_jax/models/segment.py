"""The embedded generator: one window of frames from whatever is known about it.

The same network makes the blueprint (nothing or the first frame known, wide spacing), sub-clips (first and last
known), inserted frames (every second known, half spacing) and repaired seams (all but the middle known). Latents are
packed as in `models.avatar_codec`: 16 grid patches of 128 channels, then the pose patch of 11, both in 139 channels;
zero is the portrait itself.
"""

from dataclasses import dataclass, field
from typing import cast

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Bool, Float, Int

from avatar_jax.models.dit import DiT, DiTConfig
from avatar_jax.models.text_encoder import LENGTH, TextEncoder, TextEncoderConfig
from avatar_jax.nn.linear import Linear
from avatar_jax.nn.norm import layer_norm
from avatar_jax.nn.patch import grid_positions

GRID, GRID_CHANNELS, POSE_CHANNELS = 4, 128, 11
PATCHES, CHANNELS = GRID * GRID + 1, GRID_CHANNELS + POSE_CHANNELS

FACE_LABELS = ("open", "spread", "smile", "brow", "frown", "blink", "gaze_x", "gaze_y")
"""What a face shows, as the labels of synthetic clips name it; training asks that the latents keep it."""

USED_PC = np.zeros((PATCHES, CHANNELS), np.float32)
"""1 where a channel carries something: the grid's in the grid patches, the pose's in the pose patch."""
USED_PC[:-1, :GRID_CHANNELS] = 1
USED_PC[-1, GRID_CHANNELS:] = 1


@dataclass(frozen=True)
class WindowConfig:
    """Sizes of the embedded generator; DiT and text encoder must agree on `text_width`."""

    dit: DiTConfig = field(default_factory=lambda: DiTConfig(storyline=True))
    text: TextEncoderConfig = field(default_factory=TextEncoderConfig)
    frames: int = 16
    audio_slots: int = 8
    """Audio features beside a frame, 20 ms apart."""
    audio_features: int = 64
    audio_tokens: int = 4
    """Tokens that the features of a frame become (MultiTalk: 32)."""
    sound_channels: int = 32
    """Channels of every input patch that carry the sound beside its frame: a short way in, which the small model
    learns lips from much sooner than from attention alone."""
    whole_sound: bool = False
    """Every frame hears the whole window's sound instead of what lies beside it: for comparison."""
    plan_channels: int = 32
    """The same for what the shot's prompt asks for at this point of the shot."""
    plan_width: int = 128
    portrait_channels: int = 32
    """The same for the portrait's own latent at the patch: who is to be moved. 0: faces are moved all alike."""


class WindowConditions(struct.PyTreeNode):
    """All that is known about a batch of windows. Unknown frames of `known_BTPC` must be finite, zeros for example."""

    known_BTPC: Float[Array, "B T P C"]
    known_mask_BT: Bool[Array, "B T"]
    times_BT: Float[Array, "B T"]
    """In frames of 12.5 fps, any origin, real-valued and rising."""
    text_ids_BSL: Int[Array, "B S L"]
    """`text_encoder.tokenize` of each shot's prompt; zeros for a shot that is not there."""
    shot_weights_BTS: Float[Array, "B T S"]
    clocks_BTS2: Float[Array, "B T S 2"]
    """Seconds since each shot's start and until its end (`director.plan.shot_clocks`)."""
    portrait_BPC: Float[Array, "B P C"]
    """The portrait's own latent (`AvatarCodec.portrait_latent`), to which all others are deviations; zeros: unknown."""
    audio_BTUM: Float[Array, "B T U M"]
    """Features as given by `audio_encoder.audio_tokens`; zeros for "no sound is given", which is not silence."""

    def without_text(self) -> "WindowConditions":
        return self.replace(text_ids_BSL=jnp.zeros_like(self.text_ids_BSL))

    def without_audio(self) -> "WindowConditions":
        return self.replace(audio_BTUM=jnp.zeros_like(self.audio_BTUM))


def fill(
    known_BTPC: Float[Array, "B T P C"], known_mask_BT: Bool[Array, "B T"], times_BT: Float[Array, "B T"]
) -> Float[Array, "B T P C"]:
    """The guess that the network corrects: linear in time between known frames, held beyond the first and last known,
    zeros (the portrait) where no frame of a window is known. Known frames come back exactly."""
    T = known_mask_BT.shape[1]
    index = jnp.arange(T)
    before = jax.lax.cummax(jnp.where(known_mask_BT, index, -1), axis=1)
    after = jax.lax.cummin(jnp.where(known_mask_BT, index, T), axis=1, reverse=True)
    left = jnp.where(before < 0, after, before)
    right = jnp.where(after >= T, before, after)
    t_left, t_right = (jnp.take_along_axis(times_BT, jnp.clip(i, 0, T - 1), axis=1) for i in (left, right))
    share_right = jnp.where(right > left, (times_BT - t_left) / jnp.where(right > left, t_right - t_left, 1), 0)
    # A window without known frames has left = T or right = -1, which one_hot turns into zeros.
    weights_BTS = (1 - share_right)[..., None] * jax.nn.one_hot(left, T) + share_right[..., None] * jax.nn.one_hot(
        right, T
    )
    return jnp.einsum("BTS,BSPC->BTPC", weights_BTS, known_BTPC.astype(jnp.float32), precision="highest")


class AudioTokens(nn.Module):
    """The audio features around a frame -> a few tokens for audio attention (MultiTalk's AudioProjModel, smaller)."""

    config: WindowConfig

    @nn.compact
    def __call__(self, audio_BTUM: Float[Array, "B T U M"]) -> Float[Array, "B T U2 M2"]:
        count, width = self.config.audio_tokens, self.config.dit.audio_width or 0
        x = audio_BTUM.reshape(*audio_BTUM.shape[:2], -1)
        x = nn.silu(Linear(2 * width, ("small", "small"), name="proj1")(x))
        x = Linear(count * width, ("small", "small"), name="proj3")(x)
        return layer_norm(x.reshape(*x.shape[:2], count, width))


class ShotPlan(nn.Module):
    """What a shot's prompt asks for at each point of the shot: [B, T, plan_channels], blended by the shots' shares.

    The prompt's mean token meets the shot's clock, so that a nod can begin when its shot does. A shot without a
    prompt asks for nothing.
    """

    config: WindowConfig

    @nn.compact
    def __call__(
        self,
        prompts_BSLE: Float[Array, "B S L E"],
        clocks_BTS2: Float[Array, "B T S 2"],
        shares_BTS: Float[Array, "B T S"],
    ) -> Float[Array, "B T C"]:
        given_BS1 = jnp.any(prompts_BSLE != 0, axis=(2, 3))[..., None].astype(jnp.float32)
        prompt_BSH = Linear(self.config.plan_width, ("small", "small"), name="prompt")(prompts_BSLE.mean(2))
        clock_BTSH = Linear(self.config.plan_width, ("small", "small"), name="clock")(clock_features(clocks_BTS2))
        # Both meet in a product and a sum: a movement's size is asked for by the prompt, its course by the clock.
        h_BTSH = nn.silu(prompt_BSH[:, None] + clock_BTSH)
        h_BTSH *= 1 + Linear(self.config.plan_width, ("small", "small"), name="gain")(prompts_BSLE.mean(2))[:, None]
        h_BTSH = nn.silu(Linear(self.config.plan_width, ("small", "small"), name="mix")(h_BTSH))
        y_BTSC = Linear(self.config.plan_channels, ("small", "small"), name="out")(h_BTSH) * given_BS1[:, None]
        return (y_BTSC * shares_BTS[..., None]).sum(2)


CLOCK_HERTZ = (0.125, 0.25, 0.5, 1.0, 1.5, 2.0)


def clock_features(clocks_BTS2: Float[Array, "B T S 2"]) -> Float[Array, "B T S K"]:
    """Sines and cosines of both clocks, and how near the shot's edges are."""
    angle = 2 * np.pi * clocks_BTS2[..., None] * jnp.asarray(CLOCK_HERTZ)
    near = jnp.exp(-clocks_BTS2[..., None] / jnp.asarray([0.15, 0.5]))
    both = jnp.concatenate([jnp.sin(angle), jnp.cos(angle), near, clocks_BTS2[..., None] / 4], axis=-1)
    return both.reshape(*clocks_BTS2.shape[:-1], -1)


class WindowModel(nn.Module):
    """Noisy window and conditions -> clean window.

    `WindowModel(config).denoise(params, x_t, t, conditions)` is the denoiser that samplers call.
    """

    config: WindowConfig

    @nn.compact
    def __call__(
        self, x_BTPC: Float[Array, "B T P C"], t: Float[Array, "*B"], cond: WindowConditions, audio_gain: float = 1.0
    ) -> Float[Array, "B T P C"]:
        B, T, P, _ = x_BTPC.shape
        used = jnp.asarray(USED_PC)
        known_BT11 = cond.known_mask_BT[:, :, None, None].astype(jnp.float32)
        known_BTPC = cond.known_BTPC.astype(jnp.float32) * known_BT11
        base_BTPC = fill(known_BTPC, cond.known_mask_BT, cond.times_BT)
        is_pose = jnp.broadcast_to((jnp.arange(P) == P - 1).astype(jnp.float32)[:, None], (B, T, P, 1))
        audio_BTUM = cond.audio_BTUM.astype(jnp.float32)
        sound_BTPC = []
        if self.config.sound_channels:
            sound = Linear(self.config.sound_channels, ("small", "small"), name="sound")(
                audio_BTUM.reshape(B, T, 1, -1)
            )
            sound_BTPC = [jnp.broadcast_to(sound * audio_gain, (B, T, P, self.config.sound_channels))]
        prompts_BSLE = TextEncoder(self.config.text, name="text_encoder")(cond.text_ids_BSL)
        plan = ShotPlan(self.config, name="plan")(prompts_BSLE, cond.clocks_BTS2, cond.shot_weights_BTS)
        plan_BTPC = jnp.broadcast_to(plan[:, :, None], (B, T, P, self.config.plan_channels))
        known_BTP1 = jnp.broadcast_to(known_BT11, (B, T, P, 1))
        portrait_BTPC = []
        if channels := self.config.portrait_channels:
            who_BPC = Linear(channels, ("small", "small"), name="portrait")(cond.portrait_BPC.astype(jnp.float32))
            portrait_BTPC = [jnp.broadcast_to(who_BPC[:, None], (B, T, P, channels))]
        tokens_BTUM = None
        if self.config.dit.audio_width is not None:
            tokens_BTUM = AudioTokens(self.config, name="audio_proj")(audio_BTUM)
            if self.config.whole_sound:
                whole = tokens_BTUM.reshape(B, 1, -1, tokens_BTUM.shape[-1])
                tokens_BTUM = jnp.broadcast_to(whole, (B, T, *whole.shape[2:]))
        parts_BTPC = [x_BTPC * used, base_BTPC, known_BTP1, is_pose, *sound_BTPC, plan_BTPC, *portrait_BTPC]
        input_BTPC = jnp.concatenate(parts_BTPC, axis=-1)
        residual_BTPC = DiT(self.config.dit, name="dit")(
            input_BTPC,
            jnp.broadcast_to(t, (B,)) if jnp.ndim(t) == 0 else t,
            grid_positions(cond.times_BT - cond.times_BT[:, :1], GRID, GRID, extra=1),
            prompts_BSLE,
            cond.shot_weights_BTS,
            tokens_BTUM,
            audio_gain=audio_gain,
        )
        return base_BTPC + residual_BTPC * used * (1 - known_BT11)

    def denoise(
        self, params: dict, x_t: jax.Array, t: jax.Array, cond: WindowConditions, audio_gain: float = 1.0
    ) -> jax.Array:
        """The clean window behind x_t at time t (scalar or [B]); frames that are known come back as given."""
        return cast(jax.Array, self.apply({"params": params}, x_t, t, cond, audio_gain))


def example_conditions(config: WindowConfig, batch: int = 1, shots: int = 1) -> WindowConditions:
    """Conditions of the right shapes in which nothing is known; for `init` and for compiling ahead."""
    B, T = batch, config.frames
    return WindowConditions(
        known_BTPC=jnp.zeros((B, T, PATCHES, CHANNELS)),
        known_mask_BT=jnp.zeros((B, T), bool),
        times_BT=jnp.tile(jnp.arange(T, dtype=jnp.float32), (B, 1)),
        text_ids_BSL=jnp.zeros((B, shots, LENGTH), jnp.int32),
        shot_weights_BTS=jnp.full((B, T, shots), 1 / shots),
        clocks_BTS2=jnp.zeros((B, T, shots, 2)),
        portrait_BPC=jnp.zeros((B, PATCHES, CHANNELS)),
        audio_BTUM=jnp.zeros((B, T, config.audio_slots, config.audio_features)),
    )


def init_window_model(config: WindowConfig, key: jax.Array) -> dict:
    """Fresh parameters, plain arrays."""
    cond = example_conditions(config)
    boxed = WindowModel(config).init(key, jnp.zeros_like(cond.known_BTPC), jnp.ones(1), cond)["params"]
    return nn.unbox(boxed)
