"""Adaptive projected guidance: strong guidance without the burnt colours (Sadat et al. 2024, algorithm 1).

Of each push away from a weaker prediction, momentum takes out what earlier steps already did, a limit on its length
takes out spikes, and of the part along the full prediction itself, which mostly adds contrast, only a share is kept.
MultiTalk's numbers are the defaults; it pushes text and audio separately, as is done here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from avatar_jax.diffusion.guidance import Conditions, Guidance
from avatar_jax.diffusion.solver import Remembering


@dataclass(frozen=True)
class Projection:
    """Momentum 0, an infinite threshold and parallel 1 together are plain guidance."""

    momentum: float = -0.75
    """Share of the pushes before that is added; negative, so that a lasting push fades."""
    threshold: float = 55.0
    """Longest push, as the norm over one sample."""
    parallel: float = 0.0
    """Share that is kept of the part along the full prediction."""


class Push(NamedTuple):
    """`scale` times the difference between two predictions, named by their places in a list of conditions."""

    scale: float
    towards: int
    away_from: int


def pushes(
    scales: Guidance,
    full: Conditions,
    without_text: Callable[[Conditions], Conditions],
    without_audio: Callable[[Conditions], Conditions],
    negative: Conditions | None = None,
) -> tuple[list[Conditions], list[Push]]:
    """The fewest predictions for these scales, the full one first, and the pushes between them.

    The same rule as `guidance.branches`: each scale above one adds (scale - 1) of its own effect.
    """
    s, a, n = scales.text, scales.audio, scales.negative if negative is not None else 0.0
    conditions, found = [full], []
    if s != 1:
        conditions.append(without_text(full))
        found.append(Push(s - 1, 0, 1))
    if a != 1:
        conditions.append(without_audio(conditions[-1]))
        found.append(Push(a - 1, len(conditions) - 2, len(conditions) - 1))
    if n:
        conditions.append(negative)
        found.append(Push(n, 0, len(conditions) - 1))
    return conditions, found


def projected(
    push: Float[Array, "B ..."], prediction: Float[Array, "B ..."], projection: Projection
) -> Float[Array, "B ..."]:
    """The push, shortened and with less of what lies along the prediction; each sample of the batch by itself."""
    axes = tuple(range(1, push.ndim))

    def length(x: jax.Array) -> jax.Array:
        return jnp.sqrt((x * x).sum(axes, keepdims=True))

    push *= jnp.minimum(1.0, projection.threshold / jnp.maximum(length(push), 1e-12))
    direction = prediction / jnp.maximum(length(prediction), 1e-12)
    along = (push * direction).sum(axes, keepdims=True) * direction
    return push - along + projection.parallel * along


def adaptive(
    predict: Callable[[jax.Array, jax.Array, Conditions], jax.Array],
    conditions: list[Conditions],
    pushes: list[Push],
    projection: Projection = Projection(),
) -> tuple[Remembering, Callable[[jax.Array], Any]]:
    """(velocity, its first memory) for a `solver.Stage`; the predictions run as one larger batch.

    `predict(x, t, conditions)` gives the velocity; its first axis is the batch, as of every leaf of the conditions.
    The memory is one running push for each of `pushes`, zero at the start of a stage.
    """
    joined = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *conditions)
    count = len(conditions)

    def velocity(x: jax.Array, t: jax.Array, memory: list[jax.Array]) -> tuple[jax.Array, list[jax.Array]]:
        times = jnp.broadcast_to(t, x.shape[:1])
        parts = predict(jnp.concatenate([x] * count), jnp.concatenate([times] * count), joined)
        parts = parts.reshape(count, *x.shape).astype(jnp.float32)
        found, running = parts[0], []
        for push, before in zip(pushes, memory, strict=True):
            running.append(parts[push.towards] - parts[push.away_from] + projection.momentum * before)
            found += push.scale * projected(running[-1], parts[0], projection)
        return found, running

    return velocity, lambda x: [jnp.zeros(x.shape, jnp.float32) for _ in pushes]
