"""Attention inside a window: of every token to every other, and of every token to the sound beside its frame.

How it is computed and laid out over devices is chosen by nn.route; the functions can be replaced.
"""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from avatar_jax.nn.linear import LECUN, Init, Linear
from avatar_jax.nn.norm import RMSScale
from avatar_jax.nn.once import once
from avatar_jax.nn.route import frame_attend, self_attend


class SelfAttention(nn.Module):
    """Every token looks at every other; q and k are RMS-normalised over the full width, then rotated."""

    heads: int
    out_init: Init = LECUN
    attend: Callable[..., jax.Array] = self_attend

    @nn.compact
    def __call__(self, x_BND: jax.Array, rope: tuple[jax.Array, jax.Array], padded: int = 0) -> jax.Array:
        """The last `padded` tokens are not looked at."""
        D = x_BND.shape[-1]
        q_BND, k_BND, v_BND = (Linear(D, ("embed", "heads"), name=name)(x_BND) for name in ("q", "k", "v"))
        scales = RMSScale(name="norm_q")(q_BND), RMSScale(name="norm_k")(k_BND)
        y_BND = self.attend(q_BND, k_BND, v_BND, self.heads, rope, padded, scales)
        return Linear(D, ("heads", "embed"), kernel_init=self.out_init, name="o")(y_BND)


class FrameAttention(nn.Module):
    """Every patch looks at the audio tokens beside its own frame and at no others (MultiTalk, one person)."""

    heads: int
    out_init: Init = LECUN
    attend: Callable[..., jax.Array] = frame_attend

    @nn.compact
    def __call__(self, x_BND: jax.Array, audio_BTUM: jax.Array, padded: int = 0) -> jax.Array:
        """The last `padded` tokens belong to no frame."""
        D = x_BND.shape[-1]
        q_BND = Linear(D, ("embed", "heads"), name="q_linear")(x_BND)
        kv_linear = Linear(2 * D, ("embed", "heads"), name="kv_linear")
        kv_BTUD2 = once(self, "audio", lambda: kv_linear(audio_BTUM.astype(x_BND.dtype)))
        k_BTUD, v_BTUD = jnp.split(kv_BTUD2, 2, axis=-1)
        y_BND = self.attend(q_BND, k_BTUD, v_BTUD, self.heads, padded)
        return Linear(D, ("heads", "embed"), kernel_init=self.out_init, name="proj")(y_BND)
