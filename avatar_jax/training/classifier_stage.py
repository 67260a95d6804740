"""Training of a small yes-or-no classifier on pictures that are drawn or spoilt for it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from avatar_jax.models.classifier import Classifier, ClassifierConfig
from avatar_jax.training.optim import OptimConfig
from avatar_jax.training.stage import Batch, Params, Stage

Examples = Callable[[np.random.Generator, int], Batch]
"""source(rng, count) -> picture uint8 [B, H, W, C] and good float32 [B], 1 or 0."""
Score = Callable[[Params], dict[str, float]]
"""Scores of trained parameters on held-out examples; `auc` is what the gate asks for."""


@dataclass(frozen=True)
class ClassifierStageConfig:
    """`batch` examples a step."""

    model: ClassifierConfig = field(default_factory=ClassifierConfig)
    optimiser: OptimConfig = field(default_factory=lambda: OptimConfig(steps=1500, rate=3e-3, ema=0.995))
    batch: int = 64
    seed: int = 0
    auc: float = 0.98
    """Least area under the curve that passes the gate."""


@dataclass(frozen=True)
class ClassifierStage(Stage):
    """Trains one `Classifier`, named for what it judges."""

    name: str
    config: ClassifierStageConfig
    source: Examples
    score: Score

    def init(self, key: jax.Array) -> Params:
        c = self.config.model
        return Classifier(c).init(key, jnp.zeros((1, c.side, c.side, c.channels), jnp.uint8))["params"]

    def loss(self, params: Params, batch: Batch, key: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Binary cross-entropy; every example counts the same."""
        del key
        logits: Any = Classifier(self.config.model).apply({"params": params}, batch["picture"])
        right = jnp.mean((logits > 0) == (batch["good"] > 0.5))
        return optax.sigmoid_binary_cross_entropy(logits, batch["good"]).mean(), {"right": right}

    def batches(self, start: int) -> Iterator[Batch]:
        step = start
        while True:
            yield self.source(np.random.default_rng((self.config.seed, step)), self.config.batch)
            step += 1

    def evaluate(self, params: Params) -> dict[str, float]:
        return self.score(params)

    def gate(self, scores: dict[str, float]) -> bool:
        return scores["auc"] >= self.config.auc
