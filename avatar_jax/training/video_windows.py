"""Windows of public video models for training: what a record on disk holds, and how one use of the model is drawn.

A record is one window of F = 1 + 4 (T - 1) frames, encoded beforehand:

| key | shape | meaning |
|---|---|---|
| latents_THWC | [T, h, w, C] | clean latents |
| shown_first_THWC | the same | latents of the video of which only the first frame is there; the others are grey |
| shown_ends_THWC | the same | with first and last frame |
| shown_mid_THWC, mid_frame | the same, [] | with the first and the frame `mid_frame`, 1 to F - 2 |
| last_HWC | [h, w, C] | the last frame as a picture of its own (its latent as a first frame) |
| text_SLE, shares_TS | [S, L, E], [T, S] | text encoder's output of each shot's prompt, zero after its end; shares |
| picture_IE | [I, E] | image tokens, for models that read them |
| heard_FLC | [F + 4, L, C] | speech features of every frame and of two on either side, for models that hear |
| face_THW, mouth_THW | [T, h, w] | 0..1, where face and mouth are; without them all places weigh the same |
| empty_C | [C] | latents of an empty frame; zeros without it |

Known frames of a kind that no record names are never drawn. All may be float16.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from avatar_jax.training.stage import EXAMPLES, CannotTrain
from avatar_jax.training.window_tricks import LastFrame

FRAMES_OF_A_LATENT = 4


@dataclass(frozen=True)
class KnownMix:
    """How often which frames are known: one model serves the blueprint (first) and sub-clips (ends) alike."""

    first: float = 0.45
    ends: float = 0.45
    mid: float = 0.10

    def __post_init__(self) -> None:
        if min(self.first, self.ends, self.mid) < 0 or self.first + self.ends + self.mid <= 0:
            raise ValueError("shares are 0 or more, and one is more than 0")


Kind = Literal["first", "ends", "mid"]


def draw_window(
    record: Mapping[str, Any],
    rng: np.random.Generator,
    mix: KnownMix,
    last: LastFrame = "hard",
    canvas: tuple[int, int] | None = None,
    number: int = -1,
) -> dict[str, np.ndarray]:
    """One example, named as in a batch (B is added by stacking).

    Args:
        canvas: rows and columns of latents; a smaller window lies anywhere in it, surrounded by empty frame.
        number: of the record.

    Raises:
        CannotTrain: the record lacks what every use needs, or is larger than the canvas.
    """
    missing = {"latents_THWC", "shown_first_THWC", "text_SLE", "shares_TS"} - record.keys()
    if missing:
        rule, fix = "every record holds latents, known frames and prompts", "see avatar_jax/training/video_windows.py"
        raise CannotTrain("a record lacks something", f"{', '.join(sorted(missing))} (record {number})", rule, fix)
    latents = np.asarray(record["latents_THWC"], np.float32)
    kind = draw_kind(record, rng, mix)
    pinned = kind == "ends" and last == "hard"
    shown = np.asarray(record[f"shown_{kind}_THWC" if kind == "mid" or pinned else "shown_first_THWC"], np.float32)
    told_T4 = told(kind if kind == "mid" or pinned else "first", len(latents), int(record.get("mid_frame", 0)))
    picture = kind == "ends" and not pinned
    last_HWC = record["last_HWC"] if picture else np.zeros(latents.shape[1:])
    example = {
        "latents_BTHWC": latents,
        "shown_BTHWC": shown,
        "told_BT4": told_T4,
        "last_BHWC": np.asarray(last_HWC, np.float32),
        "last_B": np.float32(picture),
        "text_BSLE": record["text_SLE"],
        "shares_BTS": np.asarray(record["shares_TS"], np.float32),
        "face_BTHW": np.asarray(record.get("face_THW", np.zeros(latents.shape[:3])), np.float32),
        "mouth_BTHW": np.asarray(record.get("mouth_THW", np.zeros(latents.shape[:3])), np.float32),
        EXAMPLES: np.int64(number),
    }
    example |= {f"{name}_B{axes}": record[f"{name}_{axes}"] for name, axes in OPTIONAL if f"{name}_{axes}" in record}
    if canvas is None:
        return example
    return on_canvas(example, rng, canvas, np.asarray(record.get("empty_C", np.zeros(latents.shape[-1]))))


OPTIONAL = (("picture", "IE"), ("heard", "FLC"))
PLACED = {"latents_BTHWC": 1, "shown_BTHWC": 1, "last_BHWC": 0, "face_BTHW": 1, "mouth_BTHW": 1}
"""What lies on the canvas, and which of an example's axes are its rows."""


def draw_kind(record: Mapping[str, Any], rng: np.random.Generator, mix: KnownMix) -> Kind:
    """One of the kinds that this record can serve."""
    shares = {"first": mix.first, "ends": mix.ends, "mid": mix.mid}
    able: list[Any] = [name for name in shares if f"shown_{name}_THWC" in record and shares[name] > 0] or ["first"]
    odds = np.array([max(shares[name], 1e-9) for name in able])
    return able[rng.choice(len(able), p=odds / odds.sum())]


def told(kind: Kind, latents: int, mid: int = 0) -> np.ndarray:
    """[T, 4]: which frames of each latent the model is told of; the first latent is one frame four times."""
    mask_T4 = np.zeros((latents, FRAMES_OF_A_LATENT), bool)
    mask_T4[0] = True
    if kind == "ends":
        mask_T4[-1, -1] = True
    if kind == "mid":
        mask_T4[1 + (mid - 1) // FRAMES_OF_A_LATENT, (mid - 1) % FRAMES_OF_A_LATENT] = True
    return mask_T4


def on_canvas(
    example: dict[str, np.ndarray], rng: np.random.Generator, canvas: tuple[int, int], empty_C: np.ndarray
) -> dict[str, np.ndarray]:
    """The example anywhere on an empty canvas."""
    rows, columns = example["latents_BTHWC"].shape[1:3]
    if rows > canvas[0] or columns > canvas[1]:
        rule, fix = f"at most the canvas, {canvas[0]} x {canvas[1]}", "a larger --video.canvas, or other records"
        raise CannotTrain("a record is too large", f"{rows} x {columns} cells of latents", rule, fix)
    # On even cells, as patches are two cells wide.
    top, left = (
        2 * int(rng.integers((room - size) // 2 + 1)) for room, size in zip(canvas, (rows, columns), strict=True)
    )
    out = dict(example)
    for name, first in PLACED.items():
        old = example[name]
        shape = (*old.shape[:first], *canvas, *old.shape[first + 2 :])
        whole = np.zeros(shape, np.float32)
        if name in ("latents_BTHWC", "shown_BTHWC", "last_BHWC"):
            whole[...] = empty_C
        at = (slice(None),) * first + (slice(top, top + rows), slice(left, left + columns))
        whole[at] = old
        out[name] = whole
    return out
