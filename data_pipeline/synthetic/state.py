"""State of one frame: the numbers from which the renderer draws, and the emotions that shift them.

Everything a frame shows beside the identity is one float32 row of `STATE`. Units: picture widths for positions,
radians for roll, the natural logarithm for zoom; the rest has no unit and lies in the range given in `RANGES`.
"""

import numpy as np
from jaxtyping import Float

from avatar_jax.models.pose import POSE

RANGES: dict[str, tuple[float, float]] = {
    "open": (0.0, 1.1),  # opening of the mouth, the gain of the emotion included
    "spread": (-1.0, 1.0),  # -1 rounded (oo), 1 wide (ee)
    "teeth": (0.0, 1.0),
    "tongue": (0.0, 1.0),
    "smile": (-1.0, 1.0),
    "brow": (-1.0, 1.0),  # 1 raised
    "frown": (-1.0, 1.0),  # -1 sad slant, 1 angry slant
    "blink": (0.0, 1.0),  # 1 closed
    "squint": (0.0, 1.0),
    "gaze_x": (-1.0, 1.0),  # 1 to the right of the picture
    "gaze_y": (-1.0, 1.0),  # 1 down
    "log_zoom": (-0.36, 0.6),
    "pan_x": (-0.25, 0.25),
    "pan_y": (-0.25, 0.25),
    "head_x": (-0.08, 0.08),
    "head_y": (-0.06, 0.06),
    "roll": (-0.35, 0.35),
    "yaw": (-1.0, 1.0),
    "pitch": (-1.0, 1.0),
    "hand": (0.0, 1.0),  # 0 below the picture, 1 raised to its place
    "hand_x": (-0.5, 0.5),  # place of the raised palm, seen from (0.5, 0.62): about the mouth
    "hand_y": (-0.4, 0.4),
    "occlude": (0.0, 1.0),  # label only: part of the mouth that the hand covers
}
STATE: tuple[str, ...] = tuple(RANGES)
COLUMN: dict[str, int] = {name: i for i, name in enumerate(STATE)}
POSE_COLUMNS = slice(COLUMN[POSE[0]], COLUMN[POSE[-1]] + 1)
"""The columns that `avatar_jax.models.pose` reads, in its order."""

EMOTIONS = ("calm", "excitement", "confusion", "sadness", "surprise", "anger", "joy", "neutral")
_FACES: dict[str, dict[str, float]] = {
    "calm": {"smile": 0.2, "squint": 0.15, "brow": 0.05},
    "excitement": {"smile": 0.7, "brow": 0.6, "spread": 0.15},
    "confusion": {"smile": -0.25, "brow": 0.3, "frown": -0.35, "squint": 0.35, "spread": -0.1},
    "sadness": {"smile": -0.75, "brow": 0.15, "frown": -0.95, "squint": 0.2, "gaze_y": 0.25},
    "surprise": {"brow": 1.0, "frown": -0.1, "spread": -0.25, "smile": 0.05},
    "anger": {"smile": -0.55, "brow": -0.6, "frown": 1.0, "squint": 0.4},
    "joy": {"smile": 0.95, "brow": 0.25, "squint": 0.45, "spread": 0.2},
    "neutral": {},
}
_OPEN_GAIN = {"calm": 0.85, "excitement": 1.2, "sadness": 0.8, "surprise": 1.15, "anger": 1.15, "joy": 1.1}


def neutral() -> Float[np.ndarray, "state"]:
    """The state of a portrait: mouth closed, eyes open and ahead, pose zero, no hand."""
    return np.zeros(len(STATE), np.float32)


def emotion_face(name: str, intensity: float) -> dict[str, float]:
    """Offsets of state columns for an emotion of `EMOTIONS` at intensity 0 to 1; add them, then `bound`."""
    return {column: intensity * value for column, value in _FACES[name].items()}


def open_gain(name: str, intensity: float) -> float:
    """Factor on the opening of a speaking mouth: lively emotions open wider."""
    return 1.0 + intensity * (_OPEN_GAIN.get(name, 1.0) - 1.0)


def bound(states_TS: Float[np.ndarray, "*t state"]) -> Float[np.ndarray, "*t state"]:
    """Clip every column into `RANGES`."""
    low, high = np.array(list(RANGES.values()), np.float32).T
    return np.clip(states_TS, low, high).astype(np.float32)
