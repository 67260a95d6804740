"""Training of the avatar codec's encoder and decoder on face layers drawn when asked for.

The loss compares the face on the skin behind it, heavier on eyes, mouth and whatever differs from the portrait, plus
the layer by itself, whose transparency must be right too, since the head moves behind it. Latents get noise so that the
decoder forgives a generator's small errors.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from avatar_jax.models.avatar_codec import (
    CELLS,
    CHANNELS,
    WINDOW,
    AvatarCodec,
    CodecConfig,
    bend,
    window_points,
)
from avatar_jax.training.codec_lids import ShutSource, explained, measure_lids
from avatar_jax.training.optim import OptimConfig
from avatar_jax.training.stage import Batch, Params, Stage

NOISE = 0.15
GATE_PSNR = 27.0
GATE_LIDS = 0.7
"""Least share of what closed eyes change that is foretold of held-out characters."""

FaceSource = Callable[[np.random.Generator, int, int, bool], Batch]
"""source(rng, identities, each, held_out), as `data_pipeline.synthetic.faces.face_batch`."""


@dataclass(frozen=True)
class CodecStageConfig:
    """Codec training: `batch` frames of batch / 2 identities per step."""

    optimiser: OptimConfig = field(default_factory=lambda: OptimConfig(steps=2700, rate=3e-3))
    model: CodecConfig = field(default_factory=CodecConfig)
    batch: int = 12
    seed: int = 0
    held_out: int = 64
    """Characters of the evaluation, four frames each."""
    lids: int = 600
    """Characters from whom it is measured how a blink looks."""


@dataclass(frozen=True)
class CodecStage(Stage):
    """Trains encoder and decoder of `AvatarCodec`; the portrait's layers are given (`layers_stage` trains those)."""

    config: CodecStageConfig
    source: FaceSource
    shut: ShutSource
    name = "codec"

    @property
    def codec(self) -> AvatarCodec:
        return AvatarCodec(self.config.model)

    def init(self, key: jax.Array) -> Params:
        return init_codec(self.codec, key)

    def loss(self, params: Params, batch: Batch, key: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        return codec_loss(self.codec, params, batch, key)

    def batches(self, start: int) -> Iterator[Batch]:
        step = start
        while True:
            rng = np.random.default_rng((self.config.seed, step))
            yield trimmed(self.source(rng, self.config.batch // 2, 2, False))
            step += 1

    def finish(self, params: Params) -> Params:
        rng = np.random.default_rng((self.config.seed, 10_000_000))
        scaled = measure_scale(self.codec, params, [trimmed(self.source(rng, 4, 4, False)) for _ in range(16)])
        return measure_lids(self.codec, scaled, self.shut(rng, self.config.lids, False))

    def evaluate(self, params: Params) -> dict[str, float]:
        """PSNR of held-out face windows, and of the mouth's and the eyes' surroundings alone; lids: share of what
        closed eyes change that is foretold from the portrait."""
        rng = np.random.default_rng((self.config.seed, 10_000_019))
        batches = [trimmed(self.source(rng, 4, 4, True)) for _ in range(self.config.held_out // 4)]
        run = jax.jit(lambda p, b: squared_errors(self.codec, p, b))
        found = [run(params, b) for b in batches]
        scores = {name: -10 * float(np.log10(np.mean([f[name] for f in found]))) for name in found[0]}
        return scores | {"lids": explained(self.codec, params, self.shut(rng, self.config.held_out, True))}

    def gate(self, scores: dict[str, float]) -> bool:
        return scores["psnr"] >= GATE_PSNR and scores["lids"] >= GATE_LIDS


def init_codec(codec: AvatarCodec, key: jax.Array) -> Params:
    """Fresh parameters of all but the portrait's decomposition."""
    picture, noise = jnp.zeros((1, WINDOW, WINDOW, 3)), jnp.zeros((1, CELLS, CELLS, CHANNELS))
    return codec.init(key, picture, picture, jnp.zeros((1, WINDOW, WINDOW, 4)), noise)["params"]


def trimmed(batch: Batch) -> Batch:
    """What the loss reads, as uint8."""
    pictures = ("frame", "portrait", "face", "portrait_face", "under")
    return {k: np.round(batch[k] * 255).astype(np.uint8) for k in pictures} | {"landmarks": batch["landmarks"]}


def bumps(landmarks: jax.Array) -> tuple[jax.Array, jax.Array]:
    """([B, W, W, 1], the same): Gaussian bumps at the mouth and at the eyes of the face window."""
    at = window_points()[None]

    def bump(centre: jax.Array, width: float, height: float) -> jax.Array:
        away = (at - centre[:, None, None]) / jnp.array([width, height])
        return jnp.exp(-0.5 * jnp.sum(away**2, axis=-1, keepdims=True))

    eyes = bump(landmarks[:, 3:5], 0.045, 0.04) + bump(landmarks[:, 5:7], 0.045, 0.04)
    return bump(landmarks[:, 0:2], 0.07, 0.05), jnp.minimum(eyes, 1)


def unit(batch: Batch) -> dict[str, jax.Array]:
    """The batch as floats: layers and what lies behind in [0, 1], `frame` and `portrait` in [-1, 1]."""
    found = {k: jnp.asarray(v, jnp.float32) / 255 if v.dtype == jnp.uint8 else v for k, v in batch.items()}
    return found | {k: 2 * found[k] - 1 for k in ("frame", "portrait")}


def codec_loss(codec: AvatarCodec, params: Any, batch: Batch, key: jax.Array) -> tuple[jax.Array, dict]:
    """Weighted reconstruction loss of a batch, and the PSNR of its faces."""
    b = unit(batch)
    amount_key, noise_key = jax.random.split(key)
    count = len(b["frame"])
    noise = jax.random.normal(noise_key, (count, CELLS, CELLS, CHANNELS))
    noise *= jax.random.uniform(amount_key, (count, 1, 1, 1), maxval=NOISE)
    made: Any = codec.apply({"params": params}, b["frame"], b["portrait"], b["portrait_face"], noise)
    paint, mask, shift = made
    bent = bend(b["portrait_face"], shift)

    def seen(layer: jax.Array) -> jax.Array:
        """Error of a layer on the skin behind it."""
        wrong = layer - b["face"]
        return wrong[..., :3] - wrong[..., 3:] * b["under"]

    face = mask * bent + (1 - mask) * paint
    mouth, eyes = bumps(b["landmarks"])
    changed = jnp.abs(b["face"] - b["portrait_face"]).mean(-1, keepdims=True)
    weight = 0.5 + 4 * mouth + 4 * eyes + 6 * jnp.minimum(changed, 0.5)
    weight = weight / weight.mean()
    error = seen(face)
    bends = [weight[:, 1:] * jnp.abs(jnp.diff(error, axis=1)), weight[:, :, 1:] * jnp.abs(jnp.diff(error, axis=2))]
    # Where the warp fails, the paint learns although the mask does not show it yet.
    missing = jax.lax.stop_gradient(jnp.minimum(4 * jnp.abs(seen(bent)).mean(-1, keepdims=True), 1))
    loss = (
        jnp.mean(weight * (jnp.abs(error) + 4 * error**2))
        + 0.5 * (bends[0].mean() + bends[1].mean())
        + 0.3 * jnp.mean(weight * jnp.abs(face - b["face"]))
        + 0.1 * jnp.mean(weight * mask * jnp.abs(seen(bent)))
        + 0.3 * jnp.mean(weight * missing * jnp.abs(seen(paint)))
    )
    return loss, {"psnr": -10 * jnp.log10(jnp.mean(error**2)), "mask": jnp.mean(mask)}


def squared_errors(codec: AvatarCodec, params: Any, batch: Batch) -> dict[str, jax.Array]:
    """Mean squared error of faces through noiseless latents: whole window, about the mouth, about the eyes."""
    b = unit(batch)
    noise = jnp.zeros((len(b["frame"]), CELLS, CELLS, CHANNELS))
    made: Any = codec.apply({"params": params}, b["frame"], b["portrait"], b["portrait_face"], noise)
    paint, mask, shift = made
    wrong = mask * bend(b["portrait_face"], shift) + (1 - mask) * paint - b["face"]
    error = (wrong[..., :3] - wrong[..., 3:] * b["under"]) ** 2
    near = {"mouth": bumps(b["landmarks"])[0], "eyes": bumps(b["landmarks"])[1]}
    return {"psnr": error.mean()} | {k: jnp.sum(w * error) / (3 * jnp.sum(w)) for k, w in near.items()}


def measure_scale(codec: AvatarCodec, params: Any, batches: list[Batch]) -> Any:
    """`params` with `deviation_scale` set to the standard deviation of each channel over the batches."""
    encode = jax.jit(lambda b: codec.apply({"params": params}, unit(b), method=deviation))
    values = np.concatenate([np.asarray(encode(b)).reshape(-1, CHANNELS) for b in batches])
    return params | {"deviation_scale": jnp.asarray(np.sqrt(np.mean(values**2, axis=0)))}


def deviation(codec: AvatarCodec, batch: dict[str, jax.Array]) -> jax.Array:
    """Unscaled z - z_portrait [B, 8, 8, 32]."""
    return codec.encoder(batch["frame"], batch["portrait"]) - codec.encoder(batch["portrait"], batch["portrait"])
