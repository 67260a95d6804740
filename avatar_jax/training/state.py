"""What one training step reads and writes, and how it is laid out over a mesh."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from flax import struct
from jax.sharding import Mesh

from avatar_jax.mesh import parameter_shardings, state_shardings
from avatar_jax.training.optim import optimiser
from avatar_jax.training.stage import Batch, Stage


@struct.dataclass
class TrainState:
    """Everything that a checkpoint holds; `step` counts finished steps and is the number of the next batch."""

    step: jax.Array
    params: Any
    ema: Any
    moments: optax.OptState


def create(stage: Stage, key: jax.Array, params: Any = None) -> TrainState:
    """A state at step 0, with the stage's fresh parameters or the ones given."""
    params = nn.unbox(stage.init(key)) if params is None else params
    moments = optimiser(stage.config.optimiser).init(params)
    return TrainState(jnp.zeros((), jnp.int32), params, jax.tree.map(jnp.copy, params), moments)


def layout(stage: Stage, key: jax.Array, mesh: Mesh) -> TrainState:
    """The state as `ShapeDtypeStruct`s that carry their shardings: moments and averages lie where parameters lie."""
    boxed = jax.eval_shape(stage.init, key)
    abstract = jax.eval_shape(lambda k: create(stage, k), key)
    shardings = state_shardings(abstract, parameter_shardings(boxed, mesh), mesh)
    return jax.tree.map(lambda leaf, s: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=s), abstract, shardings)


def average(ema: Any, params: Any, step: jax.Array, decay: float) -> Any:
    """Exponential moving average whose decay starts small, so that the first parameters are soon forgotten."""
    keep = jnp.minimum(decay, (1 + step) / (10 + step))
    return jax.tree.map(lambda old, new: keep * old + (1 - keep) * new, ema, params)


def train_step(stage: Stage, state: TrainState, batch: Batch, key: jax.Array) -> tuple[TrainState, dict]:
    """(next state, scalars of this step). Randomness comes from `key` and the step number alone."""
    config = stage.config.optimiser
    value_and_grad = jax.value_and_grad(stage.loss, has_aux=True)
    (loss, metrics), grads = value_and_grad(state.params, batch, jax.random.fold_in(key, state.step))
    updates, moments = optimiser(config).update(grads, state.moments, state.params)
    params = optax.apply_updates(state.params, updates)
    ema = average(state.ema, params, state.step, config.ema)
    metrics = metrics | {"loss": loss, "gradient": optax.global_norm(grads)}
    return TrainState(state.step + 1, params, ema, moments), metrics
