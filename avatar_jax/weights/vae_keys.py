"""Public names of the video VAE: AutoencoderKLWan as saved by diffusers (the original 2.1 file is a pickle).

config = json.loads((directory / "config.json").read_text())
vae = VideoVAE(vae_config(config))
where = target(config)
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp

from avatar_jax.models.vae_stages import VAEConfig
from avatar_jax.models.video_vae import VideoVAE
from avatar_jax.weights.mapping import Layout, Mapping, Rule, Target, flat_shapes, mapping, permuted
from avatar_jax.weights.ship import WeightsError

CONV_3D, CONV_2D = permuted(2, 3, 4, 1, 0), permuted(2, 3, 1, 0)
CONV_TIME = Layout(lambda x: x[..., 0, 0].transpose(2, 1, 0), lambda x: x.transpose(2, 1, 0)[..., None, None])


def _pointwise(ones: int) -> Layout:
    """A convolution of size 1 over `ones` axes, which is a linear map of ours."""
    none, zero = (None,) * ones, (0,) * ones
    return Layout(lambda x: x[(..., *zero)].T, lambda x: x.T[(..., *none)])


def _gain(ones: int) -> Layout:
    """A gain [C] that the public module keeps with `ones` axes of size 1 behind it."""
    return Layout(lambda x: x.reshape(-1), lambda x: x[(..., *(None,) * ones)])


KERNELS = {
    "space": CONV_2D,
    "time_conv": CONV_TIME,
    "conv_shortcut": _pointwise(3),
    "quant_conv": _pointwise(3),
    "post_quant_conv": _pointwise(3),
    "to_qkv": _pointwise(2),
    "proj": _pointwise(2),
}
"""Layers whose kernel is no 3 x 3 x 3 convolution."""


def rules(paths: Iterable[str], config: VAEConfig) -> list[Rule]:
    """One rule for each of these parameters of VideoVAE(config)."""
    return [_rule(path, config) for path in paths]


def _rule(path: str, config: VAEConfig) -> Rule:
    *modules, layer, leaf = path.split("/")
    public = ".".join(_public(name, config) for name in (*modules, layer))
    if leaf == "scale":
        return Rule(path, f"{public}.gamma", _gain(2 if layer == "norm" else 3))
    if leaf == "kernel":
        return Rule(path, f"{public}.weight", KERNELS.get(layer, CONV_3D))
    return Rule(path, f"{public}.bias")


def _public(name: str, config: VAEConfig) -> str:
    """Public name of one of our modules. VAE 2.1 numbers the encoder's blocks through; 2.2 groups them by stage."""
    kind, *rest = name.split("_", 2)
    if name == "space":
        return "resample.1"
    if kind in ("resnets", "attentions"):
        return f"{kind}.{rest[0]}"
    if kind not in ("down", "up"):
        return name
    stage, part = int(rest[0]), rest[1].replace("resnets_", "resnets.")
    if config.shortcuts:
        return f"{kind}_blocks.{stage}.{part}"
    if kind == "up":
        return f"up_blocks.{stage}.{part.replace('upsampler', 'upsamplers.0')}"
    within = config.blocks if part == "downsampler" else int(part.removeprefix("resnets."))
    return f"down_blocks.{stage * (config.blocks + 1) + within}"


def vae_config(public: dict[str, Any], dtype: Any = jnp.float32) -> VAEConfig:
    """Our config from a checkpoint's config.json; `dtype` is that of activations.

    Raises:
        WeightsError: on a file of another family, or of a variant that was never released.
    """
    missing = {"base_dim", "z_dim", "dim_mult", "temperal_downsample", "latents_mean", "latents_std"} - public.keys()
    patch = public.get("patch_size") or 1
    colours = {public.get("in_channels", 3), public.get("out_channels", 3)}
    if missing or public.get("attn_scales") or colours != {3 * patch**2}:
        got = f"no {', '.join(sorted(missing))}" if missing else f"channels {sorted(colours)}, patch_size {patch}"
        raise WeightsError(
            "wrong config.json",
            f"{public.get('_class_name', 'a file that names no class')} with {got}",
            "AutoencoderKLWan, attention in the middle alone, 3 * patch_size^2 channels in and out",
            "point to the vae folder of a Wan 2.1 or 2.2 checkpoint in diffusers layout",
        )
    return VAEConfig(
        width=public["base_dim"],
        decoder_width=public.get("decoder_base_dim") or public["base_dim"],
        latent_channels=public["z_dim"],
        multipliers=tuple(public["dim_mult"]),
        blocks=public.get("num_res_blocks", 2),
        halve_time=tuple(public["temperal_downsample"]),
        shortcuts=bool(public.get("is_residual")),
        patch=patch,
        latents_mean=tuple(public["latents_mean"]),
        latents_std=tuple(public["latents_std"]),
        dtype=dtype,
    )


def abstract_params(config: VAEConfig) -> Any:
    """Shapes of the parameters of VideoVAE(config), boxes and all; nothing is computed."""
    z = config.latent_channels
    known = VideoVAE(replace(config, latents_mean=(0.0,) * z, latents_std=(1.0,) * z))
    frame = jax.ShapeDtypeStruct((1, 1, config.cell, config.cell, 3), jnp.float32)
    return jax.eval_shape(known.init, jax.random.key(0), frame)["params"]


def diffusers_mapping(config: VAEConfig) -> Mapping:
    """Where the tensors of AutoencoderKLWan go."""
    shapes = flat_shapes(abstract_params(config))
    return mapping("diffusers", rules(shapes, config), shapes)


def target(public: dict[str, Any]) -> Target:
    """VideoVAE to be filled, by the checkpoint's config.json."""
    config = vae_config(public)
    return Target(abstract_params(config), (diffusers_mapping(config),))
