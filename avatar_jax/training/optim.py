"""Optimiser of every stage: Muon for kernels, AdamW for all that is not a matrix; or AdamW, or Adafactor, for all.

Muon (Jordan 2024; scaled as in Liu et al. 2025, arXiv 2502.16982) orthogonalises the momentum of each kernel taken as
a matrix [inputs, outputs]; convolution kernels are flattened to (kh * kw * in, out), scanned layers are a batch.
Adafactor (Shazeer and Stern 2018, arXiv 1804.04235) keeps row and column means instead of a second moment.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike
from optax.contrib import MuonDimensionNumbers, muon

from avatar_jax.training.groups import Group, labels

SCANNED = "layers"
"""Name under which `nn.stack.Stack` keeps its layers; kernels below it have a leading axis of layers."""
MOMENTS = {"fp32": jnp.float32, "bf16": jnp.bfloat16}


@dataclass(frozen=True)
class OptimConfig:
    """Steps and learning rate of one training; `steps` is also where the learning rate reaches zero."""

    steps: int = 1000
    rate: float = 3e-3
    kind: Literal["muon", "adamw", "adafactor"] = "muon"
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
    """Decay of the averaged parameters; smaller at first, (1 + step) / (10 + step). 0 keeps no average."""
    groups: tuple[Group, ...] = ()
    """Parameters that learn at another rate, or not at all."""
    frozen: tuple[str, ...] = ()
    """Names of groups that do not learn: the same as `Group(name, 0)`."""
    accumulate: int = 1
    """Parts into which a batch is cut, whose gradients are averaged one after the other."""
    moments: Literal["fp32", "bf16"] = "fp32"
    """Of the first moment."""
    offload: bool = False
    """Moments lie in the host's memory between steps."""

    def __post_init__(self) -> None:
        if self.accumulate < 1:
            raise ValueError("accumulate is 1 or more")

    @property
    def all_groups(self) -> tuple[Group, ...]:
        """Frozen ones first: a parameter belongs to the first group that holds it."""
        return (*(Group(name, 0.0) for name in self.frozen), *self.groups)


FINE_TUNE = OptimConfig(steps=20_000, rate=1e-5, kind="adamw", warmup=0.02, decay=0.0, beta2=0.999, weight_decay=0.01)
"""What the paper tunes public weights with (AdamW, 1e-5)."""


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
        # A masked leaf of another group has no shape.
        if names[-1] != "kernel" or not hasattr(leaf, "ndim") or leaf.ndim - first < 2:
            return None
        return MuonDimensionNumbers(tuple(range(first, leaf.ndim - 1)), leaf.ndim - 1)

    return jax.tree_util.tree_map_with_path(axes, params)


def is_kernel(params: Any) -> Any:
    """What decays: kernels."""
    return jax.tree_util.tree_map_with_path(lambda path, _: getattr(path[-1], "key", "") == "kernel", params)


def update_rule(config: OptimConfig, factor: float = 1.0) -> optax.GradientTransformation:
    """The configured rule at `factor` times the configured rates."""
    share = schedule(config)

    def rate(peak: float) -> optax.Schedule:
        return lambda step: peak * factor * share(step)

    first_moment = None if config.moments == "fp32" else MOMENTS[config.moments]
    if config.kind == "adamw":
        return optax.adamw(
            rate(config.rate), b2=config.beta2, weight_decay=config.weight_decay, mask=is_kernel, mu_dtype=first_moment
        )
    if config.kind == "adafactor":
        return optax.chain(
            optax.scale_by_factored_rms(factored=True),
            optax.clip_by_block_rms(1.0),
            optax.add_decayed_weights(config.weight_decay, is_kernel),
            optax.scale_by_learning_rate(rate(config.rate)),
        )
    return muon(
        rate(config.rate),
        ns_steps=config.newton_schulz,
        weight_decay=config.weight_decay,
        adam_b2=config.beta2,
        adam_learning_rate=rate(config.adam_rate if config.adam_rate is not None else config.rate),
        muon_weight_dimension_numbers=kernels,
        consistent_rms=config.consistent_rms,
        mu_dtype=first_moment,
    )


def optimiser(config: OptimConfig) -> optax.GradientTransformation:
    """Clipping, then the configured rule, with each group's own rate; frozen groups have no moments."""
    update = update_rule(config)
    if groups := config.all_groups:
        rules: dict[Hashable, optax.GradientTransformation] = {"": update}
        rules |= {g.name: update_rule(config, g.rate) if g.rate else optax.set_to_zero() for g in groups}
        update = optax.partition(rules, lambda params: labels(params, groups))
    return optax.chain(optax.clip_by_global_norm(config.clip), update)
