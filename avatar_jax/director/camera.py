"""The camera that a storyline asks for, as a smooth path of zoom and pan over the whole recording.

A camera move needs no network: where the embedded model's pose token says zoom and pan, this path is what is written,
so a move takes exactly its shot, however long that is, and never trembles. Sides are the viewer's: pan_left looks to
the left edge of the picture.
"""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float

from avatar_jax.director.storyline import Shot

CAMERA = ("log_zoom", "pan_x", "pan_y")
"""The columns of a path; units as in `models.pose`."""
MOVES = {
    "push_in": ("log_zoom", 0.5),
    "pull_out": ("log_zoom", -0.42),
    "pan_left": ("pan_x", -0.22),
    "pan_right": ("pan_x", 0.22),
    "tilt_up": ("pan_y", -0.12),
    "tilt_down": ("pan_y", 0.12),
}
"""Column and way of a whole move at amount 1; at amount 0 it is 0.3 of that."""
LIMITS = {"log_zoom": (np.log(0.75), np.log(1.65)), "pan_x": (-0.175, 0.175), "pan_y": (-0.09, 0.09)}
LEAN_IN = 0.08
"""Zoom at the height of the action lean_in."""
HIDDEN_EDGE = 1.7
"""How much closer a panning camera stands, so that what the portrait does not show stays outside: 1 / (1 - 1.7 pan)."""

Path = Callable[[Float[np.ndarray, "T"]], Float[np.ndarray, "T 3"]]


def ease(x: np.ndarray) -> np.ndarray:
    """0 before 0, 1 after 1, with zero slope and curvature at both ends."""
    x = np.clip(x, 0.0, 1.0)
    return x * x * x * (x * (6 * x - 15) + 10)


def way(shot: Shot) -> tuple[str, float]:
    """The column that a shot's camera moves and how far; nothing where it is static."""
    if shot.camera not in MOVES:
        return "log_zoom", 0.0
    column, full = MOVES[shot.camera]
    return column, full * (0.3 + 0.7 * shot.camera_amount)


def camera_path(shots: Sequence[Shot]) -> Path:
    """Zoom and pan at any instants (seconds): every shot's move lasts from its start to its end.

    The path begins where its moves have room: pans are centred, zooms stay within LIMITS and end no wider than the
    portrait where they can. Moves that would leave the limits are shortened.
    """
    ends = {name: [0.0] for name in CAMERA}
    for shot in shots:
        column, move = way(shot)
        for name in CAMERA:
            ends[name].append(ends[name][-1] + (move if name == column else 0.0))
    knots = {name: _placed(name, np.array(values)) for name, values in ends.items()}
    pan = max(np.abs(knots["pan_x"]).max(), np.abs(knots["pan_y"]).max())
    nearer = -np.log(1 - HIDDEN_EDGE * pan)
    knots["log_zoom"] = np.minimum(knots["log_zoom"] + nearer, LIMITS["log_zoom"][1])

    def path(seconds: np.ndarray) -> np.ndarray:
        seconds = np.asarray(seconds, np.float64)
        track = np.stack([np.full(seconds.shape, knots[name][0]) for name in CAMERA], axis=-1)
        for i, shot in enumerate(shots):
            start, length = float(shot.start), float(shot.end) - float(shot.start)
            steps = np.array([knots[name][i + 1] - knots[name][i] for name in CAMERA])
            track += ease((seconds - start) / length)[:, None] * steps
            if shot.action == "lean_in":
                edge = min(0.5, length / 3)
                track[:, 0] += (
                    LEAN_IN * ease((seconds - start) / edge) * (1 - ease((seconds - start - length) / edge + 1))
                )
        return track

    return path


def _placed(name: str, values: np.ndarray) -> np.ndarray:
    low, high = LIMITS[name]
    if name != "log_zoom":
        return np.clip(values - (values.max() + values.min()) / 2, low, high)
    return np.clip(values - min(values.min(), 0.0), low, high)
