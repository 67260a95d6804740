"""What cannot be shown: hands outside the picture, camera moves that a shot or the portrait has no room for.

Both directors end here. What was given up is recorded with the reason, so that nobody waits for a gesture in vain.
"""

from itertools import groupby

import numpy as np

from avatar_jax.director.camera import CAMERA, LIMITS, way
from avatar_jax.director.experts.image import CLOSE, Seen
from avatar_jax.director.notes import Notes
from avatar_jax.director.storyline import Shot

HANDS = ("raise_hand", "wave")
MOVE_S = 1.0
"""Seconds below which a camera move is a jolt."""
SLACK = 0.02
"""Share of a move by which it may leave the room that it has before that is worth a word."""


def settle(shots: list[Shot], seen: Seen, notes: Notes) -> list[Shot]:
    """The shots without what they cannot show."""
    shots = _steady([_in_frame(shot, i, seen, notes) for i, shot in enumerate(shots)], notes)
    _note_room(shots, notes)
    return shots


def _in_frame(shot: Shot, index: int, seen: Seen, notes: Notes) -> Shot:
    if shot.action not in HANDS or seen.head_share is None or seen.head_share <= CLOSE:
        return shot
    reason = f"the head fills {seen.head_share:.0%} of the portrait's height: no hand can be seen"
    notes.clash(f"$.shots[{index}].action", "none", shot.action, reason)
    return shot.model_copy(update={"action": "none"})


def _steady(shots: list[Shot], notes: Notes) -> list[Shot]:
    """No camera move where the shots that share it are too short for it together."""
    out: list[Shot] = []
    for camera, run in groupby(shots, key=lambda shot: shot.camera):
        together = list(run)
        seconds = float(together[-1].end - together[0].start)
        if camera != "static" and seconds < MOVE_S:
            reason = f"the shot lasts {seconds:.2f} s; a camera move takes {MOVE_S:g} s"
            notes.clash(f"$.shots[{len(out)}].camera", "static", camera, reason)
            together = [shot.model_copy(update={"camera": "static"}) for shot in together]
        out += together
    return out


def _note_room(shots: list[Shot], notes: Notes) -> None:
    """Moves in a row that leave what the portrait shows are shortened by camera.py; say where that begins."""
    for name in CAMERA:
        moves = [move if column == name else 0.0 for column, move in map(way, shots)]
        ends = np.concatenate([[0.0], np.cumsum(moves)])
        low, high = LIMITS[name]
        # A zoom may begin closer, so that it ends no wider than the portrait; pans are centred.
        room = high if name == "log_zoom" else high - low
        span = np.maximum.accumulate(ends) - np.minimum(np.minimum.accumulate(ends), 0.0)
        first = int(np.argmax(span > room * (1 + SLACK) + 1e-9))
        # A single move is made for the room of the portrait; only several in a row can leave it.
        if first > 0 and np.count_nonzero(moves) > 1:
            shot = shots[first - 1]
            reason = f"the moves so far add up to {span[first] / room:.1f} times the room that the portrait has"
            notes.clash(f"$.shots[{first - 1}].camera", f"{shot.camera}, shortened", shot.camera, reason)
