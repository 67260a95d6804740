"""Weights of the experts that we train: parameters, the threshold that was measured for them, and their version."""

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from avatar_jax.weights import ship
from data_pipeline.protocol import Tracks, Verdict

FALSE_POSITIVE = 0.02
"""Share of the bad clips that a calibrated threshold lets through, on the clips that it was calibrated on."""


Faces = Literal["drawn", "recorded", "all"]
"""What faces a network has seen while it was trained; it is a stranger to the others, however sure it sounds."""


@dataclass(frozen=True)
class Trained:
    """What `experts train` and `experts roc --calibrate` leave in NAME.safetensors."""

    params: Any
    threshold: float
    version: str
    note: dict[str, Any]

    @property
    def faces(self) -> Faces:
        """As the note of the weights says; drawn where it does not, since our recipes draw their faces."""
        return self.note.get("faces", "drawn")


def kind(tracks: Tracks) -> Faces:
    """Of the face that a clip shows."""
    return "drawn" if tracks.drawn else "recorded"


def no_judge(tracks: Tracks | None, faces: Faces) -> Verdict:
    """The verdict of one who cannot look at a clip's mouth: no track, or a kind of face that it has never seen."""
    if tracks is None:
        return Verdict(None, "unavailable", reason="no face track, so nobody knows where the mouth is")
    return Verdict(None, "unavailable", reason=f"a {kind(tracks)} face, and these weights know {faces} faces alone")


def load_trained(name: str, path: Path | None = None) -> Trained:
    """The weights of a file, or the shipped ones.

    Raises:
        ship.WeightsError: if they are missing, unreadable or not calibrated.
    """
    path = path or ship.shipped(name)
    params, note = ship.load(path)
    if note.get("stage") != name:
        got = f"{path} holds {note.get('stage')}"
        raise ship.WeightsError("weights of another network", got, f"weights of {name}", "give the right file")
    calibration = note.get("calibration")
    if calibration is None:
        fix = f"python -m data_pipeline experts roc {name} --weights {path} --calibrate"
        raise ship.WeightsError("weights without a threshold", path, "an expert needs its measured threshold", fix)
    return Trained(params, float(calibration["threshold"]), version(name, path), note)


def version(name: str, path: Path) -> str:
    """Changes with the weights."""
    return f"{name}-1-{zlib.crc32(Path(path).read_bytes()):08x}"
