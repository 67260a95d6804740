"""The form in which a model states a plan: shots with weights, no times. The host makes exact spans of them.

Models are poor at adding up seconds and good at saying what comes after what; so they give each shot a weight, and
`spans` shares the time out, to the millisecond.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from avatar_jax.director.experts.audio import Span
from avatar_jax.director.layout import SHORTEST
from avatar_jax.director.storyline import (
    ACTIONS,
    CAMERAS,
    EMOTIONS,
    GAZES,
    LANGUAGES,
    Action,
    Camera,
    Emotion,
    Gaze,
    Language,
)

HEAVIEST = 20
TENTHS = [round(0.1 * n, 1) for n in range(11)]
SNAP = Fraction(6, 10)
"""Seconds within which a cut moves to the end of a pause."""
FIELDS = ("emotion", "action", "gaze", "camera", "motion", "character", "background", "style")
TEXT = r'^[^"\\\x00-\x1f\x7f]*$'
"""Text in answers needs no escapes, so that an answer's length is known before it is given."""

Tenth = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


@dataclass(frozen=True)
class Limits:
    """Characters of an answer's texts and of a transcript, and shots in one window."""

    line: int = 240
    transcript: int = 1200
    shots: int = 12
    conflicts: int = 4


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class DraftShot(_Part):
    """One shot; `avoid` is its negative prompt, `why` names the expert and what it said."""

    weight: int = Field(ge=1, le=HEAVIEST)
    emotion: Emotion
    intensity: Tenth
    action: Action
    gaze: Gaze
    camera: Camera
    camera_amount: Tenth
    motion: Tenth
    avoid: str = Field(max_length=2000)
    why: str = Field(max_length=2000)


class DraftConflict(_Part):
    """Two wishes that could not both hold."""

    field: str = Field(max_length=40)
    chosen: str = Field(max_length=2000)
    rejected: str = Field(max_length=2000)
    reason: str = Field(max_length=2000)


class Draft(_Part):
    """The plan of one window."""

    character: str = Field(max_length=2000)
    background: str = Field(max_length=2000)
    style: str = Field(max_length=2000)
    language: Language
    sung: bool
    shots: list[DraftShot] = Field(min_length=1, max_length=100)
    conflicts: list[DraftConflict] = Field(max_length=100)
    inferred: list[str] = Field(max_length=100)


class HeardReport(_Part):
    """The audio expert's report."""

    transcript: str = Field(max_length=20_000)
    language: Language
    report: str = Field(max_length=2000)


class Report(_Part):
    """What an expert says, or answers."""

    report: str = Field(max_length=2000)


class Questions(_Part):
    """What the director wants to know of each expert; an empty question is not asked."""

    audio: str = Field(max_length=2000)
    image: str = Field(max_length=2000)
    text: str = Field(max_length=2000)


def text_schema(longest: int) -> dict[str, Any]:
    """A text without quotes, backslashes or control characters."""
    return {"type": "string", "pattern": TEXT, "maxLength": longest}


def object_schema(properties: dict[str, Any]) -> dict[str, Any]:
    """An object with exactly these keys, in this order."""
    closed = {"required": list(properties), "additionalProperties": False}
    return {"type": "object", "properties": properties, **closed}


def draft_schema(limits: Limits) -> dict[str, Any]:
    """JSON Schema of a Draft within `limits`."""
    line = text_schema(limits.line)
    tenth = {"enum": TENTHS}
    shot = object_schema(
        {
            "weight": {"type": "integer", "minimum": 1, "maximum": HEAVIEST},
            "emotion": {"enum": list(EMOTIONS)},
            "intensity": tenth,
            "action": {"enum": list(ACTIONS)},
            "gaze": {"enum": list(GAZES)},
            "camera": {"enum": list(CAMERAS)},
            "camera_amount": tenth,
            "motion": tenth,
            "avoid": line,
            "why": line,
        }
    )
    conflict = object_schema({"field": {"enum": list(FIELDS)}, "chosen": line, "rejected": line, "reason": line})
    return object_schema(
        {
            "character": line,
            "background": line,
            "style": line,
            "language": {"enum": list(LANGUAGES)},
            "sung": {"type": "boolean"},
            "shots": {"type": "array", "items": shot, "minItems": 1, "maxItems": limits.shots},
            "conflicts": {"type": "array", "items": conflict, "minItems": 0, "maxItems": limits.conflicts},
            "inferred": {"type": "array", "items": {"enum": list(FIELDS)}, "minItems": 0, "maxItems": len(FIELDS)},
        }
    )


def most_bytes(schema: dict[str, Any]) -> int:
    """Bytes of the longest compact JSON that fits a schema of this module; a token is at least one byte."""
    if "enum" in schema:
        return max(len(str(value).encode()) for value in schema["enum"]) + 2
    match schema["type"]:
        case "string":
            return 4 * schema["maxLength"] + 2
        case "array":
            return 2 + schema["maxItems"] * (most_bytes(schema["items"]) + 1)
        case "object":
            return 2 + sum(len(key) + 4 + most_bytes(value) for key, value in schema["properties"].items())
    return len(str(schema.get("maximum", False)))


def spans(
    weights: list[int], start: Fraction, end: Fraction, pauses: list[Span]
) -> list[tuple[int, Fraction, Fraction]]:
    """(index, start, end) of the shots that find room in [start, end), by weight, without gaps.

    Cuts move to the end of a pause nearby; the lightest shots are left out where some would be shorter than SHORTEST.
    """
    kept = list(range(len(weights)))
    while len(kept) > 1 and min(_shares(kept, weights, end - start)) < SHORTEST:
        kept.remove(min(kept, key=lambda i: weights[i]))
    edges = [start]
    for share in _shares(kept, weights, end - start):
        edges.append(edges[-1] + share)
    for k in range(1, len(edges) - 1):
        near = [stop for _, stop in pauses if abs(stop - edges[k]) <= SNAP]
        moved = min(near, key=lambda stop: abs(stop - edges[k]), default=edges[k])
        if moved - edges[k - 1] >= SHORTEST and edges[k + 1] - moved >= SHORTEST:
            edges[k] = moved
    edges[-1] = end
    return [(i, a, b) for i, a, b in zip(kept, edges, edges[1:], strict=False)]


def _shares(kept: list[int], weights: list[int], length: Fraction) -> list[Fraction]:
    return [length * weights[i] / sum(weights[k] for k in kept) for i in kept]
