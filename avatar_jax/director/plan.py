"""Local plans: what one shot says to the video model, and which shots each frame belongs to."""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from jaxtyping import Float32, Int

from avatar_jax.director.storyline import Shot, Storyline
from avatar_jax.director.wording import phrase

BLEND = 0.16
"""Seconds on either side of a cut over which one shot's text hands over to the next (two frames at 12.5 fps)."""
CLOCK_S = 4.0
"""A shot's clock stops this many seconds from its start, and from its end: what lies further away is all the same."""

STRENGTH = ((0.2, "barely"), (0.4, "slightly"), (0.65, "clearly"), (0.85, "very"), (1.01, "extremely"))
FEELING = {
    "calm": "calm",
    "excitement": "excited",
    "confusion": "confused",
    "sadness": "sad",
    "surprise": "surprised",
    "anger": "angry",
    "joy": "happy",
    "neutral": "neutral",
}
ACTS = {
    "nod": "nods",
    "shake_head": "shakes the head",
    "tilt_head": "tilts the head",
    "raise_hand": "raises a hand",
    "wave": "waves a hand",
    "look_left": "looks to the left",
    "look_right": "looks to the right",
    "lean_in": "leans in",
}
MOVES = {
    "static": "the camera stays still",
    "push_in": "the camera pushes in",
    "pull_out": "the camera pulls out",
    "pan_left": "the camera pans left",
    "pan_right": "the camera pans right",
    "tilt_up": "the camera tilts up",
    "tilt_down": "the camera tilts down",
}
VERBS = {"speaking": "speaks", "singing": "sings", "listening": "listens with the mouth closed"}


def strength(intensity: float) -> str:
    """The adverb of an intensity in [0, 1]."""
    return next(word for limit, word in STRENGTH if intensity < limit)


def local_prompt(shot: Shot) -> str:
    """The canonical sentence of a shot, at most 40 words: the only form that sampling shows to the text encoder.

    It names emotion, action, camera, gaze and motion in this order, with amounts as numbers in tenths.
    """
    parts = [f"{VERBS[shot.voice]}, {strength(shot.intensity)} {FEELING[shot.emotion]} {shot.intensity:.1f}"]
    if shot.action != "none":
        parts.append(ACTS[shot.action])
    amount = "" if shot.camera == "static" else f" {shot.camera_amount:.1f}"
    parts.append(MOVES[shot.camera] + amount)
    parts.append("looks at the viewer" if shot.gaze == "viewer" else f"eyes {shot.gaze}")
    parts.append(f"motion {shot.motion:.1f}")
    return ", ".join(parts)


def shot_prompt(storyline: Storyline, shot: Shot) -> str:
    """A shot in plain English, for encoders of words: who, what, how the camera moves, where. The user's own words are
    added where there is one shot only; with several, each shot has its part of them."""
    who = storyline.character or "A person"
    sentence = f"{who} {VERBS[shot.voice]}, {strength(shot.intensity)} {FEELING[shot.emotion]}"
    if shot.action != "none":
        sentence += f", {ACTS[shot.action]}"
    sentence += ", looking at the viewer" if shot.gaze == "viewer" else f", looking {shot.gaze}"
    parts = [sentence, MOVES[shot.camera], storyline.background, storyline.style]
    if len(storyline.shots) == 1:
        parts.insert(0, storyline.wish)
    return ". ".join(part.strip().rstrip(".") for part in parts if part.strip()) + "."


def paraphrase(shot: Shot, rng: np.random.Generator) -> str:
    """One of many ways in which a person might ask for this shot, in English, Chinese, Japanese or Korean.

    Training shows these beside `local_prompt`, so that wishes in a user's own words land near the canonical ones.
    """
    return phrase(shot, str(rng.choice(["en", "en", "zh", "ja", "ko"])), rng)


def shots_at(
    storyline: Storyline, times: Sequence[Fraction | float] | np.ndarray, blend: float = BLEND
) -> Float32[np.ndarray, "T S"]:
    """Weight of every shot at every instant (seconds); rows add up to 1.

    Inside a shot its weight is 1; around a cut the two shots exchange linearly over `blend` seconds on either side,
    or over half the shorter shot where that is less. Instants before 0 or after the end belong to the outer shots.
    """
    instants = np.array([float(t) for t in times], dtype=np.float64)
    edges = [float(shot.end) for shot in storyline.shots[:-1]]
    lengths = [float(shot.end - shot.start) for shot in storyline.shots]
    # past[:, i] is 1 after the i-th cut and 0 before it; neighbouring ramps cannot overlap.
    past = np.ones((len(instants), len(edges) + 2))
    past[:, -1] = 0
    for i, edge in enumerate(edges):
        half = max(1e-9, min(blend, lengths[i] / 2, lengths[i + 1] / 2))
        past[:, i + 1] = np.clip((instants - edge) / (2 * half) + 0.5, 0, 1)
    return (past[:, :-1] - past[:, 1:]).astype(np.float32)


def fullest(
    shares_BTN: Float32[np.ndarray, "B T N"], count: int
) -> tuple[Int[np.ndarray, "B count"], Float32[np.ndarray, "B T count"]]:
    """(numbers of the shots that have most of each window, their shares), of windows with more shots than `count`.

    An instant whose own shot was dropped listens to the others equally. A storyline of fewer shots is filled up with
    its first one, which gets no share there.
    """
    S = min(count, shares_BTN.shape[-1])
    empty = count - S
    used_BS = np.sort(np.argsort(-shares_BTN.sum(axis=1), axis=1, kind="stable")[:, :S], axis=1)
    shares_BTS = np.take_along_axis(shares_BTN, used_BS[:, None], axis=2)
    total_BT1 = shares_BTS.sum(axis=-1, keepdims=True)
    shares_BTS = np.where(total_BT1 > 0, shares_BTS / np.maximum(total_BT1, 1e-6), 1 / S).astype(np.float32)
    return np.pad(used_BS, ((0, 0), (0, empty))), np.pad(shares_BTS, ((0, 0), (0, 0), (0, empty)))


def shot_clocks(spans_S2: np.ndarray, seconds_T: np.ndarray) -> Float32[np.ndarray, "T S 2"]:
    """Seconds since each shot's start and until its end, both within 0 .. `CLOCK_S`: where in its shot a frame lies.

    Args:
        spans_S2: start and end of each shot, in seconds.
    """
    spans = np.asarray(spans_S2, np.float64)
    times = np.asarray(seconds_T, np.float64)[:, None]
    both = np.stack([times - spans[:, 0], spans[:, 1] - times], axis=-1)
    return np.clip(both, 0, CLOCK_S).astype(np.float32)


def spans_of(storyline: Storyline) -> np.ndarray:
    """[S, 2] start and end of every shot, in seconds."""
    return np.array([(float(shot.start), float(shot.end)) for shot in storyline.shots])
