"""What the camera and the body do in one shot, told from tracks by rules that anybody can check.

Tracks are in the renderer's units (log zoom, picture widths, radians, about -1 to 1 for yaw, pitch and gaze), one
value per frame of the shot. Scores are in units of the least that counts, so 1 is the threshold.
"""

from collections.abc import Mapping

import numpy as np

MOVES = {
    "log_zoom": (0.5, "pull_out", "push_in"),
    "pan_x": (0.22, "pan_left", "pan_right"),
    "pan_y": (0.12, "tilt_up", "tilt_down"),
}
"""Track -> a whole move, and the names of moves that lower and raise it."""
LEAST_MOVE = {"log_zoom": 0.12, "pan_x": 0.18, "pan_y": 0.25}
"""Share of a whole move from which the camera counts as moving, by how well each can be read; the weakest move that can
be asked for is 0.37."""
EDGE_S = 0.5
"""Seconds that a held pose takes to be reached, at either end of a shot."""
LEAST = {"nod": 0.36, "shake_head": 0.45, "tilt_head": 0.085, "look": 0.22, "gaze": 0.35, "lean_in": 0.04}
HAND_UP, HAND_SHARE, WAVING = 0.4, 0.25, 0.011
"""Reading from which a hand is up, share of the shot that it must be, and spread of x from which it waves."""
PALM_INSIDE = 0.07
"""Picture widths from the edge at which half of a hand can be seen."""

Tracks = Mapping[str, np.ndarray]


def camera_moves(tracks: Tracks) -> dict[str, float]:
    """For each track of MOVES, how far the straight line through it goes over the shot, in whole moves."""
    out = {}
    for name, (whole, _, _) in MOVES.items():
        track = np.asarray(tracks[name], np.float64)
        slope = np.polyfit(np.arange(len(track)), track, 1)[0] if len(track) > 1 else 0.0
        out[name] = float(slope * len(track) / whole)
    return out


def camera_of(tracks: Tracks) -> str:
    """The camera move of a shot: the clearest one, or static."""
    moves = camera_moves(tracks)
    name = max(moves, key=lambda n: abs(moves[n]) / LEAST_MOVE[n])
    if abs(moves[name]) < LEAST_MOVE[name]:
        return "static"
    _, lowered, raised = MOVES[name]
    return raised if moves[name] > 0 else lowered


def smoothed(track: np.ndarray, frames: int) -> np.ndarray:
    """Moving average over an odd number of frames, mirrored at the ends."""
    frames = min(frames, len(track)) | 1
    reach = frames // 2
    if reach == 0 or len(track) <= reach:
        return np.asarray(track, np.float64)
    return np.convolve(np.pad(track, reach, mode="reflect"), np.full(frames, 1 / frames), mode="valid")


def swings(track: np.ndarray, fps: float, fast_s: float = 0.12, slow_s: float = 0.76) -> np.ndarray:
    """What is left of a track without its trembling and its slow drift: about 1 to 2.5 Hz."""
    return smoothed(track, round(fast_s * fps)) - smoothed(track, round(slow_s * fps))


def held(track: np.ndarray, fps: float) -> float:
    """Mean in the middle of the shot less the mean at its ends."""
    seconds = len(track) / fps
    edge = min(EDGE_S, seconds / 3)
    times = (np.arange(len(track)) + 0.5) / fps
    middle = (times > 0.8 * edge) & (times < seconds - 0.8 * edge)
    ends = (times < 0.45 * edge) | (times > seconds - 0.45 * edge)
    if not middle.any() or not ends.any():
        return 0.0
    return float(track[middle].mean() - track[ends].mean())


def in_picture(tracks: Tracks) -> np.ndarray:
    """[T] whether a palm at `hand_x` from the body's middle lies inside the picture, as the camera stands."""
    palm = 0.5 + np.exp(tracks["log_zoom"]) * (np.asarray(tracks["hand_x"]) - tracks["pan_x"])
    return (palm > PALM_INSIDE) & (palm < 1 - PALM_INSIDE)


def gesture_of(tracks: Tracks, fps: float) -> str:
    """The action of a shot, a name of the storyline's; `none` where nothing reaches its threshold."""
    track = {name: np.asarray(x, np.float64) for name, x in tracks.items()}
    up = smoothed(track["hand"] * in_picture(track), round(0.2 * fps)) > HAND_UP
    if up.mean() > HAND_SHARE:
        # Where a hand is on its way up or down, its place is not well known.
        steady = smoothed(up, round(0.28 * fps)) > 0.99
        if not steady.any():
            return "raise_hand"
        palm = np.where(steady, track["hand_x"], np.median(track["hand_x"][steady]))
        return "wave" if swings(palm, fps, fast_s=0.2, slow_s=0.68)[steady].std() > WAVING else "raise_hand"
    zoom = track["log_zoom"]
    turn, eyes = held(track["yaw"], fps), float(np.median(track["gaze_x"]))
    scores = {
        "nod": np.abs(swings(track["pitch"], fps)).max() / LEAST["nod"],
        "shake_head": np.abs(swings(track["yaw"], fps)).max() / LEAST["shake_head"],
        "tilt_head": abs(held(track["roll"], fps)) / LEAST["tilt_head"],
        "look_left": min(-turn / LEAST["look"], -eyes / LEAST["gaze"]),
        "look_right": min(turn / LEAST["look"], eyes / LEAST["gaze"]),
        "lean_in": held(zoom - np.linspace(zoom[0], zoom[-1], len(zoom)), fps) / LEAST["lean_in"],
    }
    best = max(scores, key=lambda name: scores[name])
    return best if scores[best] > 1 else "none"
