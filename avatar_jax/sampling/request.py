"""What is asked for, checked and decoded before anything is written."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from avatar_jax.director import storyline as storylines
from avatar_jax.director.storyline import Storyline
from avatar_jax.distributed import from_first
from avatar_jax.media import BadInput, Recording, load_audio, load_portrait
from avatar_jax.media.face import Box, Framing, Reader, frame_portrait, locate_face, parse_box
from avatar_jax.timeline import Timeline, rate

MODEL_FPS = Fraction(25, 2)
"""Frames per second inside the cascade of the embedded model."""
SLOWEST, FASTEST = MODEL_FPS, Fraction(48)

Director = Callable[[Recording, np.ndarray, str, Box | None], Storyline]
"""(recording, picture RGB, the user's words, box of the head in the picture) -> storyline."""


@dataclass(frozen=True)
class Request:
    """One video. Exactly one of `prompt` and `storyline` counts: a storyline replaces the director."""

    image: Path
    audio: Path
    out: Path
    prompt: str = ""
    storyline: Path | None = None
    fps: str = "25"
    face: str | None = None
    seed: int = 0
    redo: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        # Bytes that are no UTF-8 reach Python as half characters, which no file can hold.
        object.__setattr__(self, "prompt", self.prompt.encode("utf-8", "replace").decode())


@dataclass(frozen=True)
class Inputs:
    """A request's files, decoded and checked; needs no weights. `storyline`: the user's own; `box`: of --face."""

    picture: np.ndarray
    box: Box | None
    recording: Recording
    storyline: Storyline | None
    fps: Fraction


@dataclass(frozen=True)
class Prepared:
    """What the cascade starts from: the face framed, the storyline written."""

    framing: Framing
    recording: Recording
    storyline: Storyline
    timeline: Timeline

    def warned(self, warning: str) -> "Prepared":
        """With a further warning about the portrait."""
        both = "; ".join(filter(None, (self.framing.warning, warning)))
        return replace(self, framing=replace(self.framing, warning=both))


def parse_fps(text: str) -> Fraction:
    """Output rate; "30000/1001" and 29.97 are exact.

    Raises:
      BadInput: not a number, or outside SLOWEST .. FASTEST.
    """
    fix = "for example --fps 25 or --fps 30000/1001"
    rule = f"frames per second from {float(SLOWEST):g} to {float(FASTEST):g}"
    try:
        fps = rate(float(text) if "/" not in text else text)
    except (ValueError, ZeroDivisionError, OverflowError) as error:
        raise BadInput("--fps", text, rule, fix) from error
    if not SLOWEST <= fps <= FASTEST:
        raise BadInput("--fps", text, rule, fix)
    return fps


def decode(request: Request) -> Inputs:
    """Read and check every input.

    Raises:
      BadInput: for the first of the user's mistakes.
    """
    fps = parse_fps(request.fps)
    if request.storyline is not None and request.prompt:
        raise BadInput(
            "--prompt and --storyline", "both", "a storyline replaces the prompt", "give one of them, or edit the file"
        )
    if not 0 <= request.seed < 2**32:
        raise BadInput("--seed", request.seed, "a whole number from 0 to 4294967295", "for example --seed 1")
    picture = load_portrait(request.image)
    height, width = picture.shape[:2]
    box = parse_box(request.face, (width, height)) if request.face else None
    recording = load_audio(request.audio)
    storyline = None
    if request.storyline is not None:
        sound = storylines.Sound(samples=recording.samples, sample_rate=recording.sample_rate)
        storyline = storylines.load(request.storyline, sound)
    return Inputs(picture, box, recording, storyline, fps)


def prepare(inputs: Inputs, prompt: str, director: Director, finder: Reader | None = None) -> Prepared:
    """Frame the face, which `finder` knows in drawings, and write the storyline where the user has none.

    Raises:
      BadInput: a picture that cannot hold a face, or a prompt that is too long.
    """
    picture, recording = inputs.picture, inputs.recording
    box, how = (inputs.box, "given") if inputs.box is not None else locate_face(picture, finder)
    framing = frame_portrait(picture, box, how)
    # One process asks the director: a language model does not give every process the same answer.
    storyline = inputs.storyline or from_first(lambda: director(recording, picture, prompt, box))
    timeline = Timeline(recording.samples, recording.sample_rate, inputs.fps, MODEL_FPS)
    return Prepared(framing, recording, storyline, timeline)


def warn(prepared: Prepared) -> None:
    """Tell on stderr what the user should know of the portrait and of who planned."""
    for warning in (prepared.framing.warning, prepared.storyline.fallback):
        if warning:
            print(f"warning: {warning}", file=sys.stderr)
