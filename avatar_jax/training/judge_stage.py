"""Training of the judge on frames that are drawn for it, beside the portraits of their characters.

The second look is taken where the face truly is, missed by a little: so it learns to correct the first look's place.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from avatar_jax.models.judge import COLUMNS, FACE_PIXELS, REST, SCALE, WHOLE_PIXELS, Judge, JudgeConfig, Seen
from avatar_jax.training.optim import OptimConfig
from avatar_jax.training.reader_stage import contrast
from avatar_jax.training.stage import Batch, Params, Stage

JudgedSource = Callable[[np.random.Generator, int, int, bool], Batch]
"""source(rng, identities, each, held_out): see `data_pipeline.synthetic.judged.judged_batch`."""
ReadFrames = Callable[[Params, JudgeConfig, np.ndarray, np.ndarray], Any]
"""read(params, config, frames, portrait): see `metrics.judging.judge_frames`."""

IMPORTANCE = {"open": 3.0, "spread": 1.5, "log_zoom": 1.5, "roll": 1.5, "hand_x": 0.7}
"""Weights of readings in the loss; 1 for the others."""
IN_THE_MOUTH = ("open", "spread", "teeth", "tongue", "smile")
PICTURES = ("small", "portrait_small", "face", "portrait_face")
GATE_OPEN, GATE_SAME = 0.97, 0.98


@dataclass(frozen=True)
class JudgeStageConfig:
    """`identities` characters with `each` frames a step."""

    optimiser: OptimConfig = field(default_factory=lambda: OptimConfig(steps=1600, rate=3e-3))
    model: JudgeConfig = field(default_factory=JudgeConfig)
    identities: int = 16
    each: int = 3
    seed: int = 2
    held_out: int = 96


@dataclass(frozen=True)
class JudgeStage(Stage):
    """Trains `Judge`; about half a CPU-second per step of 48 frames, drawing included."""

    config: JudgeStageConfig
    source: JudgedSource
    read: ReadFrames
    name = "judge"

    def init(self, key: jax.Array) -> Params:
        small, face = jnp.zeros((1, WHOLE_PIXELS, WHOLE_PIXELS, 3)), jnp.zeros((1, FACE_PIXELS, FACE_PIXELS, 3))
        return Judge(self.config.model).init(key, small, small, face, face)["params"]

    def batches(self, start: int) -> Iterator[Batch]:
        step = start
        while True:
            rng = np.random.default_rng((self.config.seed, step))
            batch = self.source(rng, self.config.identities, self.config.each, False)
            yield {name: x for name, x in batch.items() if name not in ("frame", "portrait")}
            step += 1

    def loss(self, params: Params, batch: Batch, key: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        del key
        characters, each = batch["face"].shape[:2]

        def flat(x: jax.Array) -> jax.Array:
            return x.reshape(-1, *x.shape[2:])

        def per_frame(x: jax.Array) -> jax.Array:
            return jnp.repeat(x, each, axis=0)

        pictures = {name: batch[name].astype(jnp.float32) / 127.5 - 1 for name in PICTURES}
        judge = Judge(self.config.model).bind({"params": params})
        whole = judge.whole(flat(pictures["small"]), per_frame(pictures["portrait_small"]))
        # Nothing is learnt from the portrait's own features: that would double the cost of a step.
        beside = Seen(*(jax.lax.stop_gradient(x) for x in judge.look(pictures["portrait_face"])))
        near = judge.near(judge.look(flat(pictures["face"])), Seen(*(per_frame(x) for x in beside)))

        truth = flat(batch["values"])
        scale = jnp.array([SCALE[name][1] for name in COLUMNS])
        error = (jnp.concatenate([whole, near.values], axis=-1) - truth) / scale
        weight = knowable(truth)
        values = jnp.mean(weight * (jnp.abs(error) + error**2))
        missed = (near.rest - flat(batch["rest"])) / jnp.array(REST)
        rest = jnp.mean(jnp.abs(missed) + missed**2)
        seen = weight[:, COLUMNS.index("spread")]
        emotion = jnp.mean(cross_entropy(near.emotion, batch["emotion"].reshape(-1)))
        viseme = jnp.mean(seen * cross_entropy(near.viseme, batch["viseme"].reshape(-1)))
        who = jnp.arange(characters)
        identity = jnp.concatenate([near.identity, judge.identity(beside)])
        same = contrast(identity, jnp.concatenate([jnp.repeat(who, each), who]))
        terms = {"values": values, "rest": rest, "emotion": emotion, "viseme": viseme, "identity": same}
        return values + 0.5 * rest + 0.2 * emotion + 0.2 * viseme + 0.2 * same, terms

    def evaluate(self, params: Params) -> dict[str, float]:
        """Through both looks, as videos are read: correlation of every reading where it can be known, accuracy of
        emotion and viseme, and `same_person`: the share of frames that know their portrait among all portraits."""
        rng = np.random.default_rng((self.config.seed, 10_000_019))
        batch = self.source(rng, self.config.held_out, self.config.each, True)
        read = [
            self.read(params, self.config.model, f, p) for f, p in zip(batch["frame"], batch["portrait"], strict=True)
        ]
        values, truth = np.concatenate([r.values for r in read]), batch["values"].reshape(-1, len(COLUMNS))
        known = np.asarray(knowable(truth)) > 0.5
        scores = {
            name: float(np.corrcoef(values[known[:, i], i], truth[known[:, i], i])[0, 1])
            for i, name in enumerate(COLUMNS)
        }
        guess = np.concatenate([r.emotion for r in read]).argmax(-1)
        said = np.concatenate([r.viseme for r in read]).argmax(-1)
        scores["emotion"] = float(np.mean(guess == batch["emotion"].reshape(-1)))
        scores["viseme"] = float(np.mean(said == batch["viseme"].reshape(-1)))
        portraits = [self.read(params, self.config.model, p[None], p).identity for p in batch["portrait"]]
        found = (np.concatenate([r.identity for r in read]) @ np.concatenate(portraits).T).argmax(-1)
        scores["same_person"] = float(np.mean(found == np.repeat(np.arange(self.config.held_out), self.config.each)))
        return scores

    def gate(self, scores: dict[str, float]) -> bool:
        return scores["open"] >= GATE_OPEN and scores["same_person"] >= GATE_SAME


def cross_entropy(logits: jax.Array, classes: jax.Array) -> jax.Array:
    """[B] negative log likelihood."""
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), classes[:, None], axis=-1)[:, 0]


def knowable(values: jax.Array | np.ndarray) -> jax.Array:
    """[B, R] weights of labels: 0 where a reading cannot be seen (a hidden mouth, a shut eye's gaze, a closed mouth's
    teeth, where an unseen hand would be)."""
    column = {name: jnp.asarray(values)[:, i] for i, name in enumerate(COLUMNS)}
    bare = 1 - column["occlude"]
    weight = {name: jnp.full_like(bare, IMPORTANCE.get(name, 1.0)) for name in COLUMNS}
    for name in IN_THE_MOUTH:
        weight[name] = weight[name] * bare
    for name in ("teeth", "tongue"):
        weight[name] = weight[name] * (column["open"] > 0.1)
    for name in ("gaze_x", "gaze_y", "squint"):
        weight[name] = weight[name] * (column["blink"] < 0.4)
    weight["hand_x"] = weight["hand_x"] * (column["hand"] > 0.15)
    return jnp.stack([weight[name] for name in COLUMNS], axis=-1)
