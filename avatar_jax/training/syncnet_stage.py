"""Training of SyncNet: a window's picture must be nearer to its own sound than to that of other instants of the clip.

Instants of one clip share speaker, microphone, face and light, so that nothing but the mouth's movement tells them
apart (the contrast of van den Oord et al. 2018, arXiv 1807.03748, in both directions).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from avatar_jax.models.syncnet import FRAMES, SMALL, STEPS, SyncNet, SyncNetConfig
from avatar_jax.training.optim import OptimConfig
from avatar_jax.training.stage import Batch, Params, Stage

Windows = Callable[[np.random.Generator, int, int], Batch]
"""source(rng, clips, windows) -> seen uint8 [B, N, 5, H, W, C], heard [B, N, 20, 13], at int32 [B, N]: the frame with
which each of N windows of B clips begins."""
Score = Callable[[Params], dict[str, float]]
"""Scores of trained parameters on held-out clips; `exact` is what the gate asks for."""


@dataclass(frozen=True)
class SyncNetStageConfig:
    """`clips` with `windows` each a step."""

    model: SyncNetConfig = SMALL
    optimiser: OptimConfig = field(default_factory=lambda: OptimConfig(steps=1000, rate=3e-3, ema=0.995))
    clips: int = 6
    windows: int = 24
    temperature: float = 0.1
    seed: int = 0
    exact: float = 0.95
    """Least share of held-out clips whose offset is found within one frame."""


@dataclass(frozen=True)
class SyncNetStage(Stage):
    """Trains both towers at once; about 0.2 CPU-seconds a step."""

    config: SyncNetStageConfig
    source: Windows
    score: Score
    name = "syncnet"

    def init(self, key: jax.Array) -> Params:
        c = self.config.model
        seen = jnp.zeros((1, FRAMES, c.side, c.side, c.colours))
        return SyncNet(c).init(key, seen, jnp.zeros((1, STEPS, 13)))["params"]

    def loss(self, params: Params, batch: Batch, key: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        del key
        clips, count = batch["at"].shape
        seen, heard = (x.reshape(-1, *x.shape[2:]).astype(jnp.float32) for x in (batch["seen"], batch["heard"]))
        both: Any = SyncNet(self.config.model).apply({"params": params}, seen, heard)
        video_BNE, sound_BNE = (x.reshape(clips, count, -1) for x in both)
        logits_BNN = jnp.einsum("bne,bme->bnm", video_BNE, sound_BNE) / self.config.temperature
        # The next frame's sound is as good as right: neither a match nor a contrast.
        apart = jnp.abs(batch["at"][:, :, None] - batch["at"][:, None])
        logits_BNN = jnp.where(apart == 1, -1e9, logits_BNN)
        found = jnp.mean(jnp.argmax(logits_BNN, axis=-1) == jnp.arange(count))
        return (diagonal(logits_BNN) + diagonal(jnp.swapaxes(logits_BNN, 1, 2))) / 2, {"found": found}

    def batches(self, start: int) -> Iterator[Batch]:
        step = start
        while True:
            rng = np.random.default_rng((self.config.seed, step))
            yield self.source(rng, self.config.clips, self.config.windows)
            step += 1

    def evaluate(self, params: Params) -> dict[str, float]:
        return self.score(params)

    def gate(self, scores: dict[str, float]) -> bool:
        return scores["exact"] >= self.config.exact


def diagonal(logits_BNN: Any) -> jax.Array:
    """Mean negative log likelihood of entry n of row n."""
    return -jnp.mean(jnp.diagonal(jax.nn.log_softmax(logits_BNN, axis=-1), axis1=1, axis2=2))
