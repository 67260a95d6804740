"""Storylines for synthetic clips: random plans in the director's own schema, true to what the sound does.

Shots change where the voice pauses, when it does; a shot in which nothing is spoken is a listening one.
"""

from decimal import Decimal
from itertools import pairwise
from typing import cast

import numpy as np

from avatar_jax.director.storyline import Language, Shot, Sound, Storyline, milliseconds
from data_pipeline.synthetic.identity import Identity
from data_pipeline.synthetic.motion import silences
from data_pipeline.synthetic.speech import SAMPLE_RATE, Speech

SHORTEST_S = 0.9
SPOKEN_LEAST = 0.12
"""Share of a shot that phones cover, below which it counts as listening."""
BEYOND_S = 3.0
"""Mean of how far outside the clip an outer shot's camera move begins or ends: long shots move slowly."""

Odds = dict[str, float]
EMOTION_ODDS: Odds = {"neutral": 0.16} | dict.fromkeys(
    ("calm", "excitement", "confusion", "sadness", "surprise", "anger", "joy"), 0.12
)
CAMERA_ODDS: Odds = {"static": 0.36, "push_in": 0.2, "pull_out": 0.14, "pan_left": 0.09, "pan_right": 0.09} | {
    "tilt_up": 0.06,
    "tilt_down": 0.06,
}
ACTION_ODDS: Odds = {"none": 0.36, "nod": 0.09, "shake_head": 0.09, "tilt_head": 0.08, "raise_hand": 0.09} | {
    "wave": 0.09,
    "look_left": 0.07,
    "look_right": 0.07,
    "lean_in": 0.06,
}
GAZE_ODDS: Odds = {"viewer": 0.76, "left": 0.07, "right": 0.07, "up": 0.04, "down": 0.06}


def pick(rng: np.random.Generator, odds: Odds) -> str:
    """One of the names; the odds need not add up to 1."""
    shares = np.array(list(odds.values()))
    return str(rng.choice(list(odds), p=shares / shares.sum()))


def cuts(rng: np.random.Generator, speech: Speech) -> list[float]:
    """Instants between shots: none, one or two, at the edges of pauses where there are some."""
    seconds = speech.seconds
    wanted = int(rng.choice(3, p=[0.45, 0.35, 0.2]))
    edges = [t for gap in silences(speech.phones, seconds, 0.6) for t in gap]
    found: list[float] = []
    for _ in range(8 * wanted):
        at = float(rng.choice(edges)) if edges and rng.random() < 0.6 else rng.uniform(0, seconds)
        if len(found) < wanted and all(abs(at - other) >= SHORTEST_S for other in [0.0, seconds, *found]):
            found.append(at)
    return sorted(found)


def spoken(speech: Speech, start: float, end: float) -> float:
    """Share of start .. end that phones cover."""
    return sum(max(0.0, min(p.end, end) - max(p.start, start)) for p in speech.phones) / (end - start)


def random_shot(rng: np.random.Generator, speech: Speech, start: Decimal, end: Decimal) -> Shot:
    """A shot of any wish; amounts in tenths, as local prompts tell them."""
    if spoken(speech, float(start), float(end)) < SPOKEN_LEAST:
        voice = "listening"
    else:
        voice = "singing" if speech.mode == "song" else "speaking"
    return Shot.model_validate(
        {
            "start": start,
            "end": end,
            "voice": voice,
            "emotion": pick(rng, EMOTION_ODDS),
            "intensity": int(rng.integers(2, 11)) / 10,
            "action": pick(rng, ACTION_ODDS),
            "gaze": pick(rng, GAZE_ODDS),
            "camera": pick(rng, CAMERA_ODDS),
            "camera_amount": int(rng.integers(1, 11)) / 10,
            "motion": int(rng.integers(0, 11)) / 10,
        }
    )


def make_storyline(rng: np.random.Generator, speech: Speech, identity: Identity) -> Storyline:
    """One to three shots that cover the clip."""
    sound = Sound(samples=len(speech.wave), sample_rate=SAMPLE_RATE)
    edges = [Decimal(0), *(milliseconds(t) for t in cuts(rng, speech)), milliseconds(sound.seconds)]
    return Storyline(
        sound=sound,
        language=cast(Language, speech.language),
        transcript=speech.text[:500],
        character=f"a drawn {identity.species}",
        background=identity.background,
        style=f"{identity.style} drawing",
        shots=[random_shot(rng, speech, a, b) for a, b in pairwise(edges)],
    )


LASTING = ("none", "raise_hand", "wave")
"""Actions of which a clip may show a part alone; the others are to be seen whole."""


def camera_spans(rng: np.random.Generator, storyline: Storyline) -> list[tuple[float, float]]:
    """(start, end) of each shot's camera move; half of the outer moves reach beyond the clip."""
    spans = [(float(s.start), float(s.end)) for s in storyline.shots]
    if rng.random() < 0.5:
        spans[0] = (spans[0][0] - rng.exponential(BEYOND_S), spans[0][1])
    if rng.random() < 0.5:
        spans[-1] = (spans[-1][0], spans[-1][1] + rng.exponential(BEYOND_S))
    return spans


def shot_spans(storyline: Storyline, camera: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """(start, end) of each shot's action: those of its camera move where the action lasts, else the shot's own."""
    return [
        span if shot.action in LASTING else (float(shot.start), float(shot.end))
        for shot, span in zip(storyline.shots, camera, strict=True)
    ]
