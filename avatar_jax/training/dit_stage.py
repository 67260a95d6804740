"""Training stage of the generator: rectified flow on windows of 16 frames, every way of knowing some of them.

A window is `frames` latents of one clip at equal spacing `stride` (in frames of 12.5 fps: 3 blueprint, 1 sub-clip,
0.5 insertion). The data side knows clips, this stage knows what a window is for:

    WindowSource: Callable[[np.random.Generator, float, int], dict[str, np.ndarray]]
        source(rng, stride, frames) -> one window (no batch axis) of a random clip that is long enough, drawn with
        `rng` alone.
    Feed: Callable[[Draw, int, int, int], Iterator[dict[str, np.ndarray]]]
        feed(draw, start, index, count) -> part `index` of `count` of endless batches from batch number `start` on.
        Every window is cut as `draw(rng)` says, (stride, known_T), with the generator that belongs to the window's
        place in the order, so that a batch depends on (seed, step) only; known_T is put beside the window's arrays.

One window is a dictionary; a batch stacks windows under the same names (B first):

| key | shape, dtype | meaning |
|---|---|---|
| latents_TPC | [T, 17, 139] float16 | clean latents in the packed layout of `models.avatar_codec` |
| times_T | [T] float32 | instant of each frame in frames of 12.5 fps, any origin, `stride` apart |
| audio_TUM | [T, 8, 64] float16 | `audio_encoder.audio_tokens` at exactly these instants |
| text_ids_SL | [S, 48] int32 | `tokenize` of each shot's local prompt or a paraphrase; S = 3, unused rows all 0 |
| shot_weights_TS | [T, S] float32 | share of each shot at each frame, >= 0, sums to 1 over S; used shots come first |
| face_points_32 | [3, 2] float32 | (x, y) of mouth, left and right eye: 0..1 over the face window, x to the right |
| clocks_TS2 | [T, S, 2] float32 | seconds since each shot's start and until its end (`director.plan.shot_clocks`) |
| portrait_PC | [17, 139] float16 | the portrait's own latent (`AvatarCodec.portrait_latent`) |
| labels_TK | [T, 8] float32 | `models.segment.FACE_LABELS` of each frame; only the readout is fitted to them |

Beside them, in a batch:

| key | shape, dtype | meaning |
|---|---|---|
| known_T | [T] bool | frames whose latents the model is given |

so a batch is latents_BTPC, times_BT, audio_BTUM, text_ids_BSL, shot_weights_BTS, clocks_BTS2, portrait_BPC,
face_points_B32, known_BT.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial

import jax
import jax.numpy as jnp
import numpy as np

from avatar_jax.diffusion.flow import noised
from avatar_jax.diffusion.guidance import Guidance
from avatar_jax.diffusion.schedule import shifted, training_times
from avatar_jax.models.segment import (
    CHANNELS,
    GRID_CHANNELS,
    PATCHES,
    WindowConditions,
    WindowConfig,
    WindowModel,
    init_window_model,
)
from avatar_jax.training.face_probe import fit_ridge
from avatar_jax.training.losses import LossWeights, window_loss
from avatar_jax.training.optim import OptimConfig
from avatar_jax.training.stage import Batch, Params, Stage
from avatar_jax.training.window_scores import Making, grid_features, known_scores, scores
from avatar_jax.training.window_tricks import LastFrame, last_frame_as, padded

WindowSource = Callable[[np.random.Generator, float, int], dict[str, np.ndarray]]
Draw = Callable[[np.random.Generator], tuple[float, np.ndarray]]
Feed = Callable[[Draw, int, int, int], Iterator[dict[str, np.ndarray]]]
Known = Callable[[np.random.Generator, int], np.ndarray]


def none_known(rng: np.random.Generator, frames: int) -> np.ndarray:
    return np.zeros(frames, bool)


def first_known(rng: np.random.Generator, frames: int) -> np.ndarray:
    return np.arange(frames) == 0


def ends_known(rng: np.random.Generator, frames: int) -> np.ndarray:
    """First frame and another, which may come before the window's end; what lies beyond is made too, and dropped."""
    last = rng.integers(3, frames)
    return np.isin(np.arange(frames), [0, int(last)])


def regularly_known(rng: np.random.Generator, frames: int) -> np.ndarray:
    """Every second frame, sometimes every third: frames to be inserted lie at any place between known ones."""
    every = 2 if rng.random() < 0.7 else 3
    return np.arange(frames) % every == rng.integers(every)


def seam_unknown(rng: np.random.Generator, frames: int) -> np.ndarray:
    """All but a few frames about the middle."""
    width = rng.integers(3, 8)
    start = (frames - width) // 2 + rng.integers(-1, 2)
    return (np.arange(frames) < start) | (np.arange(frames) >= start + width)


@dataclass(frozen=True)
class WindowKind:
    """One use of the model: how often it is trained, which spacings with which odds, which frames are known."""

    share: float
    strides: dict[float, float]
    known: Known


WINDOW_KINDS: dict[str, WindowKind] = {
    "none": WindowKind(0.30, {3.0: 0.7, 1.0: 0.3}, none_known),
    "first": WindowKind(0.25, {3.0: 0.5, 1.0: 0.5}, first_known),
    "ends": WindowKind(0.25, {1.0: 0.9, 3.0: 0.1}, ends_known),
    "insert": WindowKind(0.10, {0.5: 1.0}, regularly_known),
    "seam": WindowKind(0.10, {1.0: 0.7, 0.5: 0.3}, seam_unknown),
}


def draw_window(rng: np.random.Generator, frames: int) -> tuple[float, np.ndarray]:
    """(stride, known_T) of a random use of the model."""
    kinds = list(WINDOW_KINDS.values())
    kind = kinds[rng.choice(len(kinds), p=[k.share for k in kinds])]
    stride = rng.choice(list(kind.strides), p=list(kind.strides.values()))
    return float(stride), kind.known(rng, frames)


def stack_windows(windows: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Windows -> batch."""
    return batch_named({key: np.stack([w[key] for w in windows]) for key in windows[0]})


def batch_named(stacked: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Stacked windows under a batch's names: `latents_TPC` becomes `latents_BTPC`, `known_T` becomes `known_BT`."""

    def batched(key: str) -> str:
        name, _, axes = key.rpartition("_")
        return f"{name}_B{axes}"

    return {batched(key): x for key, x in stacked.items()}


def conditions(batch: Batch) -> WindowConditions:
    """What the model is given of a batch: the latents of known frames, and sound, prompts and times of all."""
    known_BT = jnp.asarray(batch["known_BT"])
    return WindowConditions(
        known_BTPC=jnp.asarray(batch["latents_BTPC"], jnp.float32) * known_BT[:, :, None, None],
        known_mask_BT=known_BT,
        times_BT=jnp.asarray(batch["times_BT"]),
        text_ids_BSL=jnp.asarray(batch["text_ids_BSL"]),
        shot_weights_BTS=jnp.asarray(batch["shot_weights_BTS"]),
        clocks_BTS2=jnp.asarray(batch["clocks_BTS2"]),
        portrait_BPC=jnp.asarray(batch["portrait_BPC"]),
        audio_BTUM=jnp.asarray(batch["audio_BTUM"], jnp.float32),
    )


@dataclass(frozen=True)
class DitConfig:
    """Values of the stage; the model's sizes are in `model`."""

    model: WindowConfig = field(default_factory=WindowConfig)
    loss: LossWeights = field(default_factory=LossWeights)
    optimiser: OptimConfig = field(default_factory=lambda: OptimConfig(steps=3600, warmup=0.02, decay=0.6))
    batch: int = 8
    seed: int = 0
    time_mean: float = 1.3
    """Training times are sigmoid(N(time_mean, time_deviation)), moved towards the noise by `time_shift`."""
    time_deviation: float = 1.0
    time_shift: float = 1.0
    last_frame: LastFrame = "hard"
    """How the last key frame of a sub-clip is given; sampling must give it in the same way."""
    last_shift: float = 4.0
    """Frames between the window's last one and a `shifted` picture."""
    padding: float = 0.0
    """Share of windows in which the face is small and surrounded by nothing."""
    drop_text: float = 0.1
    drop_audio: float = 0.1
    readout_windows: int = 600
    """Windows to which the linear readout of the face is fitted."""
    eval_windows: int = 32
    eval_steps: int = 6
    eval_guidance: Guidance = field(default_factory=Guidance)
    eval_gain: float = 1.0
    """Scales what the sound adds."""
    eval_known: bool = False
    """Also score windows with known frames (`window_scores.known_scores`)."""
    gate_mouth: float = 0.85
    """Least correlation of the generated mouth's opening with the label on held-out windows."""


@dataclass(frozen=True)
class DitStage(Stage):
    """The generator's stage.

    `feed` gives the batches to train on. `train` and `heldout` are window sources to evaluate with; `heldout` must not
    share a portrait or a voice with `train`.
    """

    config: DitConfig
    feed: Feed
    train: WindowSource
    heldout: WindowSource | None = None
    name = "dit"

    def init(self, key: jax.Array) -> Params:
        return init_window_model(self.config.model, key)

    def batches(self, start: int) -> Iterator[dict[str, np.ndarray]]:
        """Batches from step `start` on; batch n depends on the seed and n only."""
        return self.share(start, 0, 1)

    def share(self, start: int, index: int, count: int) -> Iterator[dict[str, np.ndarray]]:
        """The rows of one process: only their records are read."""
        for batch in self.feed(partial(draw_window, frames=self.config.model.frames), start, index, count):
            batch.pop("labels_TK", None)
            yield batch_named(batch)

    def wanted(self) -> Mapping[str, tuple[int | None, ...]]:
        model = self.config.model
        T, slots = model.frames, (model.audio_slots, model.audio_features)
        return {
            "latents_BTPC": (T, PATCHES, CHANNELS),
            "times_BT": (T,),
            "audio_BTUM": (T, *slots),
            "shot_weights_BTS": (T, None),
            "clocks_BTS2": (T, None, 2),
            "portrait_BPC": (PATCHES, CHANNELS),
            "face_points_B32": (3, 2),
            "known_BT": (T,),
        }

    def loss(self, params: Params, batch: Batch, key: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Loss at one random time per window, with prompt and sound dropped now and then, each by itself."""
        cfg = self.config
        points_B32, readable_B = batch["face_points_B32"], None
        if cfg.padding:
            whole_BTPC = jnp.asarray(batch["latents_BTPC"], jnp.float32)
            latents, points_B32, small_B = padded(whole_BTPC, points_B32, jax.random.fold_in(key, 1), cfg.padding)
            batch, readable_B = batch | {"latents_BTPC": latents}, ~small_B
        clean_BTPC = jnp.asarray(batch["latents_BTPC"], jnp.float32)
        time_key, noise_key, text_key, audio_key = jax.random.split(key, 4)
        B = clean_BTPC.shape[0]
        t_B = shifted(training_times(time_key, B, cfg.time_mean, cfg.time_deviation), cfg.time_shift)
        cond = self.given(batch, text_key, audio_key)
        x_BTPC = noised(clean_BTPC, jax.random.normal(noise_key, clean_BTPC.shape), t_B)
        predicted_BTPC = WindowModel(cfg.model).denoise(params, x_BTPC, t_B, cond)
        readout = jnp.asarray(self.readout[:-1] / self.spread)
        return window_loss(
            predicted_BTPC, clean_BTPC, cond.known_mask_BT, points_B32, cfg.loss, GRID_CHANNELS, readout, readable_B
        )

    def given(self, batch: Batch, text_key: jax.Array, audio_key: jax.Array) -> WindowConditions:
        """What the model is given in training: some prompts and sounds dropped, the last frame as configured."""
        cfg, B = self.config, batch["times_BT"].shape[0]
        keep_text = jax.random.bernoulli(text_key, 1 - cfg.drop_text, (B, 1, 1))
        keep_audio = jax.random.bernoulli(audio_key, 1 - cfg.drop_audio, (B, 1, 1, 1))
        cond = conditions(batch)
        cond = cond.replace(text_ids_BSL=cond.text_ids_BSL * keep_text, audio_BTUM=cond.audio_BTUM * keep_audio)
        return last_frame_as(cond, cfg.last_frame, cfg.last_shift)

    def evaluate(self, params: Params) -> dict[str, float]:
        """Generate held-out windows and read the face from the latents; see `window_scores`."""
        if self.heldout is None:
            return {}
        cfg, batch = self.config, self.held_out_batch
        making = Making(cfg.eval_steps, cfg.eval_guidance, cfg.eval_gain, cfg.last_frame, cfg.last_shift)
        found = scores(cfg.model, params, batch, self.readout, making, cfg.seed)
        return found | (
            known_scores(cfg.model, params, batch, self.readout, making, cfg.seed) if cfg.eval_known else {}
        )

    @cached_property
    def held_out_batch(self) -> dict[str, np.ndarray]:
        """The windows that are scored, the same ones every time."""
        assert self.heldout is not None
        rng = np.random.default_rng((self.config.seed, 1, 1))
        found = [self.heldout(rng, 1.0, self.config.model.frames) for _ in range(self.config.eval_windows)]
        return stack_windows(found)

    def gate(self, scores: dict[str, float]) -> bool:
        return scores.get("mouth", 0.0) >= self.config.gate_mouth

    @cached_property
    def readout(self) -> np.ndarray:
        """[2049, 8] linear readout of the face's labels from clean latents, the offset last."""
        return self._fitted[0]

    @cached_property
    def spread(self) -> np.ndarray:
        """[8] standard deviations of the labels."""
        return self._fitted[1]

    @cached_property
    def _fitted(self) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng((self.config.seed, 2, 2))
        found = [self.train(rng, 1.0, self.config.model.frames) for _ in range(self.config.readout_windows)]
        features = grid_features(np.stack([w["latents_TPC"] for w in found]))
        labels = np.concatenate([w["labels_TK"] for w in found])
        return fit_ridge(features, labels, strength=300.0).astype(np.float32), labels.std(0) + 1e-3
