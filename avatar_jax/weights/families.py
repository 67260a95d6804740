"""The public model families: exact sizes, and how a checkpoint's own config.json refines them.

A family says which branches a model has (image tokens, sound, experts) and the sizes of its release. Sizes are taken
from a checkpoint's config.json where it has one, in diffusers' words or in Wan's original ones, so that small models of
the same family load too; branches are never guessed.
"""

from collections.abc import Mapping as Map
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from avatar_jax.models.audio_projector import AudioProjector, AudioProjectorConfig
from avatar_jax.models.dit import DiT, DiTConfig
from avatar_jax.weights.mapping import Mapping, Shape, Target, flat_shapes, mapping
from avatar_jax.weights.rename import DIFFUSERS, ORIGINAL, dit_rules
from avatar_jax.weights.ship import WeightsError

PATCH = 4
"""Latent cells of one patch (1 x 2 x 2)."""
FLOAT32 = r".*/(scale|bias|modulation|emb_pos)|.*time_embedding/[02]/kernel"
"""Stays float32 in a bfloat16 conversion, as the released code keeps it: vectors, tables and the time embedding."""


KINDS = ("t2v", "i2v", "flf2v", "ti2v", "vace", "s2v")
"""Values of `model_type` that tell the released models apart; any other word says nothing."""


@dataclass(frozen=True)
class Expert:
    """One set of weights: its name in our tree (empty where there is one set only) and the folders that may hold it."""

    name: str
    folders: tuple[str, ...]


ONE = (Expert("", ("transformer",)),)
TWO = (Expert("high", ("transformer", "high_noise_model")), Expert("low", ("transformer_2", "low_noise_model")))


@dataclass(frozen=True)
class Family:
    """A released video model."""

    name: str
    dit: DiTConfig
    audio: AudioProjectorConfig | None = None
    projector: str = "audio_proj"
    """Public name of the audio projector."""
    kinds: tuple[str, ...] = ("t2v",)
    """Values of `model_type` in an original config.json."""
    experts: tuple[Expert, ...] = ONE
    boundary: float | None = None
    """Diffusion time from which on the `high` expert works, where there are two."""

    @property
    def structure(self) -> tuple[bool, bool, bool, bool]:
        """What sizes cannot change: pictures beside the noise, image tokens, positions for them, sound."""
        return (
            self.dit.in_channels != self.dit.out_channels,
            self.dit.image_width is not None,
            self.dit.image_tokens is not None,
            self.audio is not None,
        )


_T2V_1B = DiTConfig(
    width=1536, heads=12, depth=30, ffn=8960, in_channels=64, out_channels=64, text_width=4096, audio_width=None
)
_T2V_14B = replace(_T2V_1B, width=5120, heads=40, depth=40, ffn=13824)
_I2V_14B = replace(_T2V_14B, in_channels=144, image_width=1280)
_FUN_1B = replace(_T2V_1B, in_channels=144, image_width=1280)
_TI2V_5B = replace(_T2V_1B, width=3072, heads=24, ffn=14336, in_channels=192, out_channels=192)
_TALKING_14B = replace(_I2V_14B, audio_width=768)
_PICTURE = ("i2v",)

FAMILIES = {
    family.name: family
    for family in (
        Family("wan_t2v_1_3b", _T2V_1B),
        Family("wan_t2v_14b", _T2V_14B),
        Family("wan_i2v_14b", _I2V_14B, kinds=_PICTURE),
        Family("wan_flf2v_14b", replace(_I2V_14B, image_tokens=514), kinds=("flf2v",)),
        Family("wan_fun_1_3b_inp", _FUN_1B, kinds=_PICTURE),
        Family("wan2_2_t2v_a14b", _T2V_14B, experts=TWO, boundary=0.875),
        Family("wan2_2_i2v_a14b", replace(_T2V_14B, in_channels=144), kinds=_PICTURE, experts=TWO, boundary=0.9),
        Family("wan2_2_ti2v_5b", _TI2V_5B, kinds=("ti2v",)),
        Family("multitalk_14b", _TALKING_14B, AudioProjectorConfig(), kinds=_PICTURE),
        Family("infinitetalk_14b", _TALKING_14B, AudioProjectorConfig(), kinds=_PICTURE),
        Family("skyreels_a2v_19b", _TALKING_14B, AudioProjectorConfig(), kinds=_PICTURE),
        Family(
            "echomimic_v3_flash",
            replace(_FUN_1B, audio_width=1536, audio_in_text=True),
            AudioProjectorConfig(width=1536),
            projector="audio_injection",
            kinds=_PICTURE,
        ),
    )
}


def sized(family: Family, config: Map[str, Any]) -> Family:
    """The family with the sizes of a checkpoint's config.json (diffusers' or original keys; empty: as released).

    Raises:
        WeightsError: if the file describes a model of another family or a variant that we do not have.
    """
    if not config:
        return family
    if not ({"num_attention_heads", "dim"} & config.keys()):
        raise mismatch(family, f"a {config.get('_class_name') or config.get('model_type') or 'file'} without sizes", ())
    found = read_diffusers(family, config) if "num_attention_heads" in config else read_original(family, config)
    fixed = {"patch_size": [1, 2, 2], "qk_norm": "rms_norm_across_heads", "cross_attn_norm": True, "eps": 1e-6}
    for key, value in fixed.items():
        got = config.get(key, value)
        got = list(got) if isinstance(got, tuple) else got
        if got != value and not (key == "qk_norm" and got is True):
            raise mismatch(family, f"{key} = {got!r} (only {value!r} is known)", ())
    kind = config.get("model_type")
    twins = [name for name, other in FAMILIES.items() if sizes(other) == sizes(found)]
    alien = kind in KINDS and kind not in family.kinds
    if alien or found.structure != family.structure or (twins and family.name not in twins):
        d = found.dit
        got = f"{kind or 'a model'} of width {d.width}, {d.depth} layers, {d.in_channels // PATCH} channels in"
        raise mismatch(family, f"{got}, {d.out_channels // PATCH} out", twins or alike(found, kind))
    return found


def alike(found: Family, kind: str | None) -> list[str]:
    """Names of the families that such a model may be a smaller one of."""

    def fits(family: Family) -> bool:
        if kind in KINDS:
            return kind in family.kinds and family.structure[0] == found.structure[0]
        return family.structure[:3] == found.structure[:3]

    return [family.name for family in FAMILIES.values() if fits(family)]


def mismatch(family: Family, got: str, suits: list[str] | tuple[str, ...]) -> WeightsError:
    fix = f"--family {' or '.join(suits)}" if suits else "give the checkpoint that this family names"
    return WeightsError("wrong family", f"config.json describes {got}", f"a checkpoint of {family.name}", fix)


def sizes(family: Family) -> tuple[DiTConfig, AudioProjectorConfig | None]:
    return family.dit, family.audio


def read_diffusers(family: Family, config: Map[str, Any]) -> Family:
    """Sizes as diffusers' WanTransformer3DModel writes them."""
    width = config["num_attention_heads"] * config.get("attention_head_dim", 128)
    base = family.dit
    dit = replace(
        base,
        width=width,
        heads=config["num_attention_heads"],
        depth=config.get("num_layers", base.depth),
        ffn=config.get("ffn_dim", base.ffn),
        in_channels=PATCH * config.get("in_channels", base.in_channels // PATCH),
        out_channels=PATCH * config.get("out_channels", base.out_channels // PATCH),
        text_width=config.get("text_dim", base.text_width),
        frequencies=config.get("freq_dim", base.frequencies),
        image_width=config.get("image_dim"),
        image_tokens=config.get("pos_embed_seq_len"),
    )
    return with_audio(replace(family, dit=dit), config)


def read_original(family: Family, config: Map[str, Any]) -> Family:
    """Sizes as Wan's own code writes them; what it leaves to its defaults is the family's."""
    base = family.dit
    dit = replace(
        base,
        width=config["dim"],
        heads=config.get("num_heads", base.heads),
        depth=config.get("num_layers", base.depth),
        ffn=config.get("ffn_dim", base.ffn),
        in_channels=PATCH * config.get("in_dim", base.in_channels // PATCH),
        out_channels=PATCH * config.get("out_dim", base.out_channels // PATCH),
        text_width=config.get("text_dim", base.text_width),
        frequencies=config.get("freq_dim", base.frequencies),
        image_width=base.image_width and config.get("clip_dim", base.image_width),
        image_tokens=base.image_tokens and config.get("image_tokens", base.image_tokens),
    )
    return with_audio(replace(family, dit=dit), config)


def with_audio(family: Family, config: Map[str, Any]) -> Family:
    """Sizes of the audio projector, where the family has one. EchoMimic's audio tokens are as wide as the model."""
    if (base := family.audio) is None:
        return family
    named = config.get("audio_output_dim", config.get("output_dim", base.width))
    audio = replace(
        base,
        layers=config.get("audio_layers", base.layers),
        channels=config.get("audio_channels", base.channels),
        window=config.get("audio_window", base.window),
        stride=config.get("vae_scale", base.stride),
        hidden=config.get("intermediate_dim", base.hidden),
        tokens=config.get("context_tokens", base.tokens),
        width=family.dit.width if family.dit.audio_in_text else named,
    )
    return replace(family, audio=audio, dit=replace(family.dit, audio_width=audio.width))


@cache
def abstract_params(dit: DiTConfig, audio: AudioProjectorConfig | None) -> dict[str, Any]:
    """{"dit": ...} and, where there is sound, {"audio_projector": ...}: shapes and logical axes, nothing computed."""
    B, T, P, image = 1, 2, 4, dit.image_width

    def shape(*sizes: int) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(sizes, jnp.float32)

    key = jax.ShapeDtypeStruct((), jax.random.key(0).dtype)
    inputs = (
        shape(B, T, P, dit.in_channels),
        shape(B),
        shape(B, T * P, 3),
        shape(B, 1, 2, dit.text_width),
        shape(B, T, 1),
        None if dit.audio_width is None else shape(B, T, 2, dit.audio_width),
        None if image is None else shape(B, dit.image_tokens or 2, image),
    )
    params: dict[str, Any] = {"dit": jax.eval_shape(DiT(dit).init, key, *inputs)["params"]}
    if audio is not None:
        windows = shape(B, 1 + audio.stride, audio.window, audio.layers, audio.channels)
        params["audio_projector"] = jax.eval_shape(AudioProjector(audio).init, key, windows)["params"]
    return params


def dit_target(family: Family) -> Target:
    """The family's DiT and audio projector, to be filled from either key layout."""
    abstract = abstract_params(family.dit, family.audio)
    shapes = flat_shapes(abstract)
    return Target(abstract, tuple(key_table(family, layout, shapes) for layout in (ORIGINAL, DIFFUSERS)), FLOAT32)


def key_table(family: Family, layout: str, shapes: Map[str, Shape]) -> Mapping:
    """One key layout. EchoMimic's q_audio is computed and discarded by the released code: known, and dropped."""
    attention, width = {ORIGINAL: "cross_attn", DIFFUSERS: "attn2"}[layout], family.dit.width
    dead: dict[str, Shape] = {}
    if family.dit.audio_in_text:
        for n in range(family.dit.depth):
            dead[f"blocks.{n}.{attention}.q_audio.weight"] = (width, width)
            dead[f"blocks.{n}.{attention}.q_audio.bias"] = (width,)
    # diffusers' module of an added query norm is saved by some versions and read by none.
    ignored = (r"blocks\.\d+\.attn2\.norm_added_q\.weight",) if family.dit.image_width else ()
    return mapping(layout, dit_rules(layout, family.dit.heads, family.projector), shapes, dead, ignored)


def parameters(family: Family) -> int:
    """How many numbers our modules hold, all experts together."""
    leaves = jax.tree.leaves(nn.unbox(abstract_params(family.dit, family.audio)))
    return sum(leaf.size for leaf in leaves) * len(family.experts)
