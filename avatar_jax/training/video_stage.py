"""Training of public video models: adapters on frozen weights, all weights, or low-rank changes.

Rectified flow: the model predicts noise - data between them. What is trained lies in the run's checkpoints in float32;
what is frozen is read from the public weights at every start and is part of no checkpoint. Records: `video_windows`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from jax.sharding import Mesh

from avatar_jax.diffusion.flow import noised
from avatar_jax.diffusion.schedule import shifted, training_times
from avatar_jax.mesh import parameter_shardings
from avatar_jax.models.audio_projector import AudioProjectorConfig
from avatar_jax.models.director_adapter import Queries
from avatar_jax.models.video_model import (
    VideoConditions,
    VideoModelConfig,
    audio_tokens,
    init_video_model,
    latent_times,
    velocity,
)
from avatar_jax.training.groups import Group
from avatar_jax.training.loop import LoopConfig
from avatar_jax.training.lora import lora_leaves
from avatar_jax.training.losses import mean_where
from avatar_jax.training.optim import FINE_TUNE, OptimConfig
from avatar_jax.training.stage import Batch, CannotTrain, Params, Stage
from avatar_jax.training.video_windows import KnownMix
from avatar_jax.training.window_tricks import LastFrame

Feed = Callable[[int, int, int], Iterator[dict[str, np.ndarray]]]
"""feed(start, index, count) -> part `index` of `count` of endless batches from number `start` on."""
SILENT_PROJECTION = "audio_cross_attn/proj/kernel"
"""Zero in audio attention that a model did not have: it begins as the model that it was."""


@dataclass(frozen=True)
class RegionLoss:
    """Each window's loss is, by these shares, that of all places (face and mouth weighing more), of the face alone or
    of the mouth alone; a window that shows none is compared everywhere. Hallo3 and others use 0.4, 0.1, 0.5."""

    everywhere: float = 0.4
    face: float = 0.1
    mouth: float = 0.5
    face_gain: float = 1.0
    mouth_gain: float = 1.0
    """How much more the regions weigh in the loss of all places."""


@dataclass(frozen=True)
class VideoConfig:
    """Values of the stage. Names of parts are those of `groups.GROUPS`, or patterns of paths."""

    family: str = "skyreels_a2v_19b"
    """Of `avatar_jax.weights`."""
    weights: str = "weights"
    """Folder with transformer/, and overlay/ where the family has one."""
    data: str = "data/windows"
    """Folder of a finished latents set (OUT/latents/1.0.0, or OUT), or of records."""
    trained: tuple[str, ...] = ("audio", "director")
    kept: tuple[str, ...] = ()
    """Parts that stay frozen although `trained` holds them."""
    lora_rank: int = 0
    lora_on: tuple[str, ...] = ("self", "text", "ffn")
    storyline: bool = True
    """Adds the director's attention (`models.director_adapter`), which begins as nothing."""
    storyline_queries: Queries = "shared"
    """Whose queries it reads with."""
    hear: bool = False
    """Gives audio attention to a family without it."""
    remat: Literal["none", "full", "dots", "weight_dots", "attention"] = "attention"
    """What backward keeps (`nn.stack.REMAT`)."""
    numbers: Literal["bf16", "fp32"] = "bf16"
    """Of products and of frozen weights; trained weights and their moments are float32."""
    known: KnownMix = field(default_factory=KnownMix)
    last_frame: LastFrame = "hard"
    last_shift: float = 4.0
    """Latents between the window's last one and a `shifted` picture."""
    canvas: tuple[int, int] | None = None
    """Rows and columns of latents that smaller windows are put into, surrounded by empty frame."""
    regions: RegionLoss = field(default_factory=RegionLoss)
    time_mean: float = 0.0
    time_deviation: float = 1.0
    time_shift: float = 5.0
    """Times are sigmoid(N(time_mean, time_deviation)), moved towards the noise."""
    drop_text: float = 0.1
    drop_audio: float = 0.1
    drop_picture: float = 0.1
    """Of image tokens."""
    drop_known: float = 0.05
    """Of first, last and other known frames, all at once."""
    optimiser: OptimConfig = FINE_TUNE
    batch: int = 8
    seed: int = 0


@dataclass(frozen=True)
class VideoTraining:
    """What a recipe's file sets CONFIG to."""

    video: VideoConfig
    data: str = ""
    """Instead of `video.data`."""
    loop: LoopConfig = field(default_factory=lambda: LoopConfig(save_seconds=600.0))


def video_model(config: VideoConfig, released: VideoModelConfig) -> VideoModelConfig:
    """The released model with what the config adds to it.

    Raises:
        CannotTrain: it already has what is to be added.
    """
    audio = released.audio
    dit = replace(
        released.dit,
        storyline=config.storyline,
        storyline_queries=config.storyline_queries,
        remat=config.remat,
    )
    if config.hear:
        if audio is not None:
            raise CannotTrain("--video.hear", "true", f"{config.family} hears already", "leave it out")
        audio = AudioProjectorConfig(dtype=dit.dtype)
        dit = replace(dit, audio_width=audio.width)
    return VideoModelConfig(dit, audio)


@dataclass(frozen=True)
class VideoStage(Stage):
    """`model` as configured, with what was added to it; `read(mesh)` gives the public parameters over the mesh."""

    config: VideoConfig
    model: VideoModelConfig
    feed: Feed
    read: Callable[[Mesh], Params]
    read_before: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """Public parameters by path, once they were read."""
    name = "video"

    def trains(self, path: str) -> bool:
        """Whether this parameter is trained."""
        wanted, kept = ([Group(name) for name in names] for names in (self.config.trained, self.config.kept))
        return any(g.holds(path) for g in wanted) and not any(g.holds(path) for g in kept)

    @cached_property
    def boxed(self) -> dict[str, Any]:
        """'/'-joined path -> shape and logical axes of everything that the model reads."""
        return jax.eval_shape(self.everything, jax.random.key(0))

    def everything(self, key: jax.Array) -> dict[str, Any]:
        """Fresh parameters of the whole model, LoRA included."""
        boxed = init_video_model(self.model, key)
        rank, on = self.config.lora_rank, self.config.lora_on
        flat = dict(flatten_dict(boxed, sep="/"))
        return flat | (lora_leaves(boxed, rank, on, jax.random.fold_in(key, 1)) if rank else {})

    def init(self, key: jax.Array) -> Params:
        """What is trained. Under jit nothing else is made."""
        found = {path: leaf for path, leaf in self.everything(key).items() if self.trains(path)}
        if not found:
            rule = "something is trained"
            raise CannotTrain("no trained parameters", ", ".join(self.config.trained), rule, "see training/groups.py")
        return unflatten_dict(found, sep="/")

    def public(self, mesh: Mesh) -> dict[str, Any]:
        """The public parameters by path, read once."""
        if not self.read_before:
            self.read_before.update(flatten_dict(self.read(mesh), sep="/"))
        return self.read_before

    def start(self, mesh: Mesh) -> Params:
        """Trained parameters as they are published, fresh where they are new."""
        public = self.public(mesh)
        names = [path for path in self.boxed if self.trains(path)]
        layout = parameter_shardings({path: self.boxed[path] for path in names}, mesh)

        def make(key: jax.Array, have: dict[str, Any]) -> dict[str, Any]:
            new = nn.unbox({path: leaf for path, leaf in self.everything(key).items() if path in layout})
            silent = {p: jnp.zeros_like(x) if p.endswith(SILENT_PROJECTION) else x for p, x in new.items()}
            return silent | {path: leaf.astype(jnp.float32) for path, leaf in have.items()}

        have = {path: public[path] for path in names if path in public}
        made = jax.jit(make, out_shardings=layout)(jax.random.key(self.config.seed), have)
        return unflatten_dict(made, sep="/")

    def fixed(self, mesh: Mesh) -> Params:
        """Everything else, as published.

        Raises:
            CannotTrain: something is neither published nor trained.
        """
        public = self.public(mesh)
        names = [path for path in self.boxed if not self.trains(path)]
        if missing := [path for path in names if path not in public]:
            rule = "what the weights do not hold is new, and is trained"
            raise CannotTrain("parameters without numbers", missing[0], rule, "train this part: --video.trained=...")
        for path in [path for path in public if self.trains(path)]:
            del public[path]
        return {path: public[path] for path in names}

    def whole(self, params: Params, fixed: Params) -> Params:
        return unflatten_dict(dict(fixed) | dict(flatten_dict(params, sep="/")), sep="/")

    def batches(self, start: int) -> Iterator[Batch]:
        return self.feed(start, 0, 1)

    def share(self, start: int, index: int, count: int) -> Iterator[Batch]:
        return self.feed(start, index, count)

    def wanted(self) -> Mapping[str, tuple[int | None, ...]]:
        dit, audio, channels = self.model.dit, self.model.audio, self.model.channels
        grid = (None, *(self.config.canvas or (None, None)), channels)
        found: dict[str, tuple[int | None, ...]] = {
            "latents_BTHWC": grid,
            "shown_BTHWC": grid,
            "text_BSLE": (None, None, dit.text_width),
        }
        if audio is not None:
            found["heard_BFLC"] = (None, audio.layers, audio.channels)
        if dit.image_width is not None:
            found["picture_BIE"] = (None, dit.image_width)
        return found

    def loss(self, params: Params, batch: Batch, key: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Mean squared error of the velocity, where it counts."""
        cfg = self.config
        time_key, noise_key, region_key, drop_key = jax.random.split(key, 4)
        clean = jnp.asarray(batch["latents_BTHWC"], jnp.float32)
        B, T = clean.shape[:2]
        t_B = shifted(training_times(time_key, B, cfg.time_mean, cfg.time_deviation), cfg.time_shift)
        noise = jax.random.normal(noise_key, clean.shape)
        cond = self.given(params, batch, drop_key)
        x, times_BT = noised(clean, noise, t_B), latent_times(B, T)
        if cfg.last_frame != "hard":
            later = cfg.last_shift if cfg.last_frame == "shifted" else 0.0
            x, cond, times_BT = with_picture(x, cond, jnp.asarray(batch["last_BHWC"]), batch["last_B"], later)
        made = velocity(self.model, params, x, t_B, cond, times_BT=times_BT)[:, :T]
        square_BTHW = jnp.mean((made - (noise - clean)) ** 2, axis=-1)
        weight_BTHW = region_weights(cfg.regions, batch["face_BTHW"], batch["mouth_BTHW"], region_key)
        # A latent that is known whole is not made.
        weight_BTHW *= ~jnp.all(jnp.asarray(batch["told_BT4"]), axis=-1)[:, :, None, None]
        total_B = jnp.maximum(weight_BTHW.sum((1, 2, 3)), 1e-6)
        loss = jnp.mean((weight_BTHW * square_BTHW).sum((1, 2, 3)) / total_B)
        return loss, {"mouth": mean_where(square_BTHW, jnp.asarray(batch["mouth_BTHW"]) > 0.5)}

    def given(self, params: Params, batch: Batch, key: jax.Array) -> VideoConditions:
        """Conditions, each dropped now and then, by itself."""
        cfg, model, B = self.config, self.model, batch["latents_BTHWC"].shape[0]
        keys = jax.random.split(key, 4)

        def kept(value: jax.Array, key: jax.Array, share: float) -> jax.Array:
            value = jnp.asarray(value)
            keep_B = jax.random.bernoulli(key, 1 - share, (B,))
            return value * keep_B.reshape(-1, *[1] * (value.ndim - 1)).astype(value.dtype)

        audio = known = picture = None
        if model.audio is not None:
            audio = audio_tokens(
                model, params, kept(jnp.asarray(batch["heard_BFLC"], jnp.float32), keys[1], cfg.drop_audio)
            )
        if model.sees_frames:
            shown = jnp.asarray(batch["shown_BTHWC"], jnp.float32)
            mask = jnp.asarray(batch["told_BT4"], jnp.float32)[:, :, None, None]
            mask = jnp.broadcast_to(mask, (*shown.shape[:4], mask.shape[-1]))
            known = kept(jnp.concatenate([mask, shown], axis=-1), keys[3], cfg.drop_known)
        if model.dit.image_width is not None:
            picture = kept(jnp.asarray(batch["picture_BIE"], jnp.float32), keys[2], cfg.drop_picture)
        text = kept(jnp.asarray(batch["text_BSLE"], model.dit.dtype), keys[0], cfg.drop_text)
        return VideoConditions(text, jnp.asarray(batch["shares_BTS"]), known, picture, audio)


def region_weights(config: RegionLoss, face_BTHW: Any, mouth_BTHW: Any, key: jax.Array) -> jax.Array:
    """[B, T, H, W]: one of the three ways of weighing for every window."""
    face, mouth = jnp.asarray(face_BTHW, jnp.float32), jnp.asarray(mouth_BTHW, jnp.float32)
    everywhere = 1 + config.face_gain * face + config.mouth_gain * mouth
    odds = jnp.array([config.everywhere, config.face, config.mouth])
    way_B = jax.random.categorical(key, jnp.log(odds), shape=(face.shape[0],))
    for number, region in ((1, face), (2, mouth)):
        use_B = (way_B == number) & (region.sum((1, 2, 3)) > 0)
        everywhere = jnp.where(use_B[:, None, None, None], region, everywhere)
    return everywhere


def with_picture(
    x: jax.Array, cond: VideoConditions, last_BHWC: jax.Array, has_B: jax.Array, later: float
) -> tuple[jax.Array, VideoConditions, jax.Array]:
    """(x, conditions, times) with one more latent behind the window: the last key frame as a picture, `later` latents
    after the window's last one. It is no frame of the video and hears nothing; windows without one get an empty one.

    Raises:
        CannotTrain: the model has no input for known frames.
    """
    if cond.known_BTHWC is None:
        fix = "--video.last_frame=hard, or an image-to-video family"
        raise CannotTrain("last_frame", "a picture", "the model sees known frames beside the noise", fix)
    B, T = x.shape[:2]
    last = last_BHWC.astype(jnp.float32)[:, None] * has_B.reshape(-1, 1, 1, 1, 1)
    channels = cond.known_BTHWC.shape[-1] - last.shape[-1]
    mask = jnp.broadcast_to(has_B.reshape(-1, 1, 1, 1, 1), (*last.shape[:4], channels))
    known = jnp.concatenate([cond.known_BTHWC, jnp.concatenate([mask, last], axis=-1)], axis=1)
    audio = cond.audio_BTUM
    audio = None if audio is None else jnp.concatenate([audio, jnp.zeros_like(audio[:, :1])], axis=1)
    shares = jnp.concatenate([cond.shares_BTS, cond.shares_BTS[:, -1:]], axis=1)
    times = jnp.concatenate([latent_times(B, T), jnp.full((B, 1), T - 1 + later)], axis=1)
    cond = cond.replace(known_BTHWC=known, audio_BTUM=audio, shares_BTS=shares)
    return jnp.concatenate([x, last], axis=1), cond, times
