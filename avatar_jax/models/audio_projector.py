"""Speech features around each video frame -> the few audio tokens beside each latent frame (AudioProjModel).

A video frame is described by the features of its neighbours, `window` in all. The first latent frame stands for one
video frame; every later one stands for `stride`, of which the first gives the past half of its window, the last the
future half and those between their centre. MultiTalk's module; EchoMimicV3 has it under another name.
"""

from dataclasses import dataclass, field

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from avatar_jax.nn.linear import Linear
from avatar_jax.nn.norm import LayerNorm


@dataclass(frozen=True)
class AudioProjectorConfig:
    """Sizes of the projector; the defaults are MultiTalk's."""

    layers: int = 12
    """Hidden states of the speech encoder that are read."""
    channels: int = 768
    window: int = 5
    """Frames around each, odd."""
    stride: int = 4
    """Video frames of one latent frame after the first."""
    hidden: int = 512
    tokens: int = 32
    width: int = 768
    """Of an audio token: `DiTConfig.audio_width`."""
    dtype: jnp.dtype = field(default=jnp.float32)


def frame_windows(features_BFLC: Float[Array, "B F L C"], window: int = 5) -> jax.Array:
    """[B, F, window, L, C]: each frame's features with its neighbours'; beyond the ends the end frame is repeated."""
    frames = features_BFLC.shape[1]
    near = jnp.arange(frames)[:, None] + jnp.arange(window) - window // 2
    return features_BFLC[:, jnp.clip(near, 0, frames - 1)]


class AudioProjector(nn.Module):
    """Windows of features of 1 + stride * (T - 1) video frames -> audio tokens of T latent frames."""

    config: AudioProjectorConfig

    @nn.compact
    def __call__(self, windows_BFWLC: Float[Array, "B F W L C"]) -> Float[Array, "B T U M"]:
        """Project; [B, T, tokens, width] in the config's dtype."""
        cfg = self.config
        B, F, W = windows_BFWLC.shape[:3]
        assert (F - 1) % cfg.stride == 0, "1 + stride * n video frames"
        windows_BFWLC = windows_BFWLC.astype(cfg.dtype)
        centre, T = W // 2, 1 + (F - 1) // cfg.stride

        first = windows_BFWLC[:, :1].reshape(B, 1, -1)
        later = windows_BFWLC[:, 1:].reshape(B, T - 1, cfg.stride, W, cfg.layers, cfg.channels)
        slots = jnp.concatenate(
            [later[:, :, 0, : centre + 1], later[:, :, 1:-1, centre], later[:, :, -1, centre:]], axis=2
        ).reshape(B, T - 1, -1)

        axes = ("embed", "small")
        h_first = nn.relu(Linear(cfg.hidden, axes, name="proj1")(first))
        h_later = nn.relu(Linear(cfg.hidden, axes, name="proj1_vf")(slots))
        h_BTF = nn.relu(Linear(cfg.hidden, axes, name="proj2")(jnp.concatenate([h_first, h_later], axis=1)))
        tokens_BTUM = Linear(cfg.tokens * cfg.width, ("embed", "mlp"), name="proj3")(h_BTF)
        return LayerNorm(1e-5, name="norm")(tokens_BTUM.reshape(B, T, cfg.tokens, cfg.width))
