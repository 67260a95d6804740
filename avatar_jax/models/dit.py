"""The denoiser: the Wan video transformer with frame-local audio attention (Wan 2.1; MultiTalk).

A window of T frames, P patches each, becomes N = T * P tokens. Every block lets the tokens
    1. look at each other                     (self-attention, rotary positions from exact times),
    2. read the prompt of their shot          (text attention; image tokens of the portrait where a model has them),
    3. hear the sound beside their own frame  (audio attention: no other frame's; EchoMimic: as part of 2),
    4. think alone                            (feed-forward).
The diffusion time scales, shifts and gates steps 1 and 4. One module serves the embedded model (width 160) and the
public checkpoints from 1.3B to 19B: only DiTConfig differs. Parameter names follow Wan's original layout.
"""

from dataclasses import dataclass, field

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float

from avatar_jax.mesh import constrain, partitioned
from avatar_jax.models.director_adapter import Queries, StorylineAttention, TextAttention
from avatar_jax.nn.linear import FeedForward, Linear, tanh_gelu
from avatar_jax.nn.norm import LayerNorm, modulate
from avatar_jax.nn.patch import spread
from avatar_jax.nn.rope import rope_tables
from avatar_jax.nn.route import padding
from avatar_jax.nn.stack import Stack
from avatar_jax.nn.time import TimeEmbedding
from avatar_jax.nn.window_attention import FrameAttention, SelfAttention


@dataclass(frozen=True)
class DiTConfig:
    """Sizes and branches. A width of None leaves a branch out."""

    width: int = 160
    heads: int = 4
    depth: int = 6
    ffn: int = 480
    in_channels: int = 376
    """Numbers per input patch (Wan: 36 channels * 2 * 2)."""
    out_channels: int = 139
    text_width: int = 128
    audio_width: int | None = 128
    audio_in_text: bool = False
    """Sound is heard inside the text attention (EchoMimicV3), not in an attention of its own (MultiTalk)."""
    image_width: int | None = None
    image_tokens: int | None = None
    """Learned positions for image tokens: 514 in FLF2V (two pictures of 257), else None."""
    frequencies: int = 256
    """Numbers of the sinusoid of the diffusion time."""
    storyline: bool = False
    """Adds the trained storyline attention."""
    storyline_queries: Queries = "own"
    """`shared`: it is part of text attention; `own`: it comes after text attention, with queries of its own."""
    remat: str = "none"
    """A name of nn.stack.REMAT: what backward keeps."""
    unroll: int = 1
    """Layers per step of the loop over layers."""
    dtype: jnp.dtype = field(default=jnp.float32)
    """Of activations; parameters, modulation, norms and residual sums are float32."""


@struct.dataclass
class Context:
    """All that a block reads beside the tokens themselves."""

    modulation_BT6D: jax.Array
    rope: tuple[jax.Array, jax.Array]
    times_BT: jax.Array
    text_BSLD: jax.Array
    shares_BTS: jax.Array
    image_BID: jax.Array | None
    audio_BTUM: jax.Array | None
    audio_gain: jax.Array
    padded: int = struct.field(pytree_node=False, default=0)
    """Tokens at the end that are nobody's: kernels and meshes want round numbers."""


class Block(nn.Module):
    """One layer of the denoiser, in the order of Wan and MultiTalk."""

    config: DiTConfig

    @nn.compact
    def __call__(self, x_BND: jax.Array, context: Context) -> jax.Array:
        cfg, N, padded = self.config, x_BND.shape[1], context.padded
        small = nn.initializers.variance_scaling(0.5 / cfg.depth, "fan_in", "truncated_normal")
        table_6D = self.param("modulation", partitioned(gates_open, None, "small"), (6, cfg.width))
        # Parts: (shift, scale, gate) of self-attention, then of the feed-forward layer.
        part = [per_token(m, N, padded) for m in jnp.unstack(context.modulation_BT6D + table_6D, axis=2)]

        def residual(x_BND: jax.Array, y_BND: jax.Array, gate: jax.Array | float = 1.0) -> jax.Array:
            return constrain(x_BND + y_BND.astype(jnp.float32) * gate, "batch", "tokens", "features")

        h_BND = modulate(x_BND, part[0], part[1]).astype(cfg.dtype)
        x_BND = residual(x_BND, SelfAttention(cfg.heads, small, name="self_attn")(h_BND, context.rope, padded), part[2])

        h_BND = LayerNorm(at_once=True, name="norm3")(x_BND).astype(cfg.dtype)
        inside = cfg.storyline and cfg.storyline_queries == "shared"
        text = TextAttention(cfg.heads, small, inside, name="cross_attn")
        shots = (context.text_BSLD, context.shares_BTS)
        heard = (context.audio_BTUM if cfg.audio_in_text else None, context.audio_gain, padded)
        x_BND = residual(x_BND, text(h_BND, *shots, context.image_BID, *heard, context.times_BT))

        if cfg.storyline and not inside:
            story = StorylineAttention(cfg.heads, name="storyline_attn")
            x_BND = residual(x_BND, story(x_BND.astype(cfg.dtype), *shots, context.times_BT, padded))

        if context.audio_BTUM is not None and not cfg.audio_in_text:
            h_BND = LayerNorm(at_once=True, name="norm_x")(x_BND).astype(cfg.dtype)
            audio = FrameAttention(cfg.heads, small, name="audio_cross_attn")
            x_BND = residual(x_BND, audio(h_BND, context.audio_BTUM, padded), context.audio_gain)

        h_BND = modulate(x_BND, part[3], part[4]).astype(cfg.dtype)
        return residual(x_BND, FeedForward(cfg.ffn, small, name="ffn")(h_BND), part[5])


class DiT(nn.Module):
    """Noisy patches and conditions -> what the head predicts, [B, T, P, out_channels] float32."""

    config: DiTConfig

    @nn.compact
    def __call__(
        self,
        x_BTPC: Float[Array, "B T P C"],
        t: Float[Array, "B"] | Float[Array, "B T"] | Float[Array, "B N"],
        positions_BNX: Float[Array, "B N 3"],
        text_BSLE: Float[Array, "B S L E"],
        shares_BTS: Float[Array, "B T S"],
        audio_BTUM: Float[Array, "B T U M"] | None = None,
        image_BIE: Float[Array, "B I E2"] | None = None,
        audio_gain: Float[Array, ""] | float = 1.0,
    ) -> Float[Array, "B T P C2"]:
        """Denoise one step.

        Args:
            t: diffusion time in [0, 1], 1 is pure noise; one per window, per frame or per token (Wan 2.2
                TI2V-5B: zero on known tokens).
            positions_BNX: (time, row, column) of each token, N = T * P; real-valued.
            text_BSLE: padded prompt tokens, one prompt per shot; padding is zero, and is attended to as in Wan.
            shares_BTS: share of each shot at each frame, summing to 1.
            audio_BTUM: audio tokens beside each frame; needed where `audio_width` is set.
            image_BIE: tokens of the portrait; needed where `image_width` is set.
            audio_gain: scales what the audio attention adds (Kling-Avatar sampling trick; 1 is the trained model).
        """
        cfg = self.config
        B, T, P, _ = x_BTPC.shape
        padded = padding(T * P, cfg.width // cfg.heads)
        # Split over devices while patches are narrow: of wide tokens this is a long exchange.
        x_BNC = jnp.pad(x_BTPC.astype(cfg.dtype).reshape(B, T * P, -1), ((0, 0), (0, padded), (0, 0)))
        x_BNC = constrain(x_BNC, "batch", "tokens", "features")
        x_BND = Linear(cfg.width, ("small", "embed"), name="patch_embedding")(x_BNC).astype(jnp.float32)
        x_BND = constrain(x_BND, "batch", "tokens", "features")

        time_BTD, modulation_BT6D = TimeEmbedding(cfg.width, cfg.frequencies, name="time_embedding")(t.reshape(B, -1))
        context = Context(
            modulation_BT6D=modulation_BT6D,
            rope=rope_tables(jnp.pad(positions_BNX, ((0, 0), (0, padded), (0, 0))), cfg.width // cfg.heads),
            times_BT=positions_BNX.reshape(B, T, P, 3)[:, :, 0, 0],
            text_BSLD=TextEmbedding(cfg.width, name="text_embedding")(text_BSLE.astype(cfg.dtype)),
            shares_BTS=shares_BTS,
            image_BID=None if cfg.image_width is None else ImageEmbedding(cfg, name="img_emb")(image_BIE),
            audio_BTUM=None if cfg.audio_width is None else audio_BTUM,
            audio_gain=jnp.asarray(audio_gain, jnp.float32),
            padded=padded,
        )
        x_BND = Stack(lambda name: Block(cfg, name=name), cfg.depth, cfg.remat, cfg.unroll, name="blocks")(
            x_BND, context
        )
        y_BNC = Head(cfg.out_channels, name="head")(x_BND, time_BTD, padded)
        return y_BNC[:, : T * P].reshape(B, T, P, cfg.out_channels)


class TextEmbedding(nn.Module):
    """Prompt tokens -> the denoiser's width."""

    width: int

    @nn.compact
    def __call__(self, text_BSLE: jax.Array) -> jax.Array:
        h = tanh_gelu(Linear(self.width, ("small", "embed"), name="0")(text_BSLE))
        return Linear(self.width, name="2")(h)


class ImageEmbedding(nn.Module):
    """Image-encoder tokens -> the denoiser's width (exact GELU and eps 1e-5 here, unlike everywhere else)."""

    config: DiTConfig

    @nn.compact
    def __call__(self, image_BIE: jax.Array | None) -> jax.Array:
        assert image_BIE is not None, "this model reads image tokens (image_width is set)"
        cfg, width = self.config, image_BIE.shape[-1]
        if cfg.image_tokens is not None:
            zeros = partitioned(nn.initializers.zeros_init(), None, "small")
            image_BIE += self.param("emb_pos", zeros, (cfg.image_tokens, width))
        h = Linear(width, ("small", "embed"), name="1")(LayerNorm(1e-5, name="0")(image_BIE).astype(cfg.dtype))
        h = Linear(cfg.width, name="3")(nn.gelu(h, approximate=False))
        return LayerNorm(1e-5, name="4")(h)


class Head(nn.Module):
    """Modulated norm and a linear map that starts at zero."""

    out: int

    @nn.compact
    def __call__(self, x_BND: jax.Array, time_BTD: jax.Array, padded: int = 0) -> jax.Array:
        N, D = x_BND.shape[1:]
        zeros = nn.initializers.zeros_init()
        table_2D = self.param("modulation", partitioned(zeros, None, "small"), (2, D))
        shift, scale = (per_token(m, N, padded) for m in jnp.unstack(time_BTD[:, :, None] + table_2D, axis=2))
        return Linear(self.out, ("embed", "small"), kernel_init=zeros, name="head")(modulate(x_BND, shift, scale))


def per_token(value_BTD: jax.Array, tokens: int, padded: int = 0) -> jax.Array:
    """One value per window stays [B, 1, D]; one per frame is repeated for its patches; one per token is [B, N, D].

    The last `padded` tokens get zeros."""
    return value_BTD if value_BTD.shape[1] == 1 else spread(value_BTD, tokens, padded)


def gates_open(key: jax.Array, shape: tuple[int, ...], dtype: jnp.dtype = jnp.float32) -> jax.Array:
    """Start of a block's modulation table: gates (rows 2 and 5) at one, shifts and scales at zero."""
    del key
    return jnp.zeros(shape, dtype).at[jnp.array([2, 5])].set(1)
