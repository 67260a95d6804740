"""The storyline: a structured, time-stamped plan of the video that a person can read, edit and feed back.

Times are decimal seconds with at most three digits after the point. They are kept as `Decimal`, and that the shots
cover the recording without gap or overlap is checked in exact arithmetic: the first shot starts at 0, each starts
where the one before ends, and the last ends at samples / sample_rate rounded to a millisecond (halves up). Readers
treat the last shot as lasting to the true end, which is less than a millisecond away.
"""

import difflib
import json
import re
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError, model_validator

from avatar_jax.media import BadInput, unwritable

Emotion = Literal["calm", "excitement", "confusion", "sadness", "surprise", "anger", "joy", "neutral"]
Camera = Literal["static", "push_in", "pull_out", "pan_left", "pan_right", "tilt_up", "tilt_down"]
Action = Literal["none", "nod", "shake_head", "tilt_head", "raise_hand", "wave", "look_left", "look_right", "lean_in"]
Gaze = Literal["viewer", "left", "right", "up", "down"]
Language = Literal["en", "zh", "ja", "ko", "other"]
Voice = Literal["speaking", "singing", "listening"]
Expert = Literal["text", "audio", "image", "rule", "model"]

VOICES: tuple[str, ...] = get_args(Voice)
EMOTIONS: tuple[str, ...] = get_args(Emotion)
CAMERAS: tuple[str, ...] = get_args(Camera)
ACTIONS: tuple[str, ...] = get_args(Action)
GAZES: tuple[str, ...] = get_args(Gaze)
LANGUAGES: tuple[str, ...] = get_args(Language)

VERSION = 1
SHOTS = 4000
MILLISECOND = Decimal("0.001")


def milliseconds(seconds: Fraction | Decimal | float | int) -> Decimal:
    """Seconds rounded to a millisecond, halves up: the only times that a storyline holds."""
    exact = Fraction(str(seconds)) if isinstance(seconds, float) else Fraction(seconds)
    return (Decimal(int(exact * 1000 + Fraction(1, 2))) / 1000).quantize(MILLISECOND, ROUND_HALF_UP)


def _plain_number(value: Any) -> Any:
    if isinstance(value, str | bool):
        raise ValueError("a number of seconds")
    return str(value) if isinstance(value, float) else value


Seconds = Annotated[
    Decimal,
    BeforeValidator(_plain_number),
    Field(ge=0, decimal_places=3, allow_inf_nan=False, json_schema_extra={"type": "number"}),
    PlainSerializer(float, return_type=float, when_used="json"),
]
Amount = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Line = Annotated[str, Field(max_length=2000)]


class _Part(BaseModel):
    """Unknown keys are refused, so that a misspelt edit never passes unnoticed."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


class Sound(_Part):
    """Exact length of the recording that the shots cover."""

    samples: int = Field(gt=0)
    sample_rate: int = Field(gt=0)

    @property
    def seconds(self) -> Fraction:
        return Fraction(self.samples, self.sample_rate)


class Shot(_Part):
    """What happens in [start, end) seconds. `voice` is `listening` where the recording is silent: mouth closed."""

    start: Seconds
    end: Seconds
    voice: Voice = "speaking"
    emotion: Emotion = "neutral"
    intensity: Amount = 0.5
    action: Action = "none"
    gaze: Gaze = "viewer"
    camera: Camera = "static"
    camera_amount: Amount = 0.5
    motion: Amount = Field(default=0.5, description="Amount of head and body motion: 0 still, 1 lively.")
    negative_prompt: Line = ""


class Evidence(_Part):
    """Why the director believes something: who found it, what it says, what it was seen in."""

    expert: Expert
    finding: Line
    seen_in: Line


class Conflict(_Part):
    """Two wishes that could not both hold, what was done about it and why."""

    path: Line
    chosen: Line
    rejected: Line
    reason: Line


class Storyline(_Part):
    """Version 1 of the plan of one video."""

    version: Literal[1] = 1
    sound: Sound
    made_by: Line = Field(default="rules", description="The director that wrote it.")
    fallback: Line = Field(default="", description="Why the rules wrote it although another director was asked.")
    language: Language = "other"
    transcript: str = Field(default="", max_length=100_000)
    wish: str = Field(default="", max_length=20_000, description="The user's words, cleaned; no longer parsed.")
    character: Line = ""
    background: Line = ""
    style: Line = ""
    shots: list[Shot] = Field(min_length=1, max_length=SHOTS)
    evidence: list[Evidence] = []
    inferred: list[Line] = Field(default=[], description="JSON paths of fields that nobody asked for or showed.")
    conflicts: list[Conflict] = []

    @model_validator(mode="after")
    def _covers(self) -> "Storyline":
        expected = Decimal(0)
        for i, shot in enumerate(self.shots):
            if shot.start != expected:
                where = "at 0" if i == 0 else f"where $.shots[{i - 1}] ends, at {expected}"
                raise ValueError(f"$.shots[{i}].start|{shot.start}|a shot starts {where}: no gap, no overlap")
            if shot.end <= shot.start:
                raise ValueError(f"$.shots[{i}].end|{shot.end}|a shot ends after its start ({shot.start})")
            expected = shot.end
        length = milliseconds(self.sound.seconds)
        if expected != length:
            last = len(self.shots) - 1
            raise ValueError(f"$.shots[{last}].end|{expected}|the last shot ends with the recording, at {length}")
        return self

    def to_json(self) -> str:
        """Indented JSON, the form that is saved, with one shot per line group and readable non-Latin text."""
        return json.dumps(self.model_dump(mode="json"), ensure_ascii=False, indent=2) + "\n"

    def save(self, path: str | Path) -> None:
        part = Path(path).with_name(f".{Path(path).name}.part")
        try:
            part.write_text(self.to_json(), encoding="utf-8")
            part.replace(path)
        except OSError as error:
            part.unlink(missing_ok=True) if part.parent.is_dir() else None
            raise unwritable(path, error) from error


def one_shot(samples: int, sample_rate: int, **fields: Any) -> Storyline:
    """The storyline of one shot over the whole recording; `fields` are those of `Shot`."""
    end = milliseconds(Fraction(samples, sample_rate))
    return Storyline(
        sound=Sound(samples=samples, sample_rate=sample_rate), shots=[Shot(start=Decimal(0), end=end, **fields)]
    )


def parse(text: str, name: str = "storyline") -> Storyline:
    """A storyline from its JSON text.

    Raises:
      BadInput: with the JSON path of the first fault, what stood there, and the rule.
    """
    try:
        data = json.loads(text, parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        raise BadInput(name, f"not JSON ({error})", "a storyline is one JSON object", "undo the last edit") from error
    if not isinstance(data, dict):
        raise BadInput(f"{name} at $", type(data).__name__, "a storyline is one JSON object", "undo the last edit")
    try:
        return Storyline.model_validate(data)
    except ValidationError as error:
        raise _explain(name, error) from error


def load(path: str | Path, sound: Sound | None = None) -> Storyline:
    """The storyline saved at `path`; with `sound`, also checked to have been made for a recording of that length."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeError) as error:
        got = "no such file" if not Path(path).exists() else "not a text file that can be read"
        raise BadInput(f"storyline {path}", got, "--storyline names a UTF-8 JSON file", "check the path") from error
    storyline = parse(text, f"storyline {path}")
    if sound is not None and sound.seconds != storyline.sound.seconds:
        got = f"$.sound is {float(storyline.sound.seconds):.3f} s, the recording {float(sound.seconds):.3f} s"
        rule = "a storyline belongs to one recording"
        raise BadInput(f"storyline {path}", got, rule, "make a new one with python -m avatar_jax.director")
    return storyline


def schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a storyline; docs/storyline.schema.json is this, printed."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Storyline.model_json_schema()}


def _explain(name: str, error: ValidationError) -> BadInput:
    fault = error.errors(include_url=False)[0]
    path = "$" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in fault["loc"])
    got, rule, fix = str(fault.get("input")), fault["msg"], "correct this value"
    if fault["type"] == "value_error" and (own := re.match(r"Value error, (\$[^|]*)\|([^|]*)\|(.*)", rule)):
        path, got, rule = own.groups()
    elif fault["type"] == "value_error":
        rule = rule.removeprefix("Value error, ")
    elif fault["type"] == "missing":
        got, fix = "missing", "add it"
    elif fault["type"] == "extra_forbidden":
        known = Shot.model_fields if "shots" in fault["loc"] else Storyline.model_fields
        got, rule = f"{fault['loc'][-1]} = {got}", "only known keys"
        fix = _nearest(str(fault["loc"][-1]), list(known)) or "remove it"
    elif fault["type"] == "literal_error":
        words = re.findall(r"'([^']+)'", rule)
        fix = _nearest(got, words) or fix
    return BadInput(f"{name} at {path}", got, rule, fix)


def _nearest(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word.lower(), known, n=2, cutoff=0.5)
    return f"did you mean {' or '.join(close)}?" if close else ""
