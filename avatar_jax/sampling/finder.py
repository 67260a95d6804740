"""Finds the head in drawings, animals and robots, which face detectors for photographs see wrongly or not at all."""

from collections.abc import Callable

import cv2
import numpy as np

from avatar_jax.media.face import HEAD_HEIGHT, Box, is_drawn
from avatar_jax.metrics.reading import read_frames
from avatar_jax.models.avatar_codec import PICTURE
from avatar_jax.models.reader import Reader


def face_finder(reader: Reader, params: dict) -> Callable[[np.ndarray], Box | None]:
    """A `media.face.Reader` made of the gate's reader: where its centred square shows the head; None on photographs."""

    def find(rgb: np.ndarray) -> Box | None:
        if not is_drawn(rgb):
            return None
        height, width = rgb.shape[:2]
        side = min(height, width)
        left, top = (width - side) // 2, (height - side) // 4
        square = cv2.resize(rgb[top : top + side, left : left + side], (PICTURE, PICTURE), interpolation=cv2.INTER_AREA)
        seen = read_frames(reader, params, [square], chunk=1)
        x, y, size, zoom = (float(seen.of(n)[0]) for n in ("face_x", "face_y", "face_size", "log_zoom"))
        # Heads are drawn about equally high at zoom 1, but not equally wide.
        tall = HEAD_HEIGHT * float(np.exp(zoom))
        return left + (x - size / 2) * side, top + (y - tall / 2) * side, size * side, tall * side

    return find
