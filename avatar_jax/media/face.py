"""Where the face is, and the canonical framing in which every portrait enters the models.

In the framing the head's centre lies at (.5, .45), its chin at y = .695 and the head is half the picture high, in
picture widths (models/pose.py turns heads about that chin).
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from avatar_jax.media.errors import BadInput

Box = tuple[float, float, float, float]
"""x, y, width, height of a head from hair line to chin, in pixels of the picture; it may reach outside."""
Reader = Callable[[np.ndarray], Box | None]
"""A trained finder: RGB picture -> box, or None where it sees no face."""

MODEL_SIDE, LARGEST_SIDE = 128, 1024
HEAD_CENTRE, CHIN_Y, HEAD_HEIGHT = (0.5, 0.45), 0.695, 0.49
"""Centre of the head box, its lower edge and its height in the canonical framing."""
SMALLEST_FACE = 12.0
DRAWN = 0.6
"""Share of neighbouring pixels of equal colour above which a picture is drawn: cameras leave noise."""
LOWEST_FACE = 0.72
"""A detection whose centre lies lower than this share of the picture is a collar or a hand, not a face."""
AS_IT_IS = 0.1
"""A picture that misses the canonical framing by no more than this share of its side is not cropped at all."""
FLAT, NOISY = 4.0, 0.6
"""A picture whose colours spread less than FLAT is blank; one that loses more than the share NOISY of its
standard deviation under a blur of 1/24 of its side is noise. Faces, drawn or photographed, lie far from both."""


@dataclass(frozen=True)
class Framing:
    """A portrait in the canonical framing.

    portrait: [S, S, 3] at the picture's own resolution, S even, at most LARGEST_SIDE.
    crop: x, y, side of the square cut from the original, in its pixels; parts outside repeat the edge.
    how: "given", "reader", "detector" or "centred"; warning: what the user should know, or "".
    """

    portrait: UInt8[np.ndarray, "S S 3"]
    crop: tuple[float, float, float]
    how: str
    warning: str = ""


@functools.cache
def _cascade(name: str) -> cv2.CascadeClassifier:
    return cv2.CascadeClassifier(str(Path(cv2.__file__).parent / "data" / f"haarcascade_{name}.xml"))


def is_drawn(rgb: UInt8[np.ndarray, "H W 3"]) -> bool:
    """Whether a picture looks drawn: large areas of one colour or one smooth shade."""
    scale = min(1.0, 256 / max(rgb.shape[:2]))
    small = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST).astype(np.int16)
    return bool((np.abs(np.diff(small, axis=1)).max(-1) <= 1).mean() > DRAWN)


def locate_face(rgb: UInt8[np.ndarray, "H W 3"], reader: Reader | None = None) -> tuple[Box | None, str]:
    """The largest head in the picture and who found it ("detector" or "reader"), or (None, "centred").

    OpenCV's Haar cascades know photographs and are asked first about those; `reader` knows drawn faces, animals and
    robots, and is asked first about drawings. Each stands in where the other sees nothing.
    """
    finders: list[tuple[str, Reader]] = [("detector", _detect)]
    if reader is not None:
        finders.insert(0 if is_drawn(rgb) else 1, ("reader", reader))
    for name, finder in finders:
        if (box := finder(rgb)) is not None:
            return box, name
    return None, "centred"


def find_faces(rgb: UInt8[np.ndarray, "H W 3"]) -> list[Box]:
    """All heads that OpenCV's cascades see in a photograph, the largest first."""
    scale = min(1.0, 480 / max(rgb.shape[:2]))
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    grey = cv2.equalizeHist(cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
    smallest = max(24, int(0.1 * min(grey.shape)))
    for name in ("frontalface_alt2", "frontalface_default"):
        found = _cascade(name).detectMultiScale(grey, 1.1, 5, minSize=(smallest, smallest))
        faces = [box for box in found if box[1] + box[3] / 2 < LOWEST_FACE * grey.shape[0]]
        if faces:
            faces.sort(key=lambda box: -box[2] * box[3])
            squares = [tuple(float(v) / scale for v in box) for box in faces]
            # The cascades' square runs from mid-forehead to the chin; a head begins at the hair line.
            return [(x, y - 0.14 * h, w, 1.14 * h) for x, y, w, h in squares]
    return []


def _detect(rgb: np.ndarray) -> Box | None:
    return next(iter(find_faces(rgb)), None)


def parse_box(text: str, size: tuple[int, int]) -> Box:
    """The box of `--face x,y,w,h` in a picture of `size` (width, height).

    Raises:
      BadInput: not four numbers, too small for a face, or outside the picture.
    """
    fix = "give the head's left, top, width and height in pixels, as in --face 120,80,300,360"
    try:
        x, y, w, h = (float(part) for part in text.split(","))
    except ValueError as error:
        raise BadInput("--face", text, "four numbers x,y,w,h", fix) from error
    if not np.isfinite([x, y, w, h]).all() or min(w, h) < SMALLEST_FACE:
        raise BadInput("--face", text, f"width and height are at least {SMALLEST_FACE:g} pixels", fix)
    if x + w / 2 < 0 or y + h / 2 < 0 or x + w / 2 > size[0] or y + h / 2 > size[1]:
        raise BadInput("--face", text, f"the box lies in the {size[0]}x{size[1]} picture", fix)
    return x, y, w, h


def frame_portrait(rgb: UInt8[np.ndarray, "H W 3"], box: Box | None, how: str) -> Framing:
    """Crop (or pad, repeating the edge) so that the head in `box` lies canonically.

    Without a box, the picture itself is taken to be framed well already: its largest centred square, with a warning.

    Raises:
      BadInput: without a box, where the picture is blank or noise and cannot hold a face.
    """
    height, width = rgb.shape[:2]
    warning = ""
    if box is None or how == "reader":
        # A reader always answers, also on a blank picture.
        _require_content(rgb)
    if box is None:
        side = float(min(height, width))
        # Faces sit in the upper part of tall pictures.
        left, top = (width - side) / 2, 0.25 * (height - side)
        warning = "no face was found in the portrait; it is taken as it is, centred (--face x,y,w,h places it)"
    else:
        x, y, w, h = box
        if min(w, h) < SMALLEST_FACE:
            rule = f"at least {SMALLEST_FACE:g} pixels"
            raise BadInput("face in the portrait", f"{w:.0f}x{h:.0f} pixels", rule, "use a larger picture")
        side = h / HEAD_HEIGHT
        left, top = x + w / 2 - HEAD_CENTRE[0] * side, y + h - CHIN_Y * side
        if max(abs(left), abs(top), abs(left + side - width), abs(top + side - height)) <= AS_IT_IS * side:
            # Finders are not more exact than this, and a crop would only repeat edges or lose some.
            side = float(min(width, height))
            left, top = (width - side) / 2, (height - side) / 2
        if h < 64:
            warning = f"the face is only {h:.0f} pixels high; the video will look soft"
    largest = int(min(LARGEST_SIDE, max(MODEL_SIDE, round(side))))
    largest -= largest % 2
    portrait = _cut(rgb, left, top, side, largest)
    return Framing(portrait, (left, top, side), how, warning)


def _cut(rgb: np.ndarray, left: float, top: float, side: float, size: int) -> np.ndarray:
    """The square at (left, top) resampled to size x size; shrinks in two steps so that nothing aliases."""
    step = size / side
    if step < 0.75:
        reduced = cv2.resize(rgb, None, fx=step, fy=step, interpolation=cv2.INTER_AREA)
        return _cut(reduced, left * step, top * step, float(size), size) if reduced.size else rgb
    # Pixel centres: output pixel i lies at left + (i + .5) / step - .5.
    shift = 0.5 / step - 0.5
    matrix = np.array([[1 / step, 0, left + shift], [0, 1 / step, top + shift]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(rgb, matrix, (size, size), flags=flags, borderMode=cv2.BORDER_REPLICATE)


def _require_content(rgb: np.ndarray) -> None:
    colours = rgb.astype(np.float32)
    spread = float(colours.std(axis=(0, 1)).max())
    sigma = max(1.0, min(rgb.shape[:2]) / 24)
    coarse = float(cv2.GaussianBlur(colours, (0, 0), sigma).std(axis=(0, 1)).max())
    if spread < FLAT or coarse < (1 - NOISY) * spread:
        got = "a blank picture" if spread < FLAT else "noise"
        raise BadInput("portrait", got, "it shows a face", "use a picture of one face, seen from the front")
