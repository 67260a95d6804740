"""Training of the sampler's reader on rendered stills, whose states are exact labels.

It sees damaged pictures (blur, noise, things in front of the face) and learns to say so. The evaluation's reader is
another network with other data: `judge_stage`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import cv2
import jax
import jax.numpy as jnp
import numpy as np

from avatar_jax.models import pose as poses
from avatar_jax.models.reader import EMOTIONS, PLACE, READINGS, SPREAD, Reader, ReaderConfig
from avatar_jax.training.optim import OptimConfig
from avatar_jax.training.stage import Batch, Params, Stage
from avatar_jax.training.stills import Stills, mirror, tint, to_unit

FROM_STATE = READINGS[: READINGS.index("face_x")]
MIRRORED = ("yaw", "roll", "face_x")
"""Readings that change when a picture is mirrored: the first two in sign, face_x to 1 - face_x."""
FELT = 0.35
"""Intensity from which a face is labelled with its emotion; weaker ones are neutral."""
MISPLACED = (0.012, 0.012, 0.02, 0.05)
"""How far, in the order of PLACE, the second look misses the face in training."""
CONTRAST = 0.1
"""Temperature of the supervised contrastive loss (Khosla et al. 2020, arXiv 2004.11362)."""


@dataclass(frozen=True)
class ReaderStageConfig:
    """`identities` characters with `each` frames a step."""

    optimiser: OptimConfig = field(default_factory=lambda: OptimConfig(steps=2200, rate=3e-3))
    model: ReaderConfig = field(default_factory=ReaderConfig)
    identities: int = 16
    each: int = 3
    seed: int = 1


def labels(drawn: Batch, columns: tuple[str, ...]) -> np.ndarray:
    """[B, R] readings of undamaged stills; the face box moves with the head layer."""
    marks, state = drawn["landmarks"], drawn["state"]
    by_name = {name: state[:, columns.index(name)] for name in FROM_STATE}
    box = marks[:, 7:11]
    centre = np.stack([(box[:, 0] + box[:, 2]) / 2, (box[:, 1] + box[:, 3]) / 2], axis=-1)
    head = poses.portrait_to_screen(drawn["pose"])[:, 2]
    by_name["face_x"], by_name["face_y"] = poses.apply(head, centre).T
    by_name["face_size"] = (box[:, 2] - box[:, 0]) * np.exp(drawn["pose"][:, 0])
    by_name["clarity"] = np.ones(len(state))
    return np.stack([by_name[name] for name in READINGS], axis=-1).astype(np.float32)


def emotion_labels(drawn: Batch, columns: tuple[str, ...]) -> np.ndarray:
    """[B] index into EMOTIONS."""
    emotion = drawn["state"][:, columns.index("emotion")].astype(np.int32)
    strength = drawn["state"][:, columns.index("intensity")]
    return np.where(strength >= FELT, emotion, EMOTIONS.index("neutral")).astype(np.int32)


def blurred(rng: np.random.Generator, frame: np.ndarray) -> tuple[np.ndarray, float]:
    """A blurred copy, out of focus or smeared by motion, and its clarity exp(-width / 2.5 pixels)."""
    width = float(rng.uniform(0.5, 5.0))
    if rng.random() < 0.5:
        return cv2.GaussianBlur(frame, (0, 0), width), float(np.exp(-width / 2.5))
    length, angle = max(3, round(3 * width)), rng.uniform(0, np.pi)
    kernel = np.zeros((length, length), np.float32)
    middle, reach = (length - 1) / 2, (length - 1) / 2 * np.array([np.cos(angle), np.sin(angle)])
    ends = [tuple(int(v) for v in np.round(middle + sign * reach)) for sign in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], 1.0)
    return cv2.filter2D(frame, -1, kernel / kernel.sum()), float(np.exp(-width / 2.5))


def planted(rng: np.random.Generator, frame: np.ndarray, mouth: np.ndarray) -> tuple[np.ndarray, float]:
    """A copy with a plain or striped shape in front of it, and the hidden part of the `mouth` (x, y, half width)."""
    size = frame.shape[0]
    cover = np.zeros(frame.shape[:2], np.uint8)
    centre = (mouth[:2] + rng.normal(0, 0.12, 2)) * size
    axes = tuple(int(v) for v in rng.uniform(0.06, 0.22, 2) * size)
    place = tuple(int(v) for v in centre)
    if rng.random() < 0.5:
        cv2.ellipse(cover, place, axes, float(rng.uniform(0, 180)), 0, 360, 1, -1)
    else:
        corners = cv2.boxPoints((tuple(float(v) for v in centre), tuple(2.0 * v for v in axes), rng.uniform(0, 180)))
        cv2.fillPoly(cover, [corners.astype(np.int32)], 1)
    colour = rng.uniform(-1, 1, (1, 1, 3)) * np.ones((size, size, 1))
    if rng.random() < 0.4:
        stripes = np.sin(np.arange(size) * rng.uniform(0.2, 1.0))[:, None, None]
        colour = colour * 0.7 + 0.3 * stripes
    at = np.linspace(-1, 1, 9)
    x = np.clip((mouth[0] + mouth[2] * at) * size, 0, size - 1).astype(int)
    y = np.clip((mouth[1] + 0.6 * mouth[2] * at) * size, 0, size - 1).astype(int)
    hidden = float(cover[np.ix_(y, x)].mean())
    return np.where(cover[..., None] > 0, colour, frame).astype(np.float32), hidden


def damage(rng: np.random.Generator, batch: Batch, mouths: np.ndarray) -> None:
    """Blur 30 %, cover 25 % and add noise to 30 % of the frames, in place, and correct their labels."""
    clarity, occlude = READINGS.index("clarity"), READINGS.index("occlude")
    for i, frame in enumerate(batch["frame"]):
        kind = rng.random()
        if kind < 0.25:
            frame, hidden = planted(rng, frame, mouths[i])
            batch["values"][i, occlude] = max(batch["values"][i, occlude], hidden)
        if 0.2 < kind < 0.5:
            frame, batch["values"][i, clarity] = blurred(rng, frame)
        if rng.random() < 0.3:
            frame = frame + rng.normal(0, rng.uniform(0.01, 0.12), frame.shape).astype(np.float32)
        batch["frame"][i] = np.clip(frame, -1, 1)


def training_batch(stills: Stills, config: ReaderStageConfig, step: int) -> Batch:
    """Batch number `step`, the same for ever: frames, values, emotion, identity."""
    rng = np.random.default_rng((config.seed, step))
    drawn = stills.draw(rng, config.identities, config.each)
    group = np.repeat(np.arange(config.identities), config.each)
    portrait, frame = tint(rng, [to_unit(drawn["portrait"]), to_unit(drawn["frame"])], group)
    batch = drawn | {"portrait": portrait, "frame": frame, "values": labels(drawn, stills.columns)}
    batch = mirror(batch, which := (rng.random(config.identities) < 0.5)[group])
    for name in MIRRORED:
        column = batch["values"][:, READINGS.index(name)]
        column[which] = (1.0 if name == "face_x" else 0.0) - column[which]
    emotion = emotion_labels(drawn, stills.columns)
    out = {"frame": batch["frame"].copy(), "values": batch["values"], "emotion": emotion, "identity": group}
    face = poses.portrait_to_screen(batch["pose"])[:, 3]
    mouth = poses.apply(face, batch["landmarks"][:, :2])
    width = batch["landmarks"][:, 2:3] * np.exp(batch["pose"][:, :1])
    damage(rng, out, np.concatenate([mouth, width], axis=-1))
    return out


def contrast(identity: jax.Array, group: jax.Array) -> jax.Array:
    """Supervised contrastive loss: frames of one identity together, all others apart."""
    similarity = identity @ identity.T / CONTRAST - 1e9 * jnp.eye(len(group))
    same = (group[:, None] == group[None]) & ~jnp.eye(len(group), dtype=bool)
    likelihood = jax.nn.log_softmax(similarity, axis=-1)
    return -jnp.mean(jnp.sum(jnp.where(same, likelihood, 0.0), axis=-1) / jnp.sum(same, axis=-1))


@dataclass(frozen=True)
class ReaderStage(Stage):
    """Trains one `Reader`; about 0.2 CPU-seconds per step of 48 frames."""

    config: ReaderStageConfig
    stills: Stills
    name = "gate"

    @property
    def reader(self) -> Reader:
        return Reader(self.config.model)

    def init(self, key: jax.Array) -> Params:
        return self.reader.init(key, jnp.zeros((1, 128, 128, 3)))["params"]

    def loss(self, params: Params, batch: Batch, key: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        place = jnp.stack([batch["values"][:, READINGS.index(name)] for name in PLACE], axis=-1)
        place = place + jax.random.normal(key, place.shape) * jnp.array(MISPLACED)
        read: Any = self.reader.apply({"params": params}, batch["frame"], place)
        error = (read.values - batch["values"]) / jnp.array(SPREAD)
        known = jnp.ones_like(error)
        for name in ("open", "spread", "smile"):
            # A hidden mouth cannot be read: its labels count less.
            seen = 1 - batch["values"][:, READINGS.index("occlude")]
            known = known.at[:, READINGS.index(name)].set(seen)
        values = jnp.mean(known * (jnp.abs(error) + error**2))
        emotion = -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(read.emotion), batch["emotion"][:, None], axis=-1))
        same = contrast(read.identity, batch["identity"])
        return values + 0.2 * emotion + 0.2 * same, {"values": values, "emotion": emotion, "identity": same}

    def batches(self, start: int) -> Iterator[Batch]:
        step = start
        while True:
            yield training_batch(self.stills, self.config, step)
            step += 1

    def evaluate(self, params: Params) -> dict[str, float]:
        return scores(self.reader, params, self.stills)

    def gate(self, scores: dict[str, float]) -> bool:
        return scores["open"] >= 0.9 and scores["same_person"] >= 0.95


def scores(reader: Reader, params: Params, stills: Stills) -> dict[str, float]:
    """On undamaged held-out stills: the correlation of each reading with its label, the accuracy of the emotion, and
    `same_person`: the chance that two frames of one identity are closer than frames of two."""
    read = jax.jit(partial(reader.apply, {"params": params}))
    drawn = stills.held_out_batches(32, 4)
    readings = [jax.device_get(read(to_unit(b["frame"]))) for b in drawn]
    values = np.concatenate([r.values for r in readings])
    truth = np.concatenate([labels(b, stills.columns) for b in drawn])
    out = {
        name: float(np.corrcoef(values[:, i], truth[:, i])[0, 1])
        for i, name in enumerate(READINGS)
        if truth[:, i].std() > 1e-6
    }
    guess = np.concatenate([r.emotion for r in readings]).argmax(-1)
    out["emotion"] = float(np.mean(guess == np.concatenate([emotion_labels(b, stills.columns) for b in drawn])))
    vectors, who = np.concatenate([r.identity for r in readings]), np.concatenate([b["identity"] for b in drawn])
    similarity, same = vectors @ vectors.T, who[:, None] == who[None]
    pairs = np.triu(np.ones_like(same), 1)
    mine, other = similarity[same & pairs], similarity[~same & pairs]
    return out | {"same_person": float(np.mean(np.searchsorted(np.sort(other), mine) / len(other)))}
