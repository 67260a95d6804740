"""The image expert: framing, faces, palette, background and drawing style of the portrait, from simple statistics."""

from collections import Counter
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import UInt8

from avatar_jax.media.face import Box, find_faces, is_drawn

COLOURS = {
    "black": (20, 20, 20),
    "white": (245, 245, 245),
    "grey": (128, 128, 128),
    "red": (200, 40, 40),
    "orange": (235, 140, 50),
    "yellow": (240, 220, 80),
    "green": (70, 160, 70),
    "teal": (60, 160, 160),
    "blue": (60, 100, 200),
    "light blue": (165, 205, 235),
    "purple": (130, 80, 170),
    "pink": (240, 170, 190),
    "brown": (120, 80, 50),
    "beige": (225, 205, 175),
}
CLOSE, FAR = 0.6, 0.25
"""Head height over picture height above which a portrait shows the head alone, and below which it is far away."""
BUSY = 28.0
"""Grey-level spread of the border, above which a background is a scene and not a plain wall."""


@dataclass(frozen=True)
class Seen:
    """What was seen. head_share: head height over picture height, or None where no face was found.

    faces: boxes of all heads, the one that talks first; palette: the most frequent colours by name.
    """

    character: str
    background: str
    style: str
    head_share: float | None
    faces: tuple[Box, ...]
    palette: tuple[str, ...]

    @property
    def framing(self) -> str:
        """The framing and the faces in words."""
        if self.head_share is None:
            return "no face found; framing unknown"
        name = "close-up" if self.head_share > CLOSE else "from afar" if self.head_share < FAR else "head and shoulders"
        boxes = "; ".join(",".join(f"{side:.0f}" for side in box) for box in self.faces[:4])
        return f"{name}: the head is {self.head_share:.0%} of the height; {len(self.faces)} face(s) at x,y,w,h {boxes}"


def look(rgb: UInt8[np.ndarray, "H W 3"], box: Box | None) -> Seen:
    """Describe a portrait whose head lies in `box`."""
    scale = min(1.0, 256 / max(rgb.shape[:2]))
    small = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST)
    height, width = small.shape[:2]
    rim = max(1, width // 12)
    # The upper rim and both sides above the shoulders: below them lie clothes.
    top = small[:rim].reshape(-1, 3)
    sides = np.concatenate([small[: height // 2, :rim].reshape(-1, 3), small[: height // 2, -rim:].reshape(-1, 3)])
    border = np.concatenate([top, sides])
    colour = name_colour(np.median(border, axis=0))
    share = None if box is None else box[3] / rgb.shape[0]
    size = "" if share is None else ", close" if share > CLOSE else ", from afar" if share < FAR else ""
    drawn = is_drawn(rgb)
    others = [] if drawn else [face for face in find_faces(rgb) if box is None or not _same(face, box)]
    made = "drawn" if drawn else "photographed or painted"
    return Seen(
        character=f"one {made} character facing the viewer{size}",
        background=f"a {'busy' if border.std(axis=0).mean() > BUSY else 'plain'} {colour} background",
        style="drawing" if drawn else "photograph or painting",
        head_share=share,
        faces=(*([] if box is None else [box]), *others),
        palette=_palette(small),
    )


def _same(face: Box, box: Box) -> bool:
    """Whether two boxes mark one head: the centre of one lies in the other."""
    x, y = face[0] + face[2] / 2, face[1] + face[3] / 2
    return box[0] <= x <= box[0] + box[2] and box[1] <= y <= box[1] + box[3]


def _palette(rgb: np.ndarray) -> tuple[str, ...]:
    """Up to three colours, of 8 x 8 patches, by how much of the picture they fill."""
    patches = cv2.resize(rgb, (8, 8), interpolation=cv2.INTER_AREA).reshape(-1, 3)
    return tuple(name for name, _ in Counter(name_colour(patch) for patch in patches).most_common(3))


def name_colour(rgb: np.ndarray) -> str:
    """The nearest everyday colour name, compared in CIE Lab."""
    names = list(COLOURS)
    table = np.array([*COLOURS.values(), rgb], np.float32)[None] / 255
    lab = cv2.cvtColor(table, cv2.COLOR_RGB2LAB)[0]
    return names[int(np.linalg.norm(lab[:-1] - lab[-1], axis=1).argmin())]
