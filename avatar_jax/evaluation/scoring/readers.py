"""The networks that read videos: the judge always, others where their weights or a factory are given."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from avatar_jax.evaluation.eyes import Eyes
from avatar_jax.media import BadInput
from avatar_jax.mesh import make_mesh
from avatar_jax.metrics.frechet import ClipFeatures, PictureFeatures
from avatar_jax.models.clip_vision import clip_pixels, cropped
from avatar_jax.models.dinov2 import DINOv2, dinov2_pixels
from avatar_jax.weights import ship
from avatar_jax.weights.dinov2_keys import dinov2_config
from avatar_jax.weights.expert_keys import clip_embedding
from avatar_jax.weights.load import Request, load
from avatar_jax.weights.reader import open_source

JUDGE = "judge"
"""As an extractor: the judge's own readings, which are there anyway."""


@dataclass(frozen=True)
class Options:
    """What to read with. syncnet: published weights as safetensors; likeness: the embedder of faces; fid, fvd: features
    of pictures and of clips. Each is `package.module:factory`, a file or folder of weights, or for fid and fvd "judge";
    None leaves those numbers out, and the likeness to the judge."""

    judge: Path = ship.SHIPPED / "judge.safetensors"
    syncnet: Path | None = None
    likeness: str | None = None
    fid: str | None = None
    fvd: str | None = None


DEFAULT = Options()


@dataclass(frozen=True)
class Readers:
    """Ready to read; `options` says what was asked for."""

    options: Options
    eyes: Eyes
    syncnet: Any = field(default=None, repr=False)
    likeness: PictureFeatures | None = None
    fid: PictureFeatures | None = None
    fvd: ClipFeatures | None = None


@cache
def open_readers(options: Options) -> Readers:
    """Once in every process.

    Raises:
      BadInput: weights or a factory that cannot be used.
    """
    try:
        return Readers(
            options,
            Eyes.open(options.judge),
            load(Request("syncnet", str(options.syncnet)), make_mesh(), np.float32).params if options.syncnet else None,
            extractor("--likeness", options.likeness, weights_extractor),
            extractor("--fid", options.fid, weights_extractor),
            extractor("--fvd", options.fvd, None),
        )
    except ship.WeightsError as error:
        raise BadInput(*told(error)) from error


def told(error: ship.WeightsError) -> tuple[str, str, str, str]:
    """The parts of its message."""
    first, rule, fix = (*str(error).splitlines(), "", "")[:3]
    what, _, got = first.partition(": ")
    return what, got, rule.removeprefix("rule: "), fix.removeprefix("fix: ")


def extractor(option: str, spec: str | None, of_weights: Callable[[Path], Any] | None) -> Any:
    """The network that `spec` names; None for the judge, which needs no other, and for nothing.

    Raises:
      BadInput: there is no such factory or file.
    """
    if spec is None or spec == JUDGE:
        return None
    if ":" in spec:
        return made_by_factory(option, spec)
    if of_weights is None or not Path(spec).exists():
        rule = "package.module:factory" + (", or a file or folder of weights" if of_weights else "") + ", or judge"
        raise BadInput(option, spec, rule, f"{option} my_package.my_module:my_factory")
    return of_weights(Path(spec))


def made_by_factory(option: str, spec: str) -> Any:
    """What `package.module:factory` returns when called without arguments."""
    module, _, name = spec.partition(":")
    try:
        made = getattr(importlib.import_module(module), name)()
    except Exception as error:  # a stranger's code may raise anything
        got = f"{spec} ({type(error).__name__}: {error})"
        raise BadInput(option, got, "a function without arguments that returns the extractor", "correct it") from error
    if not callable(made):
        raise BadInput(
            option, f"{spec} returned {type(made).__name__}", "an extractor is called with pictures", "see it"
        )
    return made


def weights_extractor(path: Path) -> PictureFeatures:
    """DINOv2's or CLIP's picture embedding, from a file or folder as `transformers` saves it."""
    if any("layer_scale" in name for name in open_source(path).tensors):
        loaded = load(Request("dinov2", str(path)), make_mesh(), np.float32)
        return partial(embedded, DINOv2(dinov2_config(loaded.configs[""])), loaded.params, dinov2_pixels)
    loaded = load(Request("clip_embedding", str(path)), make_mesh(), np.float32)
    module = clip_embedding(loaded.configs[""])
    return partial(embedded, module, loaded.params, partial(clip_pixels, side=module.config.side, resize=cropped))


def embedded(module: nn.Module, params: Any, prepare: Callable[..., np.ndarray], pictures: np.ndarray) -> np.ndarray:
    """[N, E] of pictures of any size."""
    return np.asarray(_embed(module, params, prepare(pictures)))


@partial(jax.jit, static_argnums=0)
def _embed(module: nn.Module, params: Any, pixels: jax.Array) -> Any:
    return module.apply({"params": params}, pixels)
