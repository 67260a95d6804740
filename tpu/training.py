"""One training step of a public model, to be compiled: the step that train.py runs, its state and batch abstract.

All of it counts: parameters, moments and average in float32 as the recipe keeps them (moments in the host's memory
where it offloads them), frozen weights in bfloat16, gradients, and what backward keeps under the recipe's remat policy.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict
from jax.sharding import Mesh, NamedSharding

from avatar_jax import config as configs
from avatar_jax.media.errors import BadInput
from avatar_jax.mesh import fitting, replicated
from avatar_jax.models.umt5 import LENGTH
from avatar_jax.models.video_model import MASK_CHANNELS, VideoModelConfig
from avatar_jax.sampling.public.config import PublicConfig
from avatar_jax.training.loop import jitted_step
from avatar_jax.training.state import layout
from avatar_jax.training.video_stage import VideoConfig, VideoStage, VideoTraining, video_model
from avatar_jax.weights.families import FLOAT32
from avatar_jax.weights.suite import NUMBERS
from tpu.programs import (
    PICTURE_TOKENS,
    Abstract,
    Prepared,
    Shape,
    Variant,
    flops_of,
    laid_out,
    model_of,
    tokens_of,
    vae_of,
)
from tpu.work import attention_flops

RECIPES = Path(__file__).resolve().parents[1] / "configs"


def recipe_of(path: Path | None, config: PublicConfig, overrides: list[str], options: list[str]) -> VideoConfig:
    """The recipe at `path`, for the config's family; without a path, adapters of families that hear, and all weights of
    those that do not.

    Raises:
        BadInput, ConfigError: it is none for public models, or an override (--video.NAME=VALUE) does not fit.
    """
    hears = model_of(config).audio is not None
    usual = RECIPES / ("train_adapters.py" if hears else "train_full.py")
    loaded = configs.load(usual if path is None else path)
    if not isinstance(loaded, VideoTraining):
        raise BadInput(f"--recipe {path}", "no training of a public model", "it sets CONFIG to one", f"{usual}")
    if path is None:
        loaded = replace(loaded, video=replace(loaded.video, hear=False))
    return replace(configs.override(loaded, overrides, options).video, family=config.family)


def stage_of(config: PublicConfig, recipe: VideoConfig, variant: Variant) -> VideoStage:
    """The recipe's stage, of which shapes alone are asked."""
    released = model_of(config, replace(variant, storyline=None))
    if variant.storyline is not None:
        recipe = replace(recipe, storyline=True, storyline_queries=variant.storyline)
    nothing: Any = None
    return VideoStage(recipe, video_model(recipe, released), nothing, nothing)


def state_weight(stage: VideoStage) -> float:
    """Bytes on the chips for each byte of the model's weights in bfloat16: what is trained has parameters and gradients
    in float32, and moments and an average as the recipe says."""
    trained, whole = counted(stage)
    optimiser = stage.config.optimiser
    moments = 0 if optimiser.offload else 4 + (4 if optimiser.moments == "fp32" else 2)
    each = 4 + 4 + (4 if optimiser.ema else 0) + moments
    return (trained * each + (whole - trained) * 2) / (whole * 2)


def counted(stage: VideoStage) -> tuple[int, int]:
    """Parameters (trained, in all)."""
    sizes = {path: sum(leaf.size for leaf in jax.tree.leaves(box)) for path, box in stage.boxed.items()}
    return sum(size for path, size in sizes.items() if stage.trains(path)), sum(sizes.values())


def batch_of(model: VideoModelConfig, shape: Shape, cell: int, mesh: Mesh) -> dict[str, Any]:
    """Names and shapes of what training/video_windows.py makes."""
    B, T, S = shape.windows, shape.latents, shape.shots
    grid = (shape.height // cell, shape.width // cell)
    sides: dict[str, tuple[int, ...]] = {
        "latents_BTHWC": (T, *grid, model.channels),
        "shown_BTHWC": (T, *grid, model.channels),
        "told_BT4": (T, MASK_CHANNELS),
        "last_BHWC": (*grid, model.channels),
        "last_B": (),
        "text_BSLE": (S, LENGTH, model.dit.text_width),
        "shares_BTS": (T, S),
        "face_BTHW": (T, *grid),
        "mouth_BTHW": (T, *grid),
    }
    if model.audio is not None:
        heard = shape.frames + model.audio.window - 1
        sides["heard_BFLC"] = (heard, model.audio.layers, model.audio.channels)
    if model.pictures:
        sides["picture_BIE"] = (PICTURE_TOKENS * model.pictures, model.dit.image_width or 0)

    def array(more: tuple[int, ...]) -> Any:
        spec = fitting(mesh, (B, *more), "batch", *(None for _ in more))
        return Abstract((B, *more), jnp.float32, sharding=NamedSharding(mesh, spec))

    return {name: array(more) for name, more in sides.items()}


def train(config: PublicConfig, shape: Shape, mesh: Mesh, variant: Variant, recipe: VideoConfig) -> Prepared:
    """A step on `windows` windows."""
    stage = stage_of(config, recipe, variant)
    model, cell = stage.model, vae_of(stage.model, config).cell
    key = jax.eval_shape(lambda: jax.random.key(0))
    state = layout(stage, key, mesh)
    frozen = {path: box for path, box in stage.boxed.items() if not stage.trains(path)}
    fixed = flatten_dict(laid_out(frozen, mesh, NUMBERS[recipe.numbers], FLOAT32), sep="/")
    batch = batch_of(model, shape, cell, mesh)
    step_key = Abstract(key.shape, key.dtype, sharding=replicated(mesh))
    # Backward: every product once more for activations, and once for the weights that are trained. Of attention both
    # sides are activations. What is made again does not count as work.
    trained, whole = counted(stage)
    attention = attention_flops(model.dit, tokens_of(shape, cell), shape.windows, LENGTH, shape.shots, heard_by(model))
    flops = 3 * attention + (2 + trained / whole) * (flops_of(model, shape, shape.windows, cell) - attention)
    step: Any = jitted_step(stage, state, mesh, fixed)
    return Prepared(
        lambda: step.lower(state, fixed, batch, step_key),
        shape.windows,
        tokens_of(shape, cell),
        1,
        model.dit.depth,
        flops,
    )


def heard_by(model: VideoModelConfig) -> int:
    """Tokens of sound beside a frame."""
    return 0 if model.audio is None else model.audio.tokens
