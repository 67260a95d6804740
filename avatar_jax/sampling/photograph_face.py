"""Where a photograph in the canonical framing shows eyes, mouth and the person: found without any network of ours.

All lengths are in picture widths. Where a finder sees nothing, the place that most faces have is taken.
"""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Float, UInt8

SIDE = 384
"""Pixels of the picture in which features are looked for."""
USUAL_EYES = ((0.415, 0.44), (0.585, 0.44))
USUAL_MOUTH = 0.61
EYE_AREA = (0.3, 0.56)
"""Rows between which an eye may lie."""
ENOUGH_TEETH = 0.012
"""Area of teeth, in squares of the distance between the eyes, above which a mouth is open in the portrait."""
MASK_SIDE = 192
RIM = (0.025, 0.055)
"""Around the person's outline, which is never exact: how much of the background goes with them, all and in part."""


class Features(NamedTuple):
    """eyes: centres, left first; apart: their distance; mouth: y of the line between the lips at x, as
    (x, y, slope, curve) of y + slope (X - x) + curve (X - x)^2; half: the mouth's half width; teeth: they show."""

    eyes: tuple[tuple[float, float], tuple[float, float]]
    apart: float
    mouth: tuple[float, float, float, float]
    half: float
    teeth: bool

    def mouth_line(self, x: np.ndarray) -> np.ndarray:
        centre, y, slope, curve = self.mouth
        # A parabola leaves the face beyond the corners.
        off = np.clip(x - centre, -1.3 * self.half, 1.3 * self.half)
        return y + slope * off + curve * off * off


def find_features(portrait: UInt8[np.ndarray, "S S 3"]) -> Features:
    """Eyes and mouth of a photograph in the canonical framing."""
    small = cv2.resize(portrait, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    eyes = find_eyes(small)
    (x0, y0), (x1, y1) = eyes
    apart = float(np.hypot(x1 - x0, y1 - y0))
    slope = (y1 - y0) / (x1 - x0)
    mouth, half, teeth = find_mouth(small, ((x0 + x1) / 2, (y0 + y1) / 2), apart, slope)
    return Features(eyes, apart, mouth, half, teeth)


@cache
def cascade(name: str) -> cv2.CascadeClassifier:
    return cv2.CascadeClassifier(str(Path(cv2.__file__).parent / "data" / f"haarcascade_{name}.xml"))


def find_eyes(small: UInt8[np.ndarray, "S S 3"]) -> tuple[tuple[float, float], tuple[float, float]]:
    """The two pupils: where OpenCV's cascade sees a level pair, the dark spot in each."""
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    smallest = round(0.05 * SIDE)
    found = [
        ((x + w / 2) / SIDE, (y + h / 2) / SIDE)
        for name in ("eye", "eye_tree_eyeglasses")
        for x, y, w, h in cascade(name).detectMultiScale(grey, 1.05, 3, minSize=(smallest, smallest))
    ]
    found = [(x, y) for x, y in found if EYE_AREA[0] < y < EYE_AREA[1] and 0.3 < x < 0.7]
    pairs = [
        (abs(a[1] - b[1]) + 0.5 * abs((a[0] + b[0]) / 2 - 0.5) + 0.3 * abs(b[0] - a[0] - 0.19), a, b)
        for a in found
        for b in found
        if 0.11 < b[0] - a[0] < 0.3 and abs(a[1] - b[1]) < 0.25 * (b[0] - a[0])
    ]
    left, right = min(pairs)[1:] if pairs else USUAL_EYES
    if not pairs:
        return left, right
    apart = right[0] - left[0]
    dark = cv2.GaussianBlur(grey, (0, 0), 0.05 * apart * SIDE)
    return pupil(dark, left, apart), pupil(dark, right, apart)


def pupil(dark: np.ndarray, about: tuple[float, float], apart: float) -> tuple[float, float]:
    """The darkest place near the middle of a detected eye; brows are out of its reach."""
    x0, x1 = (round((about[0] + side * 0.12 * apart) * SIDE) for side in (-1, 1))
    y0, y1 = (round((about[1] + side * apart) * SIDE) for side in (-0.05, 0.1))
    _, _, (x, y), _ = cv2.minMaxLoc(dark[y0:y1, x0:x1])
    return (x0 + x + 0.5) / SIDE, (y0 + y + 0.5) / SIDE


def find_mouth(
    small: UInt8[np.ndarray, "S S 3"], between: tuple[float, float], apart: float, slope: float
) -> tuple[tuple[float, float, float, float], float, bool]:
    """(line, half width, whether teeth show). A closed mouth is a dark line; an open one parts under its teeth."""
    x, down = between[0] - slope * apart, between[1]
    lines = np.arange(SIDE, dtype=np.float32)
    lab = cv2.cvtColor(cv2.GaussianBlur(small, (0, 0), 0.012 * apart * SIDE), cv2.COLOR_RGB2LAB).astype(np.float32)
    columns, rows = np.meshgrid((lines + 0.5) / SIDE, (lines + 0.5) / SIDE)
    across, below = (columns - x) / apart, (rows - down - slope * (columns - x)) / apart
    skin = np.median(lab[(abs(across) < 0.5) & (below > 0.3) & (below < 0.6)], axis=0)
    area = (abs(across) < 0.48) & (below > 0.66) & (below < 1.45)
    white = (
        area & (below > 0.82) & (lab[..., 0] > skin[0] - 25) & (lab[..., 1] < skin[1] - 4) & (lab[..., 2] < skin[2] - 5)
    )
    white = cv2.morphologyEx(white.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) > 0
    red = np.where(area, np.clip(lab[..., 1] - skin[1], 0, 30), 0)
    if white.sum() > ENOUGH_TEETH * (apart * SIDE) ** 2:
        held = [(c, np.flatnonzero(white[:, c]).max() + 1) for c in np.flatnonzero(white.sum(0) >= 2)]
        xs, ys = (np.array(v, np.float64) / SIDE for v in zip(*held, strict=True))
        middle = float((xs[0] + xs[-1]) / 2)
        curve, tilt, y = np.polyfit(xs - middle, ys, 2, w=1 - 0.9 * (2 * abs(xs - middle) / (xs[-1] - xs[0])) ** 2)
        # Light falls off towards the corners, so less of the row is seen than is there; gums and lip lie lower.
        half = float(np.clip(1.3 * (xs[-1] - xs[0]) / 2, 0.36 * apart, 0.48 * apart))
        return (middle, float(y) + 0.015 * apart, float(tilt), float(np.clip(curve, -2.5, 1))), half, True
    y, curve = dark_line(lab[..., 0] - red, (x, down), apart, slope)
    near = (abs(rows - y - slope * (columns - x)) < 0.06 * apart) & (abs(across) < 0.55)
    profile = np.where(near, red, 0).sum(0) / np.maximum(near.sum(0), 1)
    wide = np.flatnonzero(profile > 0.4 * profile.max()) if profile.max() > 2 else np.array([])
    half = (wide[-1] - wide[0]) / 2 / SIDE if len(wide) > 1 else 0.4 * apart
    half = float(np.clip(half, 0.32 * apart, 0.48 * apart))
    return (x, y, slope, curve), half, False


def dark_line(light: np.ndarray, between: tuple[float, float], apart: float, slope: float) -> tuple[float, float]:
    """(y at the middle, curve) of the parabola that is darkest against what lies above and below it."""
    x = between[0] - slope * apart
    off = np.linspace(-0.3, 0.3, 25) * apart
    best = (-np.inf, 0.0, 0.0)
    for y in between[1] + apart * np.arange(0.7, 1.35, 0.01):
        for curve in np.array([-1.0, -0.6, -0.3, 0.0, 0.3, 0.6]) / apart * 0.25:
            rows = (y + slope * off + curve * off * off) * SIDE - 0.5
            at = lambda d, rows=rows: cv2.remap(  # noqa: E731
                light.astype(np.float32), ((x + off) * SIDE - 0.5).astype(np.float32)[None],
                (rows + d * apart * SIDE).astype(np.float32)[None], cv2.INTER_LINEAR,
            )  # fmt: skip
            valley = float(np.minimum(at(-0.07), at(0.07)).mean() - at(0.0).mean())
            # A chin's shadow is a dark line too.
            valley -= 50 * ((y - between[1]) / apart - 1.02) ** 2 + 12000 * (y - USUAL_MOUTH) ** 2
            best = max(best, (valley, float(y), float(curve)))
    return best[1], best[2]


def person_mask(portrait: UInt8[np.ndarray, "S S 3"]) -> Float[np.ndarray, "M M"]:
    """Share of the person in each pixel, with a soft rim: GrabCut (Rother et al. 2004) started from the framing."""
    small = cv2.resize(portrait, (MASK_SIDE, MASK_SIDE), interpolation=cv2.INTER_AREA)
    line = (np.arange(MASK_SIDE) + 0.5) / MASK_SIDE
    x, y = np.meshgrid(line - 0.5, line)
    head = (x / 0.27) ** 2 + ((y - 0.42) / 0.36) ** 2 < 1
    body = (y > 0.68) & (abs(x) < 0.12 + 1.5 * (y - 0.66))
    face = (x / 0.14) ** 2 + ((y - 0.47) / 0.19) ** 2 < 1
    chest = (y > 0.8) & (abs(x) < 0.1 + 0.8 * (y - 0.8))
    outside = (y < 0.65) & ((abs(x) > 0.46) | (y < 0.015)) | ((y < 0.72) & (abs(x) > 0.48))
    mask = np.full(head.shape, cv2.GC_PR_BGD, np.uint8)
    mask[head | body] = cv2.GC_PR_FGD
    mask[outside] = cv2.GC_BGD
    mask[face | chest] = cv2.GC_FGD
    cv2.setRNGSeed(0)
    cv2.grabCut(small, mask, None, np.zeros((1, 65)), np.zeros((1, 65)), 5, cv2.GC_INIT_WITH_MASK)  # pyright: ignore
    found = np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    found = cv2.morphologyEx(found, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    found = cv2.morphologyEx(found, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (11, 11)))
    _, parts = cv2.connectedComponents(found)
    found = (parts == parts[round(0.5 * MASK_SIDE), MASK_SIDE // 2]).astype(np.uint8)
    outline, _ = cv2.findContours(found, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(found, outline, -1, 1, cv2.FILLED)
    away = cv2.distanceTransform(1 - found, cv2.DIST_L2, 5) / MASK_SIDE
    near, far = RIM
    share = np.clip((far - away) / (far - near), 0, 1)
    return (share * share * (3 - 2 * share)).astype(np.float32)
