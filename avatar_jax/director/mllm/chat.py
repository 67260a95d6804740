"""What is said to a multimodal model, whichever it is: messages of text, sound and pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from jaxtyping import Float32, UInt8


@dataclass(frozen=True)
class Sound:
    """mono: [n] samples at `media.audio.MODEL_RATE`."""

    mono: Float32[np.ndarray, " n"]


@dataclass(frozen=True)
class Picture:
    """rgb: [H, W, 3]."""

    rgb: UInt8[np.ndarray, "H W 3"]


@dataclass(frozen=True)
class Message:
    """One turn; sound and pictures come before the text that speaks of them."""

    role: Literal["system", "user", "assistant"]
    parts: tuple[str | Sound | Picture, ...]


class NoAnswer(RuntimeError):
    """The model gave no answer of the form that was asked for; the text says why, in one line."""


class Chat(Protocol):
    """A model that answers with JSON of a given schema."""

    @property
    def name(self) -> str:
        """What the storyline says wrote it."""
        ...

    def ask(self, messages: Sequence[Message], schema: dict[str, Any]) -> str:
        """The answer's JSON text.

        Raises:
          NoAnswer: after all retries.
        """
        ...
