"""How the director's storyline reaches the denoiser: one prompt per shot, in force for a span of time.

Two ways, which may be combined:
- `TextAttention` (*masked*, training-free): the base model's own text attention, once per shot on that shot's tokens
  alone, blended in time by the shots' shares. One shot is the base model, bit for bit.
- Storyline attention (*added*, trained): further keys and values of the tokens of all shots at once, so that a frame
  may look at what came before and what comes next. Read with the text attention's queries and through its output map
  (`StorylineKeys`; decoupled cross-attention as in IP-Adapter, Ye et al. 2023, arXiv 2308.06721), which costs a step
  little, or with queries and a map of its own (`StorylineAttention`). It starts as the base model, bit for bit.
"""

from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from avatar_jax.nn.linear import LECUN, ZEROS, Init, Linear
from avatar_jax.nn.norm import LayerNorm, RMSNorm, RMSScale
from avatar_jax.nn.once import once
from avatar_jax.nn.patch import spread
from avatar_jax.nn.rope import rotate, time_tables
from avatar_jax.nn.route import Few, read_attend

Queries = Literal["own", "shared"]
"""Whose queries and output map the storyline attention reads with: its own, or the text attention's."""


class TextAttention(nn.Module):
    """Wan's text attention for every shot; with the same queries to image tokens, to the storyline and to sound.

    Image tokens: Wan image-to-video. Audio tokens here, sharing the queries and the output map: EchoMimicV3-Flash.
    """

    heads: int
    out_init: Init = LECUN
    storyline: bool = False

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
        times_BT: jax.Array | None = None,
    ) -> jax.Array:
        """The last `padded` tokens belong to no frame. `times_BT` is needed by the storyline."""
        (B, N, D), heads, S = x_BND.shape, self.heads, text_BSLD.shape[1]
        q_BND = Linear(D, ("embed", "heads"), name="q")(x_BND)
        scale = RMSScale(name="norm_q")(q_BND)

        def keys_and_values(tokens: jax.Array, suffix: str) -> tuple[jax.Array, jax.Array]:
            k = RMSNorm(name=f"norm_k{suffix}")(Linear(D, ("embed", "heads"), name=f"k{suffix}")(tokens))
            return k, Linear(D, ("embed", "heads"), name=f"v{suffix}")(tokens)

        k_BSLD, v_BSLD = once(self, "text", lambda: keys_and_values(text_BSLD, ""))
        shares_BNS = spread(shares_BTS, N, padded)
        sets = [Few(k_BSLD[:, s], v_BSLD[:, s], share_BN=None if S == 1 else shares_BNS[:, :, s]) for s in range(S)]
        if image_BID is not None:
            sets.append(Few(*once(self, "image", lambda: keys_and_values(image_BID, "_img"))))
        if self.storyline:
            assert times_BT is not None, "the storyline is turned by time"
            sets.append(StorylineKeys(heads, name="storyline_attn")(text_BSLD, shares_BTS, times_BT, N, padded))
        if audio_BTUM is not None:
            heard = once(self, "audio", lambda: keys_and_values(audio_BTUM.astype(x_BND.dtype), "_audio"))
            sets.append(Few(*heard, share_BN=jnp.broadcast_to(jnp.asarray(audio_gain, jnp.float32), (B, N))))
        y_BND = read_attend(q_BND, tuple(sets), heads, scale, padded)
        return Linear(D, ("heads", "embed"), kernel_init=self.out_init, name="o")(y_BND)


class StorylineKeys(nn.Module):
    """The storyline's keys and values, for queries that are another attention's; values start at zero."""

    heads: int

    @nn.compact
    def __call__(
        self, text_BSLD: jax.Array, shares_BTS: jax.Array, times_BT: jax.Array, tokens: int, padded: int = 0
    ) -> Few:
        """For `tokens` queries, the last `padded` of which belong to no frame."""
        return storyline(self, self.heads, text_BSLD, shares_BTS, times_BT, tokens, padded, ZEROS)


class StorylineAttention(nn.Module):
    """The storyline read with queries and an output map of its own; the map starts at zero."""

    heads: int

    @nn.compact
    def __call__(
        self, x_BND: jax.Array, text_BSLD: jax.Array, shares_BTS: jax.Array, times_BT: jax.Array, padded: int = 0
    ) -> jax.Array:
        """The last `padded` tokens belong to no frame."""
        N, D = x_BND.shape[1:]
        q_BND = Linear(D, ("embed", "heads"), name="q")(LayerNorm(name="norm")(x_BND))
        scale = RMSScale(name="norm_q")(q_BND)
        keys = storyline(self, self.heads, text_BSLD, shares_BTS, times_BT, N, padded, LECUN)
        y_BND = read_attend(q_BND, (keys,), self.heads, scale, padded)
        return Linear(D, ("heads", "embed"), kernel_init=ZEROS, name="o")(y_BND)


def storyline(
    module: nn.Module,
    heads: int,
    text_BSLD: jax.Array,
    shares_BTS: jax.Array,
    times_BT: jax.Array,
    tokens: int,
    padded: int,
    value_init: Init,
) -> Few:
    """Keys and values (parameters of `module`) of the tokens of all shots, turned by the time between frame and shot.

    Queries are rotated by their frame's time and keys by the middle of their shot, so that scores depend on how far
    ahead or behind a shot is. Shots without any share in the window are not seen.
    """
    B, S, L, D = text_BSLD.shape
    K, total_BS = D // heads, shares_BTS.sum(1)

    def keys_and_values() -> tuple[jax.Array, jax.Array]:
        middle_BS = jnp.einsum("BTS,BT->BS", shares_BTS, times_BT) / jnp.maximum(total_BS, 1e-6)
        k_BSLD = RMSNorm(name="norm_k")(Linear(D, ("embed", "heads"), name="k")(text_BSLD))
        k_BMAK = k_BSLD.reshape(B, S * L, heads, K)
        k_BMAK = rotate(k_BMAK, time_tables(jnp.repeat(middle_BS, L, axis=1), K))
        v_BSLD = Linear(D, ("embed", "heads"), kernel_init=value_init, name="v")(text_BSLD)
        return k_BMAK.reshape(B, S * L, D), v_BSLD.reshape(B, S * L, D)

    k_BMD, v_BMD = once(module, "text", keys_and_values)
    seen_BM = jnp.repeat(total_BS > 0, L, axis=1) if S > 1 else None
    times_BN = spread(times_BT[..., None], tokens, padded)[..., 0]
    return Few(k_BMD, v_BMD, seen_BM, tables=time_tables(times_BN, K))
