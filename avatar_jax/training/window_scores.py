"""Scores of the embedded generator on held-out windows, read from generated latents by the linear readout."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from avatar_jax.diffusion.flow import velocity_from_x0
from avatar_jax.diffusion.guidance import Guidance, branches, guided
from avatar_jax.diffusion.schedule import sigmas
from avatar_jax.diffusion.solver import euler
from avatar_jax.models.segment import FACE_LABELS, GRID_CHANNELS, WindowConditions, WindowConfig, WindowModel
from avatar_jax.training.face_probe import correlation, read
from avatar_jax.training.stage import Params
from avatar_jax.training.window_tricks import LastFrame, last_frame_as

ENDS = 3
"""Frames before the last key frame in which its pull on the mouth is looked for."""
SPOILT_GAIN, SPOILT_NOISE = 1.8, 0.5
"""Corruption of a known frame in the negative branch: exaggerated contrast, and noise in units of the latents."""


@dataclass(frozen=True)
class Making:
    """How windows are generated for a score."""

    steps: int = 6
    guidance: Guidance = field(default_factory=Guidance)
    gain: float = 1.0
    """Scales what the sound adds."""
    last: LastFrame = "hard"
    shift: float = 4.0


Known = Literal["none", "first", "ends"]


def scores(
    model: WindowConfig, params: Params, batch: dict[str, np.ndarray], readout: np.ndarray, making: Making, seed: int
) -> dict[str, float]:
    """Of windows made from the portrait, sound and prompt alone.

    mouth: correlation with the label; bound: the same reading of the true latents; swapped: of latents generated
    with another window's sound, which should be near zero; amplitude: spread relative to the truth; face_NAME:
    correlation of what the prompt asks for; explained: share of the true latents' power that is made right.
    """
    cond, clean = conditions_of(batch, "none"), batch["latents_BTPC"]
    labels = batch["labels_BTK"].reshape(-1, len(FACE_LABELS))
    swapped = cond.replace(audio_BTUM=np.roll(cond.audio_BTUM, 1, axis=0))
    own, other, truth = (
        grid_features(x)
        for x in (made(model, params, cond, making, seed), made(model, params, swapped, making, seed), clean)
    )
    faces, faces_swapped, faces_true = (read(readout, x) for x in (own, other, truth))
    label, true = labels[:, 0], faces_true[:, 0]
    asked = {name: FACE_LABELS.index(name) for name in ("smile", "brow", "frown")}
    return {
        "mouth": correlation(faces[:, 0], label),
        "mouth_bound": correlation(true, label),
        "mouth_swapped": correlation(faces_swapped[:, 0], label),
        "mouth_amplitude": float(faces[:, 0].std() / max(true.std(), 1e-6)),
        "explained": 1 - float(np.mean((own - truth) ** 2) / np.mean(truth**2)),
    } | {f"face_{name}": correlation(faces[:, i], labels[:, i]) for name, i in asked.items()}


def known_scores(
    model: WindowConfig, params: Params, batch: dict[str, np.ndarray], readout: np.ndarray, making: Making, seed: int
) -> dict[str, float]:
    """Of windows with known frames.

    first_mouth: first frame known. ends_mouth, ends_error: first and last known; the last shows another instant of the
    clip, as a key frame of a blueprint does, so its mouth is wrong; over the last frames up to the last one shown, and
    the mean squared error of all frames between.
    """
    label = batch["labels_BTK"][..., 0]
    shape = batch["latents_BTPC"].shape[:2]

    def mouth(x: np.ndarray) -> np.ndarray:
        return read(readout, grid_features(x))[:, 0].reshape(shape)

    first = mouth(made(model, params, conditions_of(batch, "first"), making, seed))
    wrong = {**batch, "latents_BTPC": batch["latents_BTPC"].copy()}
    wrong["latents_BTPC"][:, -1] = batch["latents_BTPC"][:, shape[1] // 2]
    ends = made(model, params, conditions_of(wrong, "ends"), making, seed)
    # A hard last frame is shown; the slot of a picture is not.
    shown = slice(shape[1] - 1 - ENDS, shape[1] if making.last == "hard" else shape[1] - 1)
    between = np.s_[:, 1:-1, :-1, :GRID_CHANNELS]
    return {
        "first_mouth": correlation(first[:, 1:].ravel(), label[:, 1:].ravel()),
        "ends_mouth": correlation(mouth(ends)[:, shown].ravel(), label[:, shown].ravel()),
        "ends_error": float(np.mean((ends[between] - np.asarray(batch["latents_BTPC"], np.float32)[between]) ** 2)),
    }


def conditions_of(batch: dict[str, np.ndarray], known: Known) -> WindowConditions:
    """Conditions of held-out windows of which these frames are known."""
    B, T = batch["times_BT"].shape
    places = {"none": [], "first": [0], "ends": [0, T - 1]}[known]
    known_BT = np.broadcast_to(np.isin(np.arange(T), places), (B, T))
    arrays: dict[str, Any] = {
        "known_BTPC": np.asarray(batch["latents_BTPC"], np.float32) * known_BT[:, :, None, None],
        "known_mask_BT": known_BT,
        "times_BT": batch["times_BT"],
        "text_ids_BSL": batch["text_ids_BSL"],
        "shot_weights_BTS": batch["shot_weights_BTS"],
        "clocks_BTS2": batch["clocks_BTS2"],
        "portrait_BPC": batch["portrait_BPC"],
        "audio_BTUM": np.asarray(batch["audio_BTUM"], np.float32),
    }
    return WindowConditions(**arrays)


def spoilt(cond: WindowConditions, key: jax.Array) -> WindowConditions:
    """The conditions with corrupted known frames: the negative branch of Kling-Avatar's negative-frame guidance."""
    noise = SPOILT_NOISE * jax.random.normal(key, cond.known_BTPC.shape)
    mask = jnp.asarray(cond.known_mask_BT, jnp.float32)[:, :, None, None]
    return cond.replace(known_BTPC=(SPOILT_GAIN * cond.known_BTPC + noise) * mask)


def made(model: WindowConfig, params: Params, cond: WindowConditions, making: Making, seed: int) -> np.ndarray:
    """Latents [B, T, P, C] of these windows."""
    key = jax.random.key(seed)
    noise = jax.random.normal(key, cond.known_BTPC.shape)
    cond = last_frame_as(jax.tree.map(jnp.asarray, cond), making.last, making.shift)
    plain = replace(making, last="hard", shift=0.0)
    return np.asarray(_made(model, plain, params, cond, spoilt(cond, jax.random.fold_in(key, 1)), noise))


def _made(
    model: WindowConfig,
    making: Making,
    params: Params,
    cond: WindowConditions,
    negative: WindowConditions,
    noise: jax.Array,
) -> jax.Array:
    """Euler from noise; compiled once per shape."""
    return euler(velocity_of(model, making, params, cond, negative), noise, jnp.asarray(sigmas(making.steps)))


_made = jax.jit(_made, static_argnums=(0, 1))


def velocity_of(
    model: WindowConfig, making: Making, params: Params, cond: WindowConditions, negative: WindowConditions
) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """(x, t) -> guided velocity."""

    def velocity(x: jax.Array, t: jax.Array, cond: WindowConditions) -> jax.Array:
        times = jnp.broadcast_to(t, x.shape[:1])
        return velocity_from_x0(x, WindowModel(model).denoise(params, x, times, cond, making.gain), times)

    wordless, silent = WindowConditions.without_text, WindowConditions.without_audio
    return guided(velocity, branches(making.guidance, cond, wordless, silent, negative))


def grid_features(latents_BTPC: np.ndarray) -> np.ndarray:
    """[B, T, P, C] -> [B * T, features]: the grid part of every frame."""
    grid = np.asarray(latents_BTPC, np.float32)[:, :, :-1, :GRID_CHANNELS]
    return grid.reshape(grid.shape[0] * grid.shape[1], -1)
