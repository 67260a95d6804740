"""Weights of the experts that we train: parameters, the threshold that was measured for them, and their version."""

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avatar_jax.weights import ship

FALSE_POSITIVE = 0.02
"""Share of the bad clips that a calibrated threshold lets through, on the clips that it was calibrated on."""


@dataclass(frozen=True)
class Trained:
    """What `experts train` and `experts roc --calibrate` leave in NAME.safetensors."""

    params: Any
    threshold: float
    version: str
    note: dict[str, Any]


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
