"""Optimiser of every stage: Muon for kernels, AdamW for all that is not a matrix; warm-up, flat, linear to zero.

Muon (Jordan 2024; scaled as in Liu et al. 2025, arXiv 2502.16982) orthogonalises the momentum of each kernel taken as
a matrix [inputs, outputs]; convolution kernels are flattened to (kh * kw * in, out), scanned layers are a batch.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike
from optax.contrib import MuonDimensionNumbers, muon

SCANNED = "layers"
"""Name under which `nn.stack.Stack` keeps its layers; kernels below it have a leading axis of layers."""


@dataclass(frozen=True)
class OptimConfig:
    """Steps and learning rate of one training; `steps` is also where the learning rate reaches zero."""

    steps: int = 1000
    rate: float = 3e-3
    kind: Literal["muon", "adamw"] = "muon"
    adam_rate: float | None = None
    """Rate of what is not a kernel under Muon; None: the same `rate`."""
    warmup: float = 0.03
    """Share of the steps that rises linearly from zero."""
    decay: float = 0.5
    """Share of the steps, at the end, that falls linearly to zero."""
    clip: float = 1.0
    """Largest global norm of the gradient."""
    weight_decay: float = 0.0
    """Decoupled, on kernels alone."""
    beta2: float = 0.99
    newton_schulz: int = 4
    consistent_rms: float = 0.2
    ema: float = 0.998
    """Decay of the averaged parameters; smaller at first, (1 + step) / (10 + step)."""


def schedule(config: OptimConfig) -> Callable[[ArrayLike], jax.Array]:
    """Factor 0..1 of the learning rate by step: linear up, flat, linear to zero at `steps`."""
    warmup = max(1, round(config.warmup * config.steps))
    decay = max(1, round(config.decay * config.steps))

    def factor(step: ArrayLike) -> jax.Array:
        up = (jnp.asarray(step) + 1) / warmup
        down = (config.steps - jnp.asarray(step)) / decay
        return jnp.clip(jnp.minimum(up, down), 0.0, 1.0)

    return factor


def kernels(params: Any) -> Any:
    """How Muon reads each leaf as a matrix; None for the leaves of AdamW (biases, norms, tables, modulations)."""

    def axes(path: Any, leaf: Any) -> MuonDimensionNumbers | None:
        names = [str(getattr(key, "key", key)) for key in path]
        first = 1 if SCANNED in names else 0
        if names[-1] != "kernel" or leaf.ndim - first < 2:
            return None
        return MuonDimensionNumbers(tuple(range(first, leaf.ndim - 1)), leaf.ndim - 1)

    return jax.tree_util.tree_map_with_path(axes, params)


def optimiser(config: OptimConfig) -> optax.GradientTransformation:
    """Clipping, then Muon or AdamW at the rate of `schedule`."""
    factor = schedule(config)

    def rate(peak: float) -> optax.Schedule:
        return lambda step: peak * factor(step)

    def is_kernel(params: Any) -> Any:
        return jax.tree_util.tree_map_with_path(lambda path, _: getattr(path[-1], "key", "") == "kernel", params)

    if config.kind == "adamw":
        update = optax.adamw(rate(config.rate), b2=config.beta2, weight_decay=config.weight_decay, mask=is_kernel)
    else:
        update = muon(
            rate(config.rate),
            ns_steps=config.newton_schulz,
            weight_decay=config.weight_decay,
            adam_b2=config.beta2,
            adam_learning_rate=rate(config.adam_rate if config.adam_rate is not None else config.rate),
            muon_weight_dimension_numbers=kernels,
            consistent_rms=config.consistent_rms,
        )
    return optax.chain(optax.clip_by_global_norm(config.clip), update)
