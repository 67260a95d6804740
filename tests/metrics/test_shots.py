"""Planted moves and gestures are named; a still shot is none."""

import numpy as np
import pytest

from avatar_jax.metrics import shots

FPS = 25.0
T = np.arange(75) / FPS
BELL = np.clip(np.minimum(T, 3 - T) / 0.5, 0, 1)


def still(**moved: np.ndarray) -> dict[str, np.ndarray]:
    names = ("log_zoom", "pan_x", "pan_y", "hand", "hand_x", "yaw", "pitch", "roll", "gaze_x")
    return {name: np.zeros(len(T)) for name in names} | moved


@pytest.mark.parametrize(
    ("track", "whole", "expected"),
    [
        ("log_zoom", 0.3, "push_in"),
        ("log_zoom", -0.3, "pull_out"),
        ("pan_x", -0.1, "pan_left"),
        ("pan_y", 0.06, "tilt_down"),
        ("pan_y", 0.01, "static"),
    ],
)
def test_camera_is_named_by_its_clearest_track(track: str, whole: float, expected: str) -> None:
    assert shots.camera_of(still(**{track: whole * T / 3})) == expected


def test_move_over_the_shot_is_in_whole_moves() -> None:
    moves = shots.camera_moves(still(log_zoom=0.5 * np.arange(75) / 75))
    assert moves["log_zoom"] == pytest.approx(1) and moves["pan_x"] == 0


GESTURES = {
    "none": {},
    "nod": {"pitch": 0.55 * BELL * np.sin(2 * np.pi * 1.6 * T)},
    "shake_head": {"yaw": 0.75 * BELL * np.sin(2 * np.pi * 1.4 * T)},
    "tilt_head": {"roll": 0.15 * BELL},
    "look_left": {"yaw": -0.7 * BELL, "gaze_x": np.full(75, -0.8)},
    "look_right": {"yaw": 0.7 * BELL, "gaze_x": np.full(75, 0.8)},
    "lean_in": {"log_zoom": 0.08 * BELL},
    "raise_hand": {"hand": BELL, "hand_x": np.full(75, 0.28)},
    "wave": {"hand": BELL, "hand_x": 0.28 + 0.05 * np.sin(2 * np.pi * 1.8 * T)},
}


@pytest.mark.parametrize("name", GESTURES)
def test_gesture_is_named_also_in_a_noisy_reading(name: str) -> None:
    rng = np.random.default_rng(0)
    tracks = still(**GESTURES[name])
    assert shots.gesture_of(tracks, FPS) == name
    noise = {"yaw": 0.05, "pitch": 0.05, "roll": 0.01, "gaze_x": 0.1, "hand": 0.05, "hand_x": 0.015, "log_zoom": 0.005}
    read = {key: x + rng.normal(0, noise.get(key, 0.0), len(x)) for key, x in tracks.items()}
    assert shots.gesture_of(read, FPS) == name


def test_a_hand_beside_the_picture_is_no_gesture() -> None:
    tracks = still(hand=BELL, hand_x=np.full(75, 0.3), log_zoom=np.full(75, 0.5))
    assert shots.gesture_of(tracks, FPS) == "none"
