"""A stage that learns in milliseconds: two layers fit a fixed random map, with noise in the step."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from avatar_jax.nn.linear import Linear
from avatar_jax.training.optim import OptimConfig
from avatar_jax.training.stage import EXAMPLES, Stage


class Net(nn.Module):
    width: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        h = nn.relu(Linear(self.width, ("embed", "mlp"), name="up")(x))
        return Linear(4, ("mlp", "small"), name="down")(h)


@dataclass(frozen=True)
class ToyConfig:
    optimiser: OptimConfig = field(default_factory=lambda: OptimConfig(steps=8, rate=0.02))
    width: int = 16
    batch: int = 8
    seed: int = 3


@dataclass(frozen=True)
class ToyStage(Stage):
    config: ToyConfig = field(default_factory=ToyConfig)
    name = "toy"

    def init(self, key: jax.Array) -> dict:
        return Net(self.config.width).init(key, jnp.zeros((1, 8)))["params"]

    def loss(self, params: dict, batch: dict, key: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        noisy = batch["x"] + 0.1 * jax.random.normal(key, batch["x"].shape)
        error = Net(self.config.width).apply({"params": params}, noisy) - batch["y"]
        return jnp.mean(error**2), {"bias": jnp.mean(error)}

    def batches(self, start: int) -> Iterator[dict[str, np.ndarray]]:
        target = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
        step = start
        while True:
            x = np.random.default_rng((self.config.seed, step)).normal(size=(self.config.batch, 8)).astype(np.float32)
            yield {"x": x, "y": x @ target, EXAMPLES: np.arange(self.config.batch) + step * self.config.batch}
            step += 1

    def evaluate(self, params: dict) -> dict[str, float]:
        return {"error": float(self.loss(params, next(self.batches(10_000)), jax.random.key(0))[0])}
