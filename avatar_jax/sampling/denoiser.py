"""The embedded generator as a `Denoiser`: sound and text at the windows' own instants, guidance, one compiled shape.

All stages of the cascade share one compiled function of `rows` windows; longer batches run in that many at a time,
shorter ones are filled up. On a mesh the rows are split over its data axis and tokens over its seq axis.
"""

from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from avatar_jax.diffusion.guidance import Guidance, branches
from avatar_jax.director.plan import local_prompt, shot_clocks, shots_at, spans_of
from avatar_jax.director.storyline import Storyline
from avatar_jax.mesh import batch_sharding, fetched, placed, replicated
from avatar_jax.models.audio_encoder import audio_tokens
from avatar_jax.models.segment import CHANNELS, PATCHES, WindowConditions, WindowConfig, WindowModel
from avatar_jax.models.text_encoder import tokenize
from avatar_jax.sampling.windows import Predict, Windows
from avatar_jax.timeline import seconds_of

SHOTS = 3
"""Shots that one window can attend to, as in training; of more, those with the largest share stay."""


@partial(jax.jit, static_argnums=0)
def clean_rows(
    config: WindowConfig, params: dict, x_BTPC: jax.Array, t_B: jax.Array, cond: WindowConditions
) -> jax.Array:
    """The one compiled function of the whole cascade."""
    return WindowModel(config).denoise(params, x_BTPC, t_B, cond)


def rows_for(mesh: Mesh, rows: int) -> int:
    """`rows` rounded up so that every device of the data axes gets as many."""
    ways = mesh.shape["data"] * mesh.shape["fsdp"]
    return -(-rows // ways) * ways


@dataclass(frozen=True)
class StorylineDenoiser:
    """Bound to one recording and one storyline; see `windows.Denoiser`."""

    config: WindowConfig
    params: dict
    features_TM: np.ndarray
    """Of the whole recording, at 50 Hz."""
    storyline: Storyline
    model_fps: Fraction
    mesh: Mesh
    rows: int = 16
    one_prompt: bool = False
    """All shots' prompts in one sentence, for every frame."""
    portrait_PC: np.ndarray = field(default_factory=lambda: np.zeros((PATCHES, CHANNELS), np.float32))
    """The portrait's own latent; zeros: unknown."""
    prompts_NL: np.ndarray = field(init=False)
    spans_N2: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        prompts, spans = [local_prompt(shot) for shot in self.storyline.shots], spans_of(self.storyline)
        if self.one_prompt:
            prompts, spans = [", then ".join(prompts)], np.array([[spans[0, 0], spans[-1, 1]]])
        object.__setattr__(self, "prompts_NL", np.stack([tokenize(prompt) for prompt in prompts]))
        object.__setattr__(self, "spans_N2", spans)

    def shares(self, seconds_T: np.ndarray) -> np.ndarray:
        """[T, N] weight of every prompt at these instants."""
        if self.one_prompt:
            return np.ones((len(seconds_T), 1), np.float32)
        return shots_at(self.storyline, seconds_T)

    def __call__(self, windows: Windows, guidance: Guidance) -> Predict:
        parts = branches(
            guidance,
            self.conditions(windows),
            lambda c: c.replace(text_ids_BSL=np.zeros_like(c.text_ids_BSL)),
            lambda c: c.replace(audio_BTUM=np.zeros_like(c.audio_BTUM)),
        )
        weights = np.array([weight for weight, _ in parts], np.float32)
        joined = jax.tree.map(lambda *leaves: np.concatenate(leaves), *[condition for _, condition in parts])

        def predict(x_BTPC: np.ndarray, t: float) -> np.ndarray:
            clean = self._run(np.concatenate([x_BTPC] * len(parts)), t, joined)
            return np.einsum("n,nBTPC->BTPC", weights, clean.reshape(len(parts), *x_BTPC.shape))

        return predict

    def conditions(self, windows: Windows) -> WindowConditions:
        """Everything the model is given about these windows, as NumPy arrays."""
        B, T = windows.times_BT.shape
        seconds_BT = seconds_of(windows.times_BT, self.model_fps)
        sound = audio_tokens(self.features_TM, seconds_BT.ravel())
        ids_BSL = np.zeros((B, SHOTS, self.prompts_NL.shape[1]), np.int32)
        weights_BTS = np.zeros((B, T, SHOTS), np.float32)
        clocks_BTS2 = np.zeros((B, T, SHOTS, 2), np.float32)
        for b, seconds_T in enumerate(seconds_BT):
            shares_TN = self.shares(seconds_T)
            largest = np.sort(np.argsort(-shares_TN.sum(axis=0), kind="stable")[:SHOTS])
            used = [n for n in largest if shares_TN[:, n].any()]
            ids_BSL[b, : len(used)] = self.prompts_NL[used]
            weights_BTS[b, :, : len(used)] = shares_TN[:, used]
            clocks_BTS2[b, :, : len(used)] = shot_clocks(self.spans_N2[used], seconds_T)
        # An instant whose own shot was dropped listens to the others equally.
        total = weights_BTS.sum(axis=-1, keepdims=True)
        weights_BTS = np.where(total > 0, weights_BTS / np.maximum(total, 1e-6), 1 / SHOTS).astype(np.float32)
        arrays: dict[str, Any] = {
            "known_BTPC": windows.known_BTPC,
            "known_mask_BT": windows.known_BT,
            # Only differences matter; near zero they are exact in float32 however long the recording is.
            "times_BT": (windows.times_BT - windows.times_BT[:, :1]).astype(np.float32),
            "text_ids_BSL": ids_BSL,
            "shot_weights_BTS": weights_BTS,
            "clocks_BTS2": clocks_BTS2,
            "portrait_BPC": np.broadcast_to(self.portrait_PC, (B, *self.portrait_PC.shape)).astype(np.float32),
            "audio_BTUM": sound.reshape(B, T, *sound.shape[1:]).astype(np.float32),
        }
        return WindowConditions(**arrays)

    def _run(self, x_BTPC: np.ndarray, t: float, cond: WindowConditions) -> np.ndarray:
        size = rows_for(self.mesh, self.rows)
        split = batch_sharding(self.mesh)
        clean = np.empty_like(x_BTPC, dtype=np.float32)
        for start in range(0, len(x_BTPC), size):
            stop = min(start + size, len(x_BTPC))
            rows = np.minimum(np.arange(start, start + size), stop - 1)
            whole = (x_BTPC, np.full(len(x_BTPC), t, np.float32), cond)
            part = placed(jax.tree.map(partial(np.take, indices=rows, axis=0), whole), split)
            with jax.set_mesh(self.mesh):
                out = clean_rows(self.config, self.params, *part)
            clean[start:stop] = fetched(out)[: stop - start]
        return clean


def on_mesh(params: dict, mesh: Mesh) -> dict:
    """Parameters on every device of the mesh; the embedded model is far too small to be split."""
    return placed(params, replicated(mesh))


@partial(jax.jit, static_argnums=(1, 2, 3))
def _normal(key: jax.Array, frames: int, patches: int, channels: int) -> jax.Array:
    return jax.random.normal(key, (frames, patches, channels))


STAGES = ("blueprint", "segment", "seam", "insertion")


def noise_of(seed: int, latent_shape: tuple[int, int], frames: int):
    """`windows.Noise` for this seed: the key is folded in by stage, index and attempt."""
    root = jax.random.key(seed)

    def noise(stage: str, index: int, attempt: int) -> np.ndarray:
        key = root
        for number in (STAGES.index(stage), index, attempt):
            key = jax.random.fold_in(key, jnp.uint32(number))
        return np.asarray(_normal(key, frames, *latent_shape))

    return noise
