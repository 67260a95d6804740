"""Training of the avatar codec on rendered stills with known poses.

The loss lives in canonical space, where the face stands still: L1 + L2 and gradients, heavier on eyes, mouth and
whatever differs from the portrait (eyelids, teeth, hands), plus a little on the warp and on the paint alone, so that
each stays useful where the mask hides it.
The fine stage is trained on random windows of 10 x 10 of the canvas's 16 x 16 cells. Latents get noise so that the
decoder forgives a generator's small errors.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from avatar_jax.models.avatar_codec import (
    CANVAS,
    CELLS,
    CHANNELS,
    HIGH,
    LOW,
    PICTURE,
    AvatarCodec,
    CodecConfig,
    Window,
    compose,
    on_canvas,
    to_canonical,
    whole,
)
from avatar_jax.models.warp import grid, sample_batch
from avatar_jax.training.optim import OptimConfig
from avatar_jax.training.stage import Params, Stage
from avatar_jax.training.stills import Stills, mirror, tint, to_unit

WINDOW_CELLS, PIXELS_PER_CELL = 10, CANVAS // 16
UNCOUNTED = 8
"""Pixels at a window's inner borders, where the fine stage misses its neighbours."""
NOISE = 0.15
GATE_PSNR = 29.0

Batch = dict[str, np.ndarray]


@dataclass(frozen=True)
class CodecStageConfig:
    """Codec training: `batch` frames of batch / 2 identities per step."""

    optimiser: OptimConfig = field(default_factory=lambda: OptimConfig(steps=3600, rate=3e-3))
    model: CodecConfig = field(default_factory=CodecConfig)
    batch: int = 12
    seed: int = 0


@dataclass(frozen=True)
class CodecStage(Stage):
    """Trains `AvatarCodec`; about 0.35 CPU-seconds per step."""

    config: CodecStageConfig
    stills: Stills
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
            yield training_batch(self.stills, self.config.seed, step, self.config.batch // 2, 2)
            step += 1

    def finish(self, params: Params) -> Params:
        return measure_scale(self.codec, params, self.stills.training_batches(16, 4))

    def evaluate(self, params: Params) -> dict[str, float]:
        return pooled_psnr(self.codec, params, self.stills.held_out_batches(16, 4))

    def gate(self, scores: dict[str, float]) -> bool:
        return scores["psnr"] >= GATE_PSNR


def init_codec(codec: AvatarCodec, key: jax.Array) -> Params:
    """Fresh parameters, shapes as in training."""
    canvas, portrait = jnp.zeros((1, CANVAS, CANVAS, 3)), jnp.zeros((1, PICTURE, PICTURE, 3))
    noise = jnp.zeros((1, CELLS, CELLS, CHANNELS))
    return codec.init(key, canvas, portrait, jnp.zeros((1, 8)), noise, whole(1))["params"]


def training_batch(stills: Stills, seed: int, step: int, identities: int, each: int) -> Batch:
    """Batch number `step`: pictures in [-1, 1], poses and landmarks; the same for ever."""
    rng = np.random.default_rng((seed, step))
    drawn = stills.draw(rng, identities, each)
    group = np.repeat(np.arange(identities), each)
    portrait, frame = tint(rng, [to_unit(drawn["portrait"]), to_unit(drawn["frame"])], group)
    batch = {"portrait": portrait, "frame": frame, "landmarks": drawn["landmarks"], "pose": drawn["pose"]}
    return mirror(batch, (rng.random(identities) < 0.5)[group])


def bumps(landmarks: jax.Array) -> jax.Array:
    """[B, Y, X, 1]: 1 + 5 at the eyes + 4 at the mouth, Gaussian bumps on the canvas."""
    at = grid(CANVAS, LOW, HIGH)[None]

    def bump(centre: jax.Array, width: float, height: float) -> jax.Array:
        away = (at - centre[:, None, None]) / jnp.array([width, height])
        return jnp.exp(-0.5 * jnp.sum(away**2, axis=-1, keepdims=True))

    eyes = bump(landmarks[:, 3:5], 0.07, 0.06) + bump(landmarks[:, 5:7], 0.07, 0.06)
    return 1 + 5 * jnp.minimum(eyes, 1) + 4 * bump(landmarks[:, 0:2], 0.13, 0.09)


def random_window(key: jax.Array, landmarks: jax.Array, changed: jax.Array) -> Window:
    """Windows around the face, where most has `changed` [B, Y, X, 1], or anywhere: about a third of each."""
    batch, room = landmarks.shape[0], 16 - WINDOW_CELLS
    which, near, far, luck = jax.random.split(key, 4)
    face = (landmarks[:, 0:2] + landmarks[:, 3:5] + landmarks[:, 5:7]) / 3
    cell = jnp.round((face[:, ::-1] - LOW) / (HIGH - LOW) * 16 - WINDOW_CELLS / 2).astype(jnp.int32)
    around = jnp.clip(cell + jax.random.randint(near, (batch, 2), -1, 2), 0, room)
    anywhere = jax.random.randint(far, (batch, 2), 0, room + 1)
    per_cell = changed.reshape(batch, 16, PIXELS_PER_CELL, 16, PIXELS_PER_CELL).mean((2, 4))
    shape = (1, WINDOW_CELLS, WINDOW_CELLS)
    total = jax.lax.reduce_window(per_cell, 0.0, jax.lax.add, shape, (1, 1, 1), "VALID").reshape(batch, -1)
    most = jnp.argmax(4 * jnp.log(total + 1e-3) + jax.random.gumbel(luck, total.shape), axis=-1)
    there = jnp.stack(jnp.divmod(most, room + 1), axis=-1).astype(jnp.int32)
    kind = jax.random.uniform(which, (batch, 1))
    return Window(jnp.where(kind < 0.3, around, jnp.where(kind < 0.65, there, anywhere)), WINDOW_CELLS)


def counted(window: Window) -> jax.Array:
    """[B, k, k, 1]: 0 near the window's borders unless the canvas ends there."""
    size = window.cells * PIXELS_PER_CELL
    line, start = jnp.arange(size), window.start_B2[..., None]
    low = (line >= UNCOUNTED) | (start == 0)
    high = (line < size - UNCOUNTED) | (start == 16 - window.cells)
    rows, columns = jnp.moveaxis((low & high).astype(jnp.float32), 1, 0)
    return (rows[:, :, None] * columns[:, None, :])[..., None]


def codec_loss(codec: AvatarCodec, params: Any, batch: dict[str, Any], key: jax.Array) -> tuple[jax.Array, dict]:
    """Weighted reconstruction loss of a batch from `training_batch`, and its PSNR on the window."""
    portrait, marks = batch["portrait"], batch["landmarks"]
    window_key, amount_key, noise_key = jax.random.split(key, 3)
    canonical, seen = to_canonical(batch["frame"], batch["pose"], portrait)
    count = portrait.shape[0]
    amount = jax.random.uniform(amount_key, (count, 1, 1, 1), maxval=NOISE)
    noise = amount * jax.random.normal(noise_key, (count, CELLS, CELLS, CHANNELS))
    changed = seen * jnp.abs(canonical - on_canvas(portrait)).mean(-1, keepdims=True)
    window = random_window(window_key, marks, changed)
    made: Any = codec.apply({"params": params}, canonical, portrait, batch["pose"], noise, window)
    rgb, mask, points = made
    warped = sample_batch(portrait, points)
    target, seen = window.cut(canonical, PIXELS_PER_CELL), window.cut(seen, PIXELS_PER_CELL)
    changed = window.cut(changed, PIXELS_PER_CELL)
    known = seen * counted(window)
    weight = known * (window.cut(bumps(marks), PIXELS_PER_CELL) + 3 * jnp.minimum(changed, 1))
    weight = weight / weight.mean()
    error = mask * warped + (1 - mask) * rgb - target
    bend = [weight[:, 1:] * jnp.abs(jnp.diff(error, axis=1)), weight[:, :, 1:] * jnp.abs(jnp.diff(error, axis=2))]
    # Where the warp fails, the paint learns although the mask does not show it yet; else hands never start.
    missing = jax.lax.stop_gradient(jnp.minimum(2 * jnp.abs(warped - target).mean(-1, keepdims=True), 1))
    loss = (
        jnp.mean(weight * (jnp.abs(error) + 2 * error**2))
        + 0.5 * (bend[0].mean() + bend[1].mean())
        + 0.1 * jnp.mean(weight * mask * jnp.abs(warped - target))
        + 0.3 * jnp.mean(weight * missing * jnp.abs(rgb - target))
    )
    mse = jnp.sum(known * error**2) / (3 * jnp.sum(known))
    return loss, {"psnr": 10 * jnp.log10(4 / mse), "mask": jnp.mean(mask)}


def measure_scale(codec: AvatarCodec, params: Any, batches: list[Batch]) -> Any:
    """`params` with `deviation_scale` set to the standard deviation of each channel over the batches."""
    encode = jax.jit(lambda b: codec.apply({"params": params}, b, method=deviation))
    values = np.concatenate([np.asarray(encode(arrays(b))).reshape(-1, CHANNELS) for b in batches])
    return params | {"deviation_scale": jnp.asarray(np.sqrt(np.mean(values**2, axis=0)))}


def deviation(codec: AvatarCodec, batch: dict[str, jax.Array]) -> jax.Array:
    """Unscaled z - z_portrait [B, 8, 8, 32] of frames with known poses."""
    canonical, _ = to_canonical(batch["frame"], batch["pose"], batch["portrait"])
    return codec.encoder(canonical, on_canvas(batch["portrait"])) - codec.portrait_grid(batch["portrait"])


def arrays(batch: Batch) -> dict[str, jax.Array]:
    """Stills as float pictures in [-1, 1] and jax arrays."""
    pictures = {name: jnp.asarray(to_unit(batch[name])) for name in ("portrait", "frame")}
    return pictures | {name: jnp.asarray(batch[name]) for name in ("pose", "landmarks")}


def reconstruct(codec: AvatarCodec, size: int) -> Callable[[Any, dict[str, jax.Array]], jax.Array]:
    """(params, batch) -> frames [B, size, size, 3] through latents, fields and the screen."""

    @jax.jit
    def run(params: Any, batch: dict[str, jax.Array]) -> jax.Array:
        variables, pose = {"params": params}, batch["pose"][:, None]
        latents = codec.apply(variables, batch["frame"][:, None], pose, batch["portrait"], method=AvatarCodec.encode)
        fields = codec.apply(variables, latents, batch["portrait"], method=AvatarCodec.decode_fields)
        return compose(fields, pose, batch["portrait"], size=size)[:, 0]

    return run


def pooled_psnr(codec: AvatarCodec, params: Any, batches: list[Batch]) -> dict[str, float]:
    """PSNR in dB of held-out frames rebuilt with their true poses, pooled over all their pixels."""
    run, errors = reconstruct(codec, PICTURE), []
    for stills in batches:
        batch = arrays(stills)
        errors.append(np.asarray(jnp.mean((run(params, batch) - batch["frame"]) ** 2, axis=(1, 2, 3))))
    return {"psnr": 10 * float(np.log10(4 / np.mean(np.concatenate(errors))))}
