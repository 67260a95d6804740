"""What is compiled: the programs that sampling runs, with abstract arguments laid out over the mesh.

`denoise` is the denoise loop of sampling itself (`solve_windows`): all guidance branches of the config run as one
larger batch, as they do there. `vae` is the streaming decoder over whole windows, `text` the text encoder over the
prompts that are encoded together. `train` is in tpu.training.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding

from avatar_jax.diffusion.guidance import Guidance, branches
from avatar_jax.media.errors import BadInput
from avatar_jax.mesh import fitting, parameter_shardings
from avatar_jax.models.director_adapter import Queries
from avatar_jax.models.umt5 import LENGTH, UMT5Config, UMT5Encoder, encode_ids
from avatar_jax.models.vae_stages import TIME_FACTOR, VAEConfig
from avatar_jax.models.video_model import MASK_CHANNELS, PATCH, VideoModelConfig
from avatar_jax.models.video_vae import VAE_2_1, VAE_2_2, VideoVAE
from avatar_jax.sampling.public.config import PublicConfig, SolveConfig
from avatar_jax.sampling.public.pictures import decode_video
from avatar_jax.sampling.public.prompts import AT_ONCE
from avatar_jax.sampling.public.solving import Given, solve_windows
from avatar_jax.weights.families import FLOAT32, abstract_params
from avatar_jax.weights.suite import NUMBERS, video_model_config
from tpu.work import denoiser_flops, traced_flops

Abstract: Any = jax.ShapeDtypeStruct
"""Stands for an array wherever one is asked for, so it is typed as anything."""
PICTURE_TOKENS = 257
"""Of one picture, as CLIP's tower gives them."""


@dataclass(frozen=True)
class Shape:
    """What a program is asked to make. `windows`: independent ones in one call; `shots`: prompts of each."""

    height: int
    width: int
    frames: int
    windows: int = 1
    shots: int = 1

    @property
    def latents(self) -> int:
        """Latent frames."""
        return 1 + (self.frames - 1) // TIME_FACTOR


@dataclass(frozen=True)
class Prepared:
    """A program ready to be lowered, and what is known of it beforehand."""

    lower: Callable[[], Any]
    """Under `jax.set_mesh`."""
    rows: int
    """Rows of the model's batch."""
    tokens: int
    """Of one row."""
    steps: int
    """Rounds of its outermost loop that are one step each; 1: the whole program is one step."""
    layers: int
    """Of the network's stack; 0 if it has none."""
    flops: float
    """Of one step."""


@dataclass(frozen=True)
class Variant:
    """What is changed about a family's denoiser."""

    depth: int | None = None
    """Layers, where not the family's."""
    storyline: Queries | None = None
    """With the trained storyline attention, and whose queries it has."""
    deaf: bool = False
    """Without all that hears."""


RELEASED = Variant()


def model_of(config: PublicConfig, variant: Variant = RELEASED) -> VideoModelConfig:
    """The family's denoiser at its released sizes, or changed."""
    model = video_model_config(config.family, {}, NUMBERS[config.numbers])
    dit = replace(model.dit, depth=variant.depth or model.dit.depth)
    if variant.storyline is not None:
        dit = replace(dit, storyline=True, storyline_queries=variant.storyline)
    if variant.deaf:
        return replace(model, dit=replace(dit, audio_width=None, audio_in_text=False), audio=None)
    return replace(model, dit=dit)


def vae_of(model: VideoModelConfig, config: PublicConfig) -> VAEConfig:
    base = VAE_2_2 if model.channels == VAE_2_2.latent_channels else VAE_2_1
    if not base.latents_mean:
        zeros = (0.0,) * base.latent_channels
        base = replace(base, latents_mean=zeros, latents_std=zeros)
    return replace(base, dtype=NUMBERS[config.vae_numbers])


def passes(model: VideoModelConfig, solve: SolveConfig) -> int:
    """Rows of the model's batch for each window: the branches of its guidance."""
    scales = solve.guidance if model.audio is not None else Guidance(solve.guidance.text, 1.0, solve.guidance.negative)
    negative = () if scales.negative and model.sees_frames else None
    return len(branches(scales, (), lambda c: c, lambda c: c, negative))


def require(shape: Shape, cell: int) -> None:
    """The shape lies on the model's grid.

    Raises:
        BadInput: naming the side that does not.
    """
    step = cell * PATCH
    for name, side in (("height", shape.height), ("width", shape.width)):
        if side < step or side % step:
            near = max(step, round(side / step) * step)
            raise BadInput(f"--{name}", side, f"both sides are multiples of {step}", f"--{name} {near}")
    if shape.frames < 1 or shape.frames % TIME_FACTOR != 1:
        near = max(1, round((shape.frames - 1) / TIME_FACTOR)) * TIME_FACTOR + 1
        raise BadInput("--frames", shape.frames, f"{TIME_FACTOR} n + 1 frames in a window", f"--frames {near}")


def laid_out(boxed: Any, mesh: Mesh, dtype: Any, float32: str = "") -> Any:
    """Abstract parameters over the mesh, in `dtype` but for the paths that `float32` matches."""
    plain = nn.unbox(boxed)

    def leaf(path: Any, value: Any, sharding: NamedSharding) -> Any:
        name = "/".join(str(getattr(key, "key", key)) for key in path)
        return Abstract(value.shape, jnp.float32 if re.fullmatch(float32, name) else dtype, sharding=sharding)

    return jax.tree_util.tree_map_with_path(leaf, plain, parameter_shardings(boxed, mesh))


def denoiser_params(model: VideoModelConfig, mesh: Mesh, dtype: Any) -> Any:
    return laid_out(abstract_params(model.dit, model.audio), mesh, dtype, FLOAT32)


def given_to(model: VideoModelConfig, solve: SolveConfig, shape: Shape, cell: int, mesh: Mesh) -> tuple[Any, Given]:
    """Abstract (noise, everything else) of the windows, split over the mesh's batch axes where these divide them."""
    B, T, S = shape.windows, shape.latents, shape.shots
    grid = (B, T, shape.height // cell, shape.width // cell)

    def array(*sides: int, dtype: Any = jnp.float32) -> Any:
        spec = fitting(mesh, sides, "batch", *(None for _ in sides[1:]))
        return Abstract(sides, dtype, sharding=NamedSharding(mesh, spec))

    text = array(B, S, LENGTH, model.dit.text_width, dtype=model.dit.dtype)
    picture = array(B, PICTURE_TOKENS * model.pictures, model.dit.image_width or 0) if model.pictures else None
    known = array(*grid, MASK_CHANNELS + model.channels) if model.sees_frames else None
    heard = None
    if model.audio is not None:
        heard = array(B, shape.frames + model.audio.window - 1, model.audio.layers, model.audio.channels)
    spoilt = bool(solve.guidance.negative) and model.sees_frames
    return array(*grid, model.channels), Given(
        text_BSLE=text,
        unwanted_BSLE=text,
        shares_BTS=array(B, T, S),
        known_BTHWC=known,
        image_BIE=picture,
        heard_BFLC=heard,
        spoilt_BTHWC=known if spoilt else None,
        spoilt_BIE=picture if spoilt else None,
        latents_BTHWC=array(*grid, model.channels),
        hold_BT=array(B, T),
        pull_BT=array(B, T),
    )


def tokens_of(shape: Shape, cell: int) -> int:
    return shape.latents * (shape.height // (cell * PATCH)) * (shape.width // (cell * PATCH))


def flops_of(model: VideoModelConfig, shape: Shape, rows: int, cell: int) -> float:
    """Of one pass of the denoiser over `rows`."""
    audio = 0 if model.audio is None else model.audio.tokens
    return denoiser_flops(model.dit, tokens_of(shape, cell), rows, shape.latents, LENGTH, shape.shots, audio)


def denoise(config: PublicConfig, shape: Shape, mesh: Mesh, variant: Variant = RELEASED) -> Prepared:
    """The denoise loop of sub-clips."""
    model, solve = model_of(config, variant), config.clips.solve
    cell = vae_of(model, config).cell
    rows = shape.windows * passes(model, solve)
    params = denoiser_params(model, mesh, NUMBERS[config.numbers])
    noise, given = given_to(model, solve, shape, cell, mesh)
    return Prepared(
        lambda: solve_windows.lower(model, solve, params, noise, given),
        rows,
        tokens_of(shape, cell),
        solve.steps,
        model.dit.depth,
        flops_of(model, shape, rows, cell),
    )


def decode(config: PublicConfig, shape: Shape, mesh: Mesh) -> Prepared:
    """The streaming decoder, latents of `windows` windows to frames; one step is all of it."""
    model = model_of(config)
    vae = vae_of(model, config)
    sides = (shape.windows, shape.latents, shape.height // vae.cell, shape.width // vae.cell, vae.latent_channels)
    spec = fitting(mesh, sides, "batch", *(None for _ in sides[1:]))
    latents = Abstract(sides, jnp.float32, sharding=NamedSharding(mesh, spec))
    picture = Abstract((1, 1, 2 * vae.cell, 2 * vae.cell, 3), jnp.float32)
    boxed = jax.eval_shape(VideoVAE(vae).init, jax.random.key(0), picture)["params"]
    params = laid_out(boxed, mesh, NUMBERS[config.vae_numbers])
    flops = traced_flops(lambda p, x: decode_video(vae, p, x), nn.unbox(boxed), Abstract(sides, jnp.float32))
    return Prepared(
        lambda: decode_video.lower(vae, params, latents), shape.windows, tokens_of(shape, vae.cell), 1, 0, flops
    )


def encode_text(config: PublicConfig, mesh: Mesh) -> Prepared:
    """The text encoder over the prompts that are encoded together; one step is all of it."""
    umt5 = UMT5Config(dtype=NUMBERS[config.numbers])
    replicated = NamedSharding(mesh, fitting(mesh, (AT_ONCE, LENGTH), None, None))
    ids = Abstract((AT_ONCE, LENGTH), jnp.int32, sharding=replicated)
    real = Abstract((AT_ONCE, LENGTH), jnp.bool_, sharding=replicated)
    boxed = jax.eval_shape(UMT5Encoder(umt5).init, jax.random.key(0), ids, real)["params"]
    params = laid_out(boxed, mesh, NUMBERS[config.numbers])
    plain = [Abstract(x.shape, x.dtype) for x in (ids, real)]
    flops = traced_flops(lambda p, i, r: encode_ids(umt5, p, i, r), nn.unbox(boxed), *plain)
    return Prepared(lambda: encode_ids.lower(umt5, params, ids, real), AT_ONCE, LENGTH, 1, umt5.depth, flops)
