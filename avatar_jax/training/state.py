"""What one training step reads and writes, and how it is laid out over a mesh."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from flax import struct
from jax.sharding import Mesh

from avatar_jax.mesh import parameter_shardings, state_shardings
from avatar_jax.training.groups import frozen_to_zero
from avatar_jax.training.optim import optimiser
from avatar_jax.training.stage import Batch, Params, Stage

HOST = "pinned_host"


@struct.dataclass
class TrainState:
    """Everything that a checkpoint holds; `step` counts finished steps and is the number of the next batch."""

    step: jax.Array
    params: Any
    ema: Any
    """Averaged parameters; {} where the config keeps none."""
    moments: optax.OptState


def averaged(state: TrainState) -> Params:
    """What is evaluated and exported: the averaged parameters, or the last ones where none are averaged."""
    return state.ema if jax.tree.leaves(state.ema) else state.params


def create(stage: Stage, key: jax.Array, params: Any = None) -> TrainState:
    """A state at step 0, with the stage's fresh parameters or the ones given."""
    config = stage.config.optimiser
    params = nn.unbox(stage.init(key)) if params is None else params
    ema = jax.tree.map(jnp.copy, params) if config.ema else {}
    return TrainState(jnp.zeros((), jnp.int32), params, ema, optimiser(config).init(params))


def layout(stage: Stage, key: jax.Array, mesh: Mesh) -> TrainState:
    """The state as `ShapeDtypeStruct`s that carry their shardings: moments and averages lie where parameters lie,
    moments in the host's memory where the config says so."""
    boxed = jax.eval_shape(stage.init, key)
    abstract = jax.eval_shape(lambda k: create(stage, k), key)
    shardings = state_shardings(abstract, parameter_shardings(boxed, mesh), mesh)
    if stage.config.optimiser.offload:
        shardings = shardings.replace(moments=jax.tree.map(lambda s: s.with_memory_kind(HOST), shardings.moments))
    return jax.tree.map(lambda leaf, s: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=s), abstract, shardings)


def average(ema: Any, params: Any, step: jax.Array, decay: float) -> Any:
    """Exponential moving average whose decay starts small, so that the first parameters are soon forgotten."""
    keep = jnp.minimum(decay, (1 + step) / (10 + step))
    return jax.tree.map(lambda old, new: keep * old + (1 - keep) * new, ema, params)


def gradients(stage: Stage, params: Params, fixed: Params, batch: Batch, key: jax.Array) -> tuple[Any, dict, Any]:
    """(loss, metrics, gradients) of a batch; with `accumulate` parts, means over parts that are taken one by one.

    Part i holds rows i, i + parts, ... so that every device keeps the rows that it has.
    """
    parts = stage.config.optimiser.accumulate

    def loss(params: Params, batch: Batch, key: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        return stage.loss(stage.whole(params, fixed), batch, key)

    measure = jax.value_and_grad(loss, has_aux=True)
    if parts == 1:
        (value, metrics), grads = measure(params, batch, key)
        return value, metrics, grads
    cut = jax.tree.map(lambda x: jnp.moveaxis(x.reshape(-1, parts, *x.shape[1:]), 1, 0), batch)

    def add(total: Any, part: Any) -> tuple[Any, None]:
        return jax.tree.map(jnp.add, total, measure(params, *part)), None

    keys = jax.random.split(key, parts)
    first = jax.tree.map(lambda x: x[0], (cut, keys))
    total = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(measure, params, *first))
    total, _ = jax.lax.scan(add, total, (cut, keys))
    (value, metrics), grads = jax.tree.map(lambda x: x / parts, total)
    return value, metrics, grads


def train_step(
    stage: Stage, state: TrainState, batch: Batch, key: jax.Array, fixed: Params | None = None, moments_at: Any = None
) -> tuple[TrainState, dict]:
    """(next state, scalars of this step). Randomness comes from `key` and the step number alone.

    `moments_at`: (shardings on the devices, shardings at rest) of moments that are kept in the host's memory.
    """
    config = stage.config.optimiser
    key = jax.random.fold_in(key, state.step)
    loss, metrics, grads = gradients(stage, state.params, fixed or {}, batch, key)
    grads = frozen_to_zero(grads, config.all_groups)
    moments = state.moments if moments_at is None else jax.device_put(state.moments, moments_at[0])
    updates, moments = optimiser(config).update(grads, moments, state.params)
    moments = moments if moments_at is None else jax.device_put(moments, moments_at[1])
    params = optax.apply_updates(state.params, updates)
    ema = average(state.ema, params, state.step, config.ema) if config.ema else state.ema
    metrics = metrics | {"loss": loss, "gradient": optax.global_norm(grads)}
    return TrainState(state.step + 1, params, ema, moments), metrics
