"""Training of the network that takes a portrait apart: every layer is known, so every layer is a target."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from avatar_jax.models.portrait_layers import (
    FRONT_TO_BACK,
    SIZE,
    LayersConfig,
    PortraitLayersNet,
    assemble,
    stacked,
    visible,
)
from avatar_jax.training.optim import OptimConfig
from avatar_jax.training.stage import Batch, Params, Stage

PortraitSource = Callable[[np.random.Generator, int, bool], Batch]
"""source(rng, count, held_out) -> portraits and layers in [0, 1], as `data_pipeline.synthetic.faces.portrait_batch`."""
WEIGHTS = {"back": 1.0, "body": 1.0, "head": 1.5, "face": 4.0, "hand": 0.6}
SEEN, HIDDEN = 0.5, 2.0
"""Weights of colours that a layer shows and of those that others hide."""
GATE_PSNR = 30.0


@dataclass(frozen=True)
class LayersStageConfig:
    """Values of the stage; `batch` portraits a step."""

    optimiser: OptimConfig = field(default_factory=lambda: OptimConfig(steps=1200, rate=3e-3))
    model: LayersConfig = field(default_factory=LayersConfig)
    batch: int = 8
    seed: int = 0
    held_out: int = 64


@dataclass(frozen=True)
class LayersStage(Stage):
    """Trains `PortraitLayersNet`."""

    config: LayersStageConfig
    source: PortraitSource
    name = "layers"

    def init(self, key: jax.Array) -> Params:
        return PortraitLayersNet(self.config.model).init(key, jnp.zeros((1, SIZE, SIZE, 3)))["params"]

    def batches(self, start: int) -> Iterator[Batch]:
        step = start
        while True:
            yield compact(self.source(np.random.default_rng((self.config.seed, step)), self.config.batch, False))
            step += 1

    def loss(self, params: Params, batch: Batch, key: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Cross-entropy of every layer's alpha, and error of its colour wherever it has any, most where it is hidden.

        Errors of the assembled layers would not do: a background that is a copy of the portrait, with nothing before
        it, is too good a start to leave.
        """
        del key
        true = {name: jnp.asarray(x, jnp.float32) / 255 for name, x in batch.items()}
        made: Any = PortraitLayersNet(self.config.model).apply({"params": params}, 2 * true["portrait"] - 1)
        logits = {name: made.logits[..., i : i + 1] for i, name in enumerate(FRONT_TO_BACK)}
        colours = {name: made.paint[..., 3 * i : 3 * i + 3] for i, name in enumerate(FRONT_TO_BACK)}
        seen = visible(jnp.concatenate([true[name][..., 3:] for name in FRONT_TO_BACK], axis=-1))
        # Where a layer is seen, the portrait's own pixels are taken: what it hides counts more.
        counts = {name: SEEN + (HIDDEN - SEEN) * (1 - seen[..., i : i + 1]) for i, name in enumerate(FRONT_TO_BACK)}
        logits["hand"], colours["hand"], counts["hand"] = made.hand[..., 3:], made.hand[..., :3], jnp.ones(())
        loss = jnp.zeros(())
        for name, logit in logits.items():
            alpha = true[name][..., 3:]
            wrong = counts[name] * jnp.abs(alpha * colours[name] - true[name][..., :3])
            loss += WEIGHTS[name] * (
                optax.sigmoid_binary_cross_entropy(logit, alpha).mean() + wrong.mean() + slopes(wrong)
            )
        return loss, {}

    def evaluate(self, params: Params) -> dict[str, float]:
        """PSNR of each layer of held-out characters, hidden parts included; `psnr` is that of the mean error of all
        but the hand, of which a portrait tells the colours alone, and the background."""
        rng, squares = np.random.default_rng((self.config.seed, 10_000_019)), []
        run = jax.jit(lambda p, b: jax.tree.map(lambda e: jnp.mean(e**2), layer_errors(self.config.model, p, b)))
        for _ in range(self.config.held_out // self.config.batch):
            squares.append(run(params, compact(self.source(rng, self.config.batch, True))))
        mean = {name: float(np.mean([s[name] for s in squares])) for name in squares[0]}
        scores = {name: float(-10 * np.log10(value)) for name, value in mean.items()}
        layers = [mean[name] for name in FRONT_TO_BACK]
        return {**scores, "psnr": float(-10 * np.log10(np.mean(layers)))}

    def gate(self, scores: dict[str, float]) -> bool:
        return scores["psnr"] >= GATE_PSNR


def compact(batch: Batch) -> Batch:
    """uint8, so that little waits in the queue."""
    return {name: np.round(x * 255).astype(np.uint8) for name, x in batch.items()}


def layer_errors(config: LayersConfig, params: Params, batch: Batch) -> dict[str, jax.Array]:
    """Made minus true, by layer; `stacked` is the portrait put together again."""
    true = {name: jnp.asarray(x, jnp.float32) / 255 for name, x in batch.items()}
    portrait = 2 * true["portrait"] - 1
    made = assemble(PortraitLayersNet(config).apply({"params": params}, portrait), portrait)  # pyright: ignore[reportArgumentType]
    errors = {name: layer - true[name][..., : layer.shape[-1]] for name, layer in made._asdict().items()}
    return errors | {"stacked": stacked(made) - true["portrait"]}


def slopes(error: jax.Array) -> jax.Array:
    """Mean absolute difference of neighbouring pixels' errors: edges in the right place."""
    return 0.5 * (jnp.abs(jnp.diff(error, axis=1)).mean() + jnp.abs(jnp.diff(error, axis=2)).mean())
