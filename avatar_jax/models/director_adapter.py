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

from avatar_jax.nn.linear import LECUN, ZEROS, Init, Linear
from avatar_jax.nn.norm import LayerNorm, RMSNorm
from avatar_jax.nn.once import once
from avatar_jax.nn.rope import rotate, time_tables
from avatar_jax.nn.route import few_attend, frame_attend


class TextAttention(nn.Module):
    """Wan's text attention for every shot, plus attention to image tokens and to the frame's own audio tokens.

    Image tokens: Wan image-to-video. Audio tokens here, sharing the queries and the output map: EchoMimicV3-Flash.
    """

    heads: int
    out_init: Init = LECUN

    @nn.compact
    def __call__(
        self,
        x_BND: jax.Array,
        text_BSLD: jax.Array,
        shares_BTS: jax.Array,
        image_BID: jax.Array | None = None,
        audio_BTUM: jax.Array | None = None,
        audio_gain: jax.Array | float = 1.0,
        padded: int = 0,
    ) -> jax.Array:
        """The last `padded` tokens belong to no frame."""
        D, heads = x_BND.shape[-1], self.heads
        q_BND = RMSNorm(name="norm_q")(Linear(D, ("embed", "heads"), name="q")(x_BND))

        def keys_and_values(tokens: jax.Array, suffix: str) -> tuple[jax.Array, jax.Array]:
            k = RMSNorm(name=f"norm_k{suffix}")(Linear(D, ("embed", "heads"), name=f"k{suffix}")(tokens))
            return k, Linear(D, ("embed", "heads"), name=f"v{suffix}")(tokens)

        k_BSLD, v_BSLD = once(self, "text", lambda: keys_and_values(text_BSLD, ""))
        shots = [few_attend(q_BND, k_BSLD[:, s], v_BSLD[:, s], heads) for s in range(text_BSLD.shape[1])]
        y_BND = shots[0] if len(shots) == 1 else blend_shots(shots, shares_BTS, padded)
        if image_BID is not None:
            k_BID, v_BID = once(self, "image", lambda: keys_and_values(image_BID, "_img"))
            y_BND += few_attend(q_BND, k_BID, v_BID, heads)
        if audio_BTUM is not None:
            k_BTUD, v_BTUD = once(self, "audio", lambda: keys_and_values(audio_BTUM.astype(x_BND.dtype), "_audio"))
            heard_BND = frame_attend(q_BND, k_BTUD, v_BTUD, heads, padded)
            y_BND += heard_BND * jnp.asarray(audio_gain, heard_BND.dtype)
        return Linear(D, ("heads", "embed"), kernel_init=self.out_init, name="o")(y_BND)


def blend_shots(shots_BND: list[jax.Array], shares_BTS: jax.Array, padded: int = 0) -> jax.Array:
    """Mean over shots, each frame's tokens weighted by that frame's shares (>= 0, summing to 1 over S)."""
    patches = (shots_BND[0].shape[1] - padded) // shares_BTS.shape[1]
    shares_BNS = jnp.pad(jnp.repeat(shares_BTS, patches, axis=1), ((0, 0), (0, padded), (0, 0)))
    # Not stacked, which would copy all tokens of all shots.
    y_BND = sum(y * shares_BNS[:, :, s, None] for s, y in enumerate(shots_BND))
    return jnp.asarray(y_BND, shots_BND[0].dtype)


class StorylineAttention(nn.Module):
    """Attention over the tokens of all shots, turned by the time that lies between a frame and a shot's middle.

    Queries are rotated by their frame's time and keys by the middle of their shot, so that scores depend on how far
    ahead or behind a shot is. Shots without any share in the window are not seen.
    """

    heads: int

    @nn.compact
    def __call__(
        self, x_BND: jax.Array, text_BSLD: jax.Array, shares_BTS: jax.Array, times_BT: jax.Array, padded: int = 0
    ) -> jax.Array:
        """The last `padded` tokens belong to no frame."""
        B, N, D = x_BND.shape
        (S, L), K = text_BSLD.shape[1:3], D // self.heads
        total_BS = shares_BTS.sum(1)

        def keys_and_values() -> tuple[jax.Array, jax.Array]:
            middle_BS = jnp.einsum("BTS,BT->BS", shares_BTS, times_BT) / jnp.maximum(total_BS, 1e-6)
            k_BSLD = RMSNorm(name="norm_k")(Linear(D, ("embed", "heads"), name="k")(text_BSLD))
            k_BMAK = k_BSLD.reshape(B, S * L, self.heads, K)
            k_BMAK = rotate(k_BMAK, time_tables(jnp.repeat(middle_BS, L, axis=1), K))
            v_BSLD = Linear(D, ("embed", "heads"), name="v")(text_BSLD)
            return k_BMAK.reshape(B, S * L, D), v_BSLD.reshape(B, S * L, D)

        q_BND = RMSNorm(name="norm_q")(Linear(D, ("embed", "heads"), name="q")(LayerNorm(name="norm")(x_BND)))
        k_BMD, v_BMD = once(self, "text", keys_and_values)
        times_BN = jnp.pad(jnp.repeat(times_BT, (N - padded) // times_BT.shape[1], axis=1), ((0, 0), (0, padded)))
        seen_BM = jnp.repeat(total_BS > 0, L, axis=1)
        y_BND = few_attend(q_BND, k_BMD, v_BMD, self.heads, seen_BM, time_tables(times_BN, K))
        return Linear(D, ("heads", "embed"), kernel_init=ZEROS, name="o")(y_BND)
