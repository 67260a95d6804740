"""Aesthetics: a head on CLIP's embedding of one frame a second. Without CLIP's weights it judges nothing.

The head is a public one (LAION's, linear or of five layers, converted to safetensors), or ours, trained from votes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from avatar_jax.mesh import make_mesh
from avatar_jax.models.aesthetics import AestheticHead, CLIPEmbedding
from avatar_jax.models.clip_vision import clip_pixels, cropped
from avatar_jax.weights import ship
from avatar_jax.weights.expert_keys import aesthetic_head_target, clip_embedding
from avatar_jax.weights.load import Request, fill, load
from avatar_jax.weights.reader import open_source
from data_pipeline.experts.trained import version
from data_pipeline.protocol import Clip, Verdict
from data_pipeline.records import FPS

PUBLIC_THRESHOLD = 3.5
"""Of the public head, 1 to 10, with which NeMo Curator keeps clips."""
RIDGE = 1e-3
"""Penalty on the squared weights of a head that is trained from votes, for each example."""
FEWEST = 10
"""Accepted and rejected clips, of each, that a head needs."""
Embed = Callable[[Clip], Float[np.ndarray, "N E"]]


@dataclass(frozen=True)
class Unavailable:
    """An expert without weights: it passes nothing, and says what it lacks."""

    name: str
    reason: str
    threshold: float = 0.0
    version: str = "unavailable"

    def judge(self, clip: Clip) -> Verdict:
        del clip
        return Verdict(None, "unavailable", reason=self.reason)


@dataclass(frozen=True)
class AestheticsExpert:
    """Score: the head's value of the least pleasing frame, one looked at every second."""

    threshold: float
    version: str
    embed: Embed = field(repr=False)
    rate: Callable[[np.ndarray], np.ndarray] = field(repr=False)
    name: str = "aesthetics"

    def judge(self, clip: Clip) -> Verdict:
        values = self.rate(self.embed(clip))
        worst = int(values.argmin())
        score, at = float(values[worst]), worst * FPS
        if score >= self.threshold:
            return Verdict(score, "passed", at)
        return Verdict(score, "rejected", at, f"frame {at} is not pleasing ({score:.3f} < {self.threshold:.3f})")


def clip_embedder(folder: Path) -> Embed:
    """Embeddings of one frame a second by the CLIP in a folder (config.json and safetensors).

    Raises:
        WeightsError: if the weights do not fit.
    """
    loaded = load(Request("clip_embedding", str(folder)), make_mesh(), np.float32)
    module = clip_embedding(loaded.configs[""])
    return partial(embed_clip, module, loaded.params)


def embed_clip(module: CLIPEmbedding, params: Any, clip: Clip) -> Float[np.ndarray, "N E"]:
    pictures = [np.asarray(frame) for frame in clip.frames(step=FPS)]
    rows = [_embed(module, params, clip_pixels([p], module.config.side, cropped)) for p in pictures]
    return np.concatenate([np.asarray(row) for row in rows])


@partial(jax.jit, static_argnums=0)
def _embed(module: CLIPEmbedding, params: Any, pixels_BHW3: jax.Array) -> jax.Array:
    embedding: Any = module.apply({"params": params}, pixels_BHW3)
    return embedding


def rating(head: AestheticHead, params: Any) -> Callable[[np.ndarray], np.ndarray]:
    """The head as a function of embeddings [N, E]."""

    def rate(embeddings_NE: np.ndarray) -> np.ndarray:
        values: Any = head.apply({"params": params}, embeddings_NE)
        return np.asarray(values)

    return rate


def aesthetics_expert(clip_weights: Path | None, head: Path | None) -> AestheticsExpert | Unavailable:
    """With a public head, or one that `experts train aesthetics` wrote.

    Raises:
        WeightsError: if weights were given and do not fit.
    """
    if clip_weights is None or head is None:
        lacking = "no CLIP weights" if clip_weights is None else "no head for CLIP's embedding"
        return Unavailable("aesthetics", f"{lacking}: give both (docs/data.md, Experts)")
    embed = clip_embedder(clip_weights)
    source = open_source(head)
    if "map_0/kernel" in source.tensors:
        params, note = ship.load(head)
        return AestheticsExpert(note["threshold"], version("votes", head), embed, rating(AestheticHead(), params))
    width = clip_embedding(load_config(clip_weights)).embed
    module, target = aesthetic_head_target(width, set(source.tensors))
    params = fill(target, [source], make_mesh())
    return AestheticsExpert(PUBLIC_THRESHOLD, version("laion", head), embed, rating(module, params))


def load_config(folder: Path) -> dict[str, Any]:
    return open_source(folder).config


def fit_head(embeddings_NE: Float[np.ndarray, "N E"], accepted_N: np.ndarray) -> dict[str, Any]:
    """A linear head by logistic regression (Newton's method), both votes weighing the same in all.

    Raises:
        ValueError: with fewer than `FEWEST` examples of either vote.
    """
    x = np.append(np.asarray(embeddings_NE, np.float64), np.ones((len(embeddings_NE), 1)), axis=1)
    y = np.asarray(accepted_N, np.float64)
    if min(y.sum(), (1 - y).sum()) < FEWEST:
        raise ValueError(f"{int(y.sum())} accepted and {int((1 - y).sum())} rejected clips; at least {FEWEST} of each")
    share = np.where(y > 0, 0.5 / y.sum(), 0.5 / (1 - y).sum())
    penalty = RIDGE * np.eye(x.shape[1])
    penalty[-1, -1] = 1e-9
    w = np.zeros(x.shape[1])
    for _ in range(30):
        p = 1 / (1 + np.exp(-x @ w))
        slope = x.T @ (share * (p - y)) + penalty @ w
        step = np.linalg.solve((x * (share * p * (1 - p))[:, None]).T @ x + penalty, slope)
        w -= step
        if np.abs(step).max() < 1e-8:
            break
    return {"map_0": {"kernel": w[:-1, None].astype(np.float32), "bias": w[-1:].astype(np.float32)}}


def train_head(clips: Mapping[str, Clip], votes: Mapping[str, bool], embed: Embed, out: Path) -> dict[str, Any]:
    """Fit on four fifths of the voted clips, set the threshold there, score the last fifth; OUT is the head's file.

    Returns:
        the note: threshold, counts, and the share of right answers on the clips left out.
    """
    names = sorted(clips.keys() & votes.keys())
    x = np.stack([embed(clips[name]).mean(0) for name in names]) if names else np.zeros((0, 1))
    y = np.array([votes[name] for name in names], bool)
    left_out = np.arange(len(names)) % 5 == 4
    params = fit_head(x[~left_out], y[~left_out])
    right = (rating(AestheticHead(), params)(x[left_out]) >= 0) == y[left_out]
    counts = {"accepted": int(y.sum()), "rejected": int((~y).sum()), "left_out": int(left_out.sum())}
    note = {"stage": "aesthetics", "threshold": 0.0, "right": float(right.mean()) if len(right) else None} | counts
    ship.export(params, out, note)
    return note
