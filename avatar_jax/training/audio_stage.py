"""Training of the audio encoder: phones and mouth shapes from augmented synthetic speech (docs/embedded.md).

The data are the .npz shards of data_pipeline/synthetic/audio_set.py. The gate is the correlation of the predicted and
the true mouth opening on voices that training never hears.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import random

from avatar_jax.models.audio_encoder import BANDS, AudioEncoder, AudioEncoderConfig, AudioOutput
from avatar_jax.training.optim import OptimConfig
from avatar_jax.training.stage import CannotTrain, Params, Stage

GATE_OPEN = 0.88
"""Correlation of the mouth opening on held-out voices that the rest of the system needs."""


@dataclass(frozen=True)
class AudioData:
    """Clips end to end: mels_N40 at 100 Hz, phones_N and shapes_N4 at 50 Hz; `spans` are (start, length) at 50 Hz."""

    mels_N40: np.ndarray
    phones_N: np.ndarray
    shapes_N4: np.ndarray
    spans: np.ndarray


def load_audio_set(folder: Path, split: str) -> AudioData:
    """Every shard SPLIT-NNN.npz of `folder`. CannotTrain where there is none."""
    paths = sorted(Path(folder).glob(f"{split}-[0-9]*[0-9].npz"))
    if not paths:
        raise CannotTrain(
            "no audio data", folder, f"a folder with {split}-NNN.npz", "write it with data_pipeline.synthetic.audio_set"
        )
    shards = [np.load(path, allow_pickle=False) for path in paths]
    lengths = np.concatenate([s["lengths"] for s in shards])
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    mels, phones, shapes = (np.concatenate([s[name] for s in shards]) for name in ("mels", "phones", "shapes"))
    return AudioData(mels, phones, shapes, np.stack([starts, lengths], 1))


def crop_batch(data: AudioData, rng: np.random.Generator, batch: int, crop: int) -> dict[str, np.ndarray]:
    """`batch` random crops of `crop` features, from clips that are long enough, longer clips more often."""
    spans = data.spans[data.spans[:, 1] >= crop]
    chosen = spans[rng.choice(len(spans), batch, p=spans[:, 1] / spans[:, 1].sum())]
    starts = chosen[:, 0] + (rng.random(batch) * (chosen[:, 1] - crop + 1)).astype(int)
    return {
        "mels_BT40": np.stack([data.mels_N40[2 * s : 2 * (s + crop)] for s in starts]).astype(np.float32),
        "phones_BT": np.stack([data.phones_N[s : s + crop] for s in starts]).astype(np.int32),
        "shapes_BT4": np.stack([data.shapes_N4[s : s + crop] for s in starts]).astype(np.float32),
    }


def disguise(mels_BT40: jax.Array, key: jax.Array) -> jax.Array:
    """Another speaker and microphone in the mel domain: bands warped by exp(U(-.17, .17)) and shifted by up to 1.5,
    a tilt, uneven bands, noise, and one masked run of 5 bands."""
    keys = random.split(key, 6)
    batch, bands = mels_BT40.shape[0], jnp.arange(BANDS, dtype=jnp.float32)
    warp_B1 = jnp.exp(random.uniform(keys[0], (batch, 1), minval=-0.17, maxval=0.17))
    shift_B1 = random.uniform(keys[1], (batch, 1), minval=-1.5, maxval=1.5)
    source_BO = jnp.clip(bands * warp_B1 + shift_B1, 0, BANDS - 1)
    take_BIO = jax.nn.relu(1 - jnp.abs(bands[None, :, None] - source_BO[:, None, :]))
    mels_BT40 = jnp.einsum("bti,bio->bto", mels_BT40, take_BIO)
    tilt_BO = random.normal(keys[2], (batch, 1)) * 0.4 * (2 * bands / (BANDS - 1) - 1)
    uneven_BO = random.normal(keys[3], (batch, BANDS)) * 0.1
    mels_BT40 = mels_BT40 + (tilt_BO + uneven_BO)[:, None] + random.normal(keys[4], mels_BT40.shape) * 0.1
    first_B1 = random.randint(keys[5], (batch, 1), 0, BANDS - 4)
    masked_BO = (bands >= first_B1) & (bands < first_B1 + 5)
    return jnp.where(masked_BO[:, None], 0.0, mels_BT40)


def audio_loss(out: AudioOutput, phones_BT: jax.Array, shapes_BT4: jax.Array) -> tuple[jax.Array, dict]:
    """.5 cross-entropy of phones + (3, 1, 1, .5) * (|d| + 4 d^2) of open, spread, teeth, tongue."""
    entropy = optax.softmax_cross_entropy_with_integer_labels(out.phones_BTC, phones_BT).mean()
    error_BT4 = out.shapes_BT4 - shapes_BT4
    shape = ((jnp.abs(error_BT4) + 4 * error_BT4**2) * jnp.array([3.0, 1.0, 1.0, 0.5])).sum(-1).mean()
    accuracy = (out.phones_BTC.argmax(-1) == phones_BT).mean()
    return 0.5 * entropy + shape, {"phone_entropy": entropy, "shape_error": shape, "phone_accuracy": accuracy}


def correlations(params, data: AudioData, config: AudioEncoderConfig, length: int = 512) -> dict[str, float]:
    """Pooled over whole clips: correlation of opening, spread, teeth; phone accuracy with and without silence.

    Also how far the lips are open, truth and estimate, where the truth is a closed /p b m/ (below .03 while speaking).
    """
    encode = jax.jit(lambda p, x: AudioEncoder(config).apply({"params": p}, x))
    truth, guess, phones, phone_guess = [], [], [], []
    for start, count in data.spans:
        count = min(int(count), length)
        mels = data.mels_N40[2 * start : 2 * (start + count)].astype(np.float32)
        out = encode(params, np.pad(mels, ((0, 2 * (length - count)), (0, 0)))[None])
        guess.append(np.asarray(out.shapes_BT4[0, :count]))
        phone_guess.append(np.asarray(out.phones_BTC[0, :count].argmax(-1)))
        truth.append(data.shapes_N4[start : start + count].astype(np.float32))
        phones.append(data.phones_N[start : start + count])
    truth_N4, guess_N4 = np.concatenate(truth), np.concatenate(guess)
    phones_N, right_N = np.concatenate(phones), np.concatenate(phones) == np.concatenate(phone_guess)
    result = {
        name: float(np.corrcoef(truth_N4[:, i], guess_N4[:, i])[0, 1])
        for i, name in enumerate(("open", "spread", "teeth"))
    }
    closed_N = (truth_N4[:, 0] < 0.03) & (phones_N > 0)
    spoken_N = phones_N > 0
    return result | {
        "phone_accuracy": float(right_N.mean()),
        "phone_accuracy_spoken": float(right_N[spoken_N].mean()),
        "open_where_closed": float(guess_N4[closed_N, 0].mean()) if closed_N.any() else 0.0,
        "open_where_spoken": float(guess_N4[spoken_N, 0].mean()) if spoken_N.any() else 0.0,
    }


@dataclass(frozen=True)
class AudioStageConfig:
    """Audio encoder training: `batch` crops of `crop` features (50 a second) per step."""

    optimiser: OptimConfig = field(
        default_factory=lambda: OptimConfig(steps=5500, rate=2e-3, decay=0.7, weight_decay=1e-2, beta2=0.98)
    )
    model: AudioEncoderConfig = field(default_factory=AudioEncoderConfig)
    batch: int = 24
    crop: int = 200
    seed: int = 0


@dataclass(frozen=True)
class AudioStage(Stage):
    """Trains `AudioEncoder`; about 0.2 CPU-seconds per step. `heldout` holds voices that `train` lacks."""

    config: AudioStageConfig
    train: AudioData
    heldout: AudioData
    name = "audio"

    @property
    def encoder(self) -> AudioEncoder:
        return AudioEncoder(self.config.model)

    def init(self, key: jax.Array) -> Params:
        return self.encoder.init(key, jnp.zeros((1, 2 * self.config.crop, BANDS)))["params"]

    def loss(self, params: Params, batch: dict[str, Any], key: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        out: Any = self.encoder.apply({"params": params}, disguise(batch["mels_BT40"], key))
        return audio_loss(out, batch["phones_BT"], batch["shapes_BT4"])

    def batches(self, start: int) -> Iterator[dict[str, np.ndarray]]:
        step = start
        while True:
            rng = np.random.default_rng([self.config.seed, step])
            yield crop_batch(self.train, rng, self.config.batch, self.config.crop)
            step += 1

    def evaluate(self, params: Params) -> dict[str, float]:
        return correlations(params, self.heldout, self.config.model)

    def gate(self, scores: dict[str, float]) -> bool:
        return scores["open"] >= GATE_OPEN
