"""Classifier-free guidance as a weighted sum of branches that run in one batch.

A branch is (weight, conditions); the weights sum to one. MultiTalk's rule with a text scale s and an audio scale a,

    silent + s (full - wordless) + a (wordless - silent),    wordless: no prompt; silent: neither prompt nor sound

is three branches, and fewer where a scale is one. A negative branch (a corrupted portrait, an opposite prompt) adds
n (full - negative), Kling-Avatar's negative-frame guidance.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

Conditions = Any
"""A pytree whose leaves have the batch as their first axis."""
Branches = list[tuple[float, Conditions]]


@dataclass(frozen=True)
class Guidance:
    """Scales; 1 is no guidance, negative 0 is no negative branch."""

    text: float = 1.0
    audio: float = 1.5
    negative: float = 0.0


def branches(
    scales: Guidance,
    full: Conditions,
    without_text: Callable[[Conditions], Conditions],
    without_audio: Callable[[Conditions], Conditions],
    negative: Conditions | None = None,
) -> Branches:
    """The fewest branches that give these scales.

    With a text scale of one the audio branch keeps the prompt, as MultiTalk does, so two passes are enough.
    """
    s, a, n = scales.text, scales.audio, scales.negative if negative is not None else 0.0
    if s == 1 and a == 1:
        found = [(1.0 + n, full)]
    elif s == 1:
        found = [(a + n, full), (1 - a, without_audio(full))]
    elif a == 1:
        found = [(s + n, full), (1 - s, without_text(full))]
    elif s == a:
        found = [(s + n, full), (1 - s, without_audio(without_text(full)))]
    else:
        wordless = without_text(full)
        found = [(s + n, full), (a - s, wordless), (1 - a, without_audio(wordless))]
    return found + ([(-n, negative)] if n else [])


def guided(
    predict: Callable[[jax.Array, jax.Array, Conditions], jax.Array], branches: Branches
) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """(x, t) -> weighted sum of `predict(x, t, conditions)` over the branches, which run as one larger batch."""
    weights = [weight for weight, _ in branches]
    conditions = [condition for _, condition in branches]
    if len(branches) == 1 and weights[0] == 1:
        return lambda x, t: predict(x, t, conditions[0])
    joined = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *conditions)

    def run(x: jax.Array, t: jax.Array) -> jax.Array:
        times = jnp.broadcast_to(t, x.shape[:1])
        parts = predict(jnp.concatenate([x] * len(weights)), jnp.concatenate([times] * len(weights)), joined)
        return jnp.tensordot(jnp.asarray(weights), parts.reshape(len(weights), *x.shape), axes=1)

    return run
