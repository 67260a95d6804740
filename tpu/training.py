"""One training step of a public model, to be compiled: flow-matching loss, backward pass, AdamW.

Silent families are trained whole, from float32 parameters; of families that hear only what they added to their base is
trained (audio attention, its norm, the audio projector), and the rest stays in bfloat16. Parameters to train, moments
and gradients lie over the mesh like the parameters. Backward keeps the attention's results and makes the rest again.
"""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax.traverse_util import flatten_dict, unflatten_dict
from jax.sharding import Mesh, NamedSharding

from avatar_jax.diffusion.flow import noised
from avatar_jax.mesh import fitting, replicated, state_shardings
from avatar_jax.models.video_model import VideoConditions, VideoModelConfig, audio_tokens, velocity
from avatar_jax.sampling.public.config import PublicConfig
from avatar_jax.training.optim import OptimConfig, optimiser
from avatar_jax.weights.families import FLOAT32, abstract_params
from avatar_jax.weights.suite import NUMBERS
from tpu.programs import (
    RELEASED,
    Abstract,
    Prepared,
    Shape,
    Variant,
    flops_of,
    given_to,
    laid_out,
    model_of,
    tokens_of,
    vae_of,
)

ADDED = ("audio_projector", "audio_cross_attn", "norm_x", "k_audio", "v_audio", "norm_k_audio")
"""What families that hear add to their base, by a part of the path."""
OPTIMISER = OptimConfig(kind="adamw", rate=1e-5)


def step(model: VideoModelConfig, state: tuple[Any, Any], frozen: Any, batch: dict[str, Any]) -> tuple[Any, jax.Array]:
    """((trained parameters, moments) after one step, loss)."""
    trained, moments = state

    def loss(trained: Any) -> jax.Array:
        params = unflatten_dict(frozen | trained, sep="/")
        given, x0 = batch["given"], batch["latents"]
        heard = None if given.heard_BFLC is None else audio_tokens(model, params, given.heard_BFLC)
        cond = VideoConditions(given.text_BSLE, given.shares_BTS, given.known_BTHWC, given.image_BIE, heard)
        x_t = noised(x0, batch["noise"], batch["t"])
        return jnp.mean(jnp.square(velocity(model, params, x_t, batch["t"], cond) - (batch["noise"] - x0)))

    value, gradients = jax.value_and_grad(loss)(trained)
    updates, moments = optimiser(OPTIMISER).update(gradients, moments, trained)
    return (optax.apply_updates(trained, updates), moments), value


def train(config: PublicConfig, shape: Shape, mesh: Mesh, variant: Variant = RELEASED) -> Prepared:
    """A step on `windows` windows."""
    model = model_of(config, variant)
    model = replace(model, dit=replace(model.dit, remat="attention"))
    cell = vae_of(model, config).cell
    boxed = abstract_params(model.dit, model.audio)
    everything: dict[str, Any] = flatten_dict(laid_out(boxed, mesh, NUMBERS[config.numbers], FLOAT32), sep="/")
    chosen = {path for path in everything if model.audio is None or any(part in path.split("/") for part in ADDED)}
    frozen = {path: leaf for path, leaf in everything.items() if path not in chosen}
    trained = {
        path: Abstract(leaf.shape, jnp.float32, sharding=leaf.sharding)
        for path, leaf in everything.items()
        if path in chosen
    }
    moments = jax.eval_shape(optimiser(OPTIMISER).init, trained)
    shardings = state_shardings(moments, {path: leaf.sharding for path, leaf in trained.items()}, mesh)
    moments = jax.tree.map(lambda x, s: Abstract(x.shape, x.dtype, sharding=s), moments, shardings)
    noise, given = given_to(model, config.clips.solve, shape, cell, mesh)
    times = Abstract(
        (shape.windows,), jnp.float32, sharding=NamedSharding(mesh, fitting(mesh, (shape.windows,), "batch"))
    )
    batch = {"given": given, "latents": noise, "noise": noise, "t": times}
    out = jax.tree.map(lambda leaf: leaf.sharding, (trained, moments))
    run = jax.jit(step, static_argnums=0, donate_argnums=1, out_shardings=(out, replicated(mesh)))
    # Forward, and twice as much backward; what is made again does not count as work.
    flops = 3 * flops_of(model, shape, shape.windows, cell)
    return Prepared(
        lambda: run.lower(model, (trained, moments), frozen, batch),
        shape.windows,
        tokens_of(shape, cell),
        1,
        model.dit.depth,
        flops,
    )
