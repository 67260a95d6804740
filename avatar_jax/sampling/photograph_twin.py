"""What a face does, measured on a drawn stand-in: the decoder knows drawings, a photograph is outside its world.

The latents say what a face does, not whose it is. So the decoder moves the stand-in of twin.png (made by
`data_pipeline.synthetic.twin`), whose features are drawn alone on a transparent layer: how high the lips are, how wide,
how far eyes are open, are sums of alpha. All lengths are in picture widths, of the stand-in.
"""

from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import cv2
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from avatar_jax.models.avatar_codec import WINDOW
from avatar_jax.models.portrait_layers import HAND_COLUMNS, HAND_ROWS, SIZE, PortraitLayers
from avatar_jax.models.pose import FACE_WINDOW

PICTURE = Path(__file__).with_name("twin.png")
EYES_APART = 0.168
"""Of the stand-in, from pupil to pupil: lengths are given to another face in proportion to it."""
LEFT, TOP = FACE_WINDOW[:2]
PIXEL = (FACE_WINDOW[2] - FACE_WINDOW[0]) / WINDOW
MOUTH_ROWS, MOUTH_COLUMNS, MOUTH_MIDDLE = (0.552, 0.71), (0.38, 0.62), (0.485, 0.515)
EYE_ROWS, EYE_COLUMNS = (0.412, 0.5), (0.069, 0.099)
BROW_ROWS, BROW_COLUMNS = (0.32, 0.414), (0.054, 0.114)
"""Eyes and brows: distance of columns from the middle, on both sides."""
LID_LINES = 0.3
"""What is left of an eye's alpha when it is closed: lines of lashes and lids, as a share of the open eye."""


@dataclass(frozen=True)
class Expression:
    """One frame. open: gap between the lips; width: of the mouth, 1 at rest; corners: how far they are raised;
    teeth: height of what is seen of them; eyes (left, right): 1 as in the portrait, 0 closed; brows: raised by."""

    open: float
    width: float
    corners: float
    teeth: float
    eyes: tuple[float, float]
    brows: tuple[float, float]


@dataclass(frozen=True)
class Sums:
    """Raw measures of one face layer; `Twin.expression` compares them with the stand-in's own."""

    height: float
    width: float
    corners: float
    teeth: float
    eyes: tuple[float, float]
    brows: tuple[float, float]


def part(layer: np.ndarray, rows: tuple[float, float], columns: tuple[float, float]) -> np.ndarray:
    """A rectangle of a face layer; edges in picture widths."""
    y0, y1 = (round((edge - TOP) / PIXEL) for edge in rows)
    x0, x1 = (round((edge - LEFT) / PIXEL) for edge in columns)
    return layer[y0:y1, x0:x1]


def centre_of_mass(weight: np.ndarray) -> float:
    """Mean row of a rectangle's weight, in picture widths below its upper edge."""
    rows = (np.arange(len(weight)) + 0.5) * PIXEL
    return float((weight.sum(1) * rows).sum() / max(weight.sum(), 1e-6))


def sums(layer: Float[np.ndarray, "W W 4"]) -> Sums:
    """Measures of a face layer (premultiplied, [0, 1])."""
    mouth = part(layer, MOUTH_ROWS, MOUTH_COLUMNS)
    # A fold below the lip and the like are faint.
    firm = np.clip((mouth[..., 3] - 0.6) / 0.3, 0, 1)
    middle = part(layer, MOUTH_ROWS, MOUTH_MIDDLE)
    height = np.clip((middle[..., 3] - 0.6) / 0.3, 0, 1).sum(0).mean() * PIXEL
    across = firm.max(0)
    width = across.sum()
    rim = np.minimum(np.cumsum(across), np.cumsum(across[::-1])[::-1])
    outer = firm * ((rim > 0.5) & (rim < 0.14 * width))[None]
    white = np.clip((middle[..., :3].min(-1) - 0.6) / 0.2, 0, 1).sum(0).mean() * PIXEL
    eyes, brows = [], []
    for side in (-1, 1):
        span = lambda columns, side=side: tuple(sorted((0.5 + side * columns[0], 0.5 + side * columns[1])))  # noqa: E731
        eyes.append(float(part(layer, EYE_ROWS, span(EYE_COLUMNS))[..., 3].sum(0).mean() * PIXEL))
        brows.append(centre_of_mass(part(layer, BROW_ROWS, span(BROW_COLUMNS))[..., 3] ** 2))
    corners = centre_of_mass(outer)
    return Sums(float(height), float(width * PIXEL), corners, float(white), (eyes[0], eyes[1]), (brows[0], brows[1]))


def painted(face: np.ndarray, paint: np.ndarray, mask: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """The stand-in's face layer of one frame, [W, W, 4] premultiplied, from its decoded fields."""
    line = np.arange(WINDOW, dtype=np.float32)
    places = np.stack(np.meshgrid(line, line), -1) + (shift / PIXEL).astype(np.float32)
    own = cv2.remap(face, places[..., 0], places[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return mask * own + (1 - mask) * paint


@dataclass(frozen=True)
class Twin:
    """The stand-in, at SIZE. `layers`: without a leading axis, in [0, 1]; its hand is empty."""

    layers: PortraitLayers

    @cached_property
    def seen(self) -> Float[np.ndarray, "S S 3"]:
        """Its portrait, in [-1, 1]."""
        picture = self.layers.background
        for layer in (self.layers.body, self.layers.head, self.layers.face):
            picture = layer[..., :3] + (1 - layer[..., 3:]) * picture
        return np.asarray(2 * picture - 1, np.float32)

    @cached_property
    def face(self) -> Float[np.ndarray, "W W 4"]:
        """The face layer in its window."""
        x, y = round(LEFT * SIZE), round(TOP * SIZE)
        return np.ascontiguousarray(np.asarray(self.layers.face)[y : y + WINDOW, x : x + WINDOW])

    @cached_property
    def rest(self) -> Sums:
        return sums(self.face)

    def expression(self, paint: np.ndarray, mask: np.ndarray, shift: np.ndarray) -> Expression:
        """What the face of one frame's decoded fields (`FaceFields`) does."""
        rest, now = self.rest, sums(painted(self.face, paint, mask, shift))
        gap = max(now.height - rest.height, 0.0)
        left, right = (
            float(np.clip((a / b - LID_LINES) / (1 - LID_LINES), 0, 1.3))
            for a, b in zip(now.eyes, rest.eyes, strict=True)
        )
        raised = (rest.brows[0] - now.brows[0], rest.brows[1] - now.brows[1])
        corners = rest.corners - now.corners + 0.3 * gap
        return Expression(gap, now.width / rest.width, corners, now.teeth, (left, right), raised)


@cache
def load_twin() -> Twin:
    """The stand-in of twin.png: background, body, head and face side by side."""
    picture = cv2.imread(str(PICTURE), cv2.IMREAD_UNCHANGED)
    if picture is None:
        raise FileNotFoundError(f"{PICTURE} is missing; python -m data_pipeline.synthetic.twin makes it")
    layers = cv2.cvtColor(picture, cv2.COLOR_BGRA2RGBA).astype(np.float32) / 255
    background, body, head, face = np.split(layers, 4, axis=1)
    hand = np.zeros((HAND_ROWS, HAND_COLUMNS, 4), np.float32)
    arrays = (background[..., :3], np.zeros_like(body), body, head, face, hand)
    return Twin(PortraitLayers(*(jnp.asarray(x) for x in arrays)))
