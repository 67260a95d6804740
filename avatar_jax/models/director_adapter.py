"""How the director's storyline reaches the denoiser: one prompt per shot, in force for a span of time.

Two ways, which may be combined:
- `TextAttention` (*masked*, training-free): the base model's own text attention, once per shot on that shot's tokens
  alone, blended in time by the shots' shares. One shot is the base model, bit for bit.
- `StorylineAttention` (*added*, trained): a further attention over the tokens of all shots at once, so that a frame
  may look at what came before and what comes next. Its last layer starts at zero: the base model, bit for bit.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from avatar_jax.nn.attention import Attend, attend, attend_in_frames, merge_heads, split_heads
from avatar_jax.nn.linear import LECUN, ZEROS, Init, Linear
from avatar_jax.nn.norm import LayerNorm, RMSNorm
from avatar_jax.nn.rope import BASE


class TextAttention(nn.Module):
    """Wan's text attention for every shot, plus attention to image tokens and to the frame's own audio tokens.

    Image tokens: Wan image-to-video. Audio tokens here, sharing the queries and the output map: EchoMimicV3-Flash.
    """

    heads: int
    out_init: Init = LECUN
    attend: Attend = attend

    @nn.compact
    def __call__(
        self,
        x_BND: jax.Array,
        text_BSLD: jax.Array,
        shares_BTS: jax.Array,
        image_BID: jax.Array | None = None,
        audio_BTUM: jax.Array | None = None,
        audio_gain: jax.Array | float = 1.0,
    ) -> jax.Array:
        D = x_BND.shape[-1]
        q_BNAK = split_heads(RMSNorm(name="norm_q")(Linear(D, ("embed", "heads"), name="q")(x_BND)), self.heads)
        k_BSLD = RMSNorm(name="norm_k")(Linear(D, ("embed", "heads"), name="k")(text_BSLD))
        v_BSLD = Linear(D, ("embed", "heads"), name="v")(text_BSLD)
        k_BSLAK, v_BSLAK = split_heads(k_BSLD, self.heads), split_heads(v_BSLD, self.heads)
        if text_BSLD.shape[1] == 1:
            y_BNAK = self.attend(q_BNAK, k_BSLAK[:, 0], v_BSLAK[:, 0])
        else:
            y_BSNAK = jax.vmap(self.attend, in_axes=(None, 1, 1), out_axes=1)(q_BNAK, k_BSLAK, v_BSLAK)
            y_BNAK = blend_shots(y_BSNAK, shares_BTS)
        if image_BID is not None:
            k_BID = RMSNorm(name="norm_k_img")(Linear(D, ("embed", "heads"), name="k_img")(image_BID))
            v_BID = Linear(D, ("embed", "heads"), name="v_img")(image_BID)
            y_BNAK += self.attend(q_BNAK, split_heads(k_BID, self.heads), split_heads(v_BID, self.heads))
        if audio_BTUM is not None:
            audio_BTUM = audio_BTUM.astype(x_BND.dtype)
            k_BTUD = RMSNorm(name="norm_k_audio")(Linear(D, ("embed", "heads"), name="k_audio")(audio_BTUM))
            v_BTUD = Linear(D, ("embed", "heads"), name="v_audio")(audio_BTUM)
            k_BTUAK, v_BTUAK = split_heads(k_BTUD, self.heads), split_heads(v_BTUD, self.heads)
            heard_BNAK = attend_in_frames(self.attend, q_BNAK, k_BTUAK, v_BTUAK)
            y_BNAK += heard_BNAK * jnp.asarray(audio_gain, heard_BNAK.dtype)
        return Linear(D, ("heads", "embed"), kernel_init=self.out_init, name="o")(merge_heads(y_BNAK))


def blend_shots(y_BSNAK: jax.Array, shares_BTS: jax.Array) -> jax.Array:
    """Mean over shots, each frame's tokens weighted by that frame's shares (>= 0, summing to 1 over S)."""
    patches = y_BSNAK.shape[2] // shares_BTS.shape[1]
    shares_BSN11 = jnp.repeat(shares_BTS.swapaxes(1, 2), patches, axis=2)[..., None, None]
    return (y_BSNAK * shares_BSN11.astype(y_BSNAK.dtype)).sum(axis=1)


class StorylineAttention(nn.Module):
    """Attention over the tokens of all shots, turned by the time that lies between a frame and a shot's middle.

    Queries are rotated by their frame's time and keys by the middle of their shot, so that scores depend on how far
    ahead or behind a shot is. Shots without any share in the window are not seen.
    """

    heads: int

    @nn.compact
    def __call__(self, x_BND: jax.Array, text_BSLD: jax.Array, shares_BTS: jax.Array, times_BT: jax.Array) -> jax.Array:
        B, N, D = x_BND.shape
        S, L = text_BSLD.shape[1:3]
        total_BS = shares_BTS.sum(1)
        middle_BS = jnp.einsum("BTS,BT->BS", shares_BTS, times_BT) / jnp.maximum(total_BS, 1e-6)

        q_BND = Linear(D, ("embed", "heads"), name="q")(LayerNorm(name="norm")(x_BND))
        q_BNAK = split_heads(RMSNorm(name="norm_q")(q_BND), self.heads)
        k_BSLD = RMSNorm(name="norm_k")(Linear(D, ("embed", "heads"), name="k")(text_BSLD))
        v_BSLD = Linear(D, ("embed", "heads"), name="v")(text_BSLD)
        k_BMAK, v_BMAK = (split_heads(y, self.heads).reshape(B, S * L, self.heads, -1) for y in (k_BSLD, v_BSLD))

        q_BNAK = turn(q_BNAK, jnp.repeat(times_BT, N // times_BT.shape[1], axis=1))
        k_BMAK = turn(k_BMAK, jnp.repeat(middle_BS, L, axis=1))
        scores = jnp.einsum("BNAK,BMAK->BANM", q_BNAK, k_BMAK, preferred_element_type=jnp.float32)
        seen_B11M = jnp.repeat(total_BS > 0, L, axis=1)[:, None, None]
        weights = jax.nn.softmax(jnp.where(seen_B11M, scores * q_BNAK.shape[-1] ** -0.5, -1e30), axis=-1)
        y_BNAK = jnp.einsum("BANM,BMAK->BNAK", weights.astype(x_BND.dtype), v_BMAK)
        return Linear(D, ("heads", "embed"), kernel_init=ZEROS, name="o")(merge_heads(y_BNAK))


def turn(x_BNAK: jax.Array, times_BN: jax.Array) -> jax.Array:
    """Rotary embedding of time alone, on all of a head's numbers."""
    half = x_BNAK.shape[-1] // 2
    rates = BASE ** -(jnp.arange(half, dtype=jnp.float32) / half)
    angles = times_BN[:, :, None, None].astype(jnp.float32) * rates
    a, b = jnp.split(x_BNAK.astype(jnp.float32), 2, axis=-1)
    cos, sin = jnp.cos(angles), jnp.sin(angles)
    return jnp.concatenate([a * cos - b * sin, a * sin + b * cos], axis=-1).astype(x_BNAK.dtype)
