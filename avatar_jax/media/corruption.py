"""Portraits as they must not look: the reference of negative-frame guidance (Kling-Avatar, section 3.3).

Guidance pushes away from what the model makes of a spoilt reference, hence from the faults that long or strongly driven
videos drift into: smeared texture, blur, and too much contrast and colour.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import UInt8

GREY = np.array([0.299, 0.587, 0.114], np.float32)
"""Shares of red, green and blue in brightness (ITU-R BT.601)."""


@dataclass(frozen=True)
class Corruption:
    """How strong each fault is; lengths are shares of the picture's shorter side. `SPOTLESS` has none of them."""

    ripple: float = 0.02
    """Typical shift of a pixel by the texture distortion."""
    ripple_size: float = 0.04
    """Distance over which that shift changes."""
    blur: float = 0.008
    """Standard deviation of the Gaussian blur."""
    contrast: float = 1.6
    """Factor on the distance from the mean brightness."""
    saturation: float = 1.8
    """Factor on the distance from grey."""
    tint: float = 0.12
    """Colour shift: standard deviation of each channel's own offset, white being 1."""


SPOTLESS = Corruption(ripple=0.0, blur=0.0, contrast=1.0, saturation=1.0, tint=0.0)


def corrupted(
    portrait: UInt8[np.ndarray, "H W 3"], rng: np.random.Generator, corruption: Corruption = Corruption()
) -> UInt8[np.ndarray, "H W 3"]:
    """The portrait with all of its faults; the same for the same generator state. Composition and size stay."""
    picture = portrait.astype(np.float32) / 255
    side = min(picture.shape[:2])
    picture = rippled(picture, rng, corruption.ripple * side, corruption.ripple_size * side)
    if corruption.blur > 0:
        picture = cv2.GaussianBlur(picture, (0, 0), corruption.blur * side, borderType=cv2.BORDER_REFLECT)
    brightness = picture @ GREY
    mean = brightness.mean()
    picture = brightness[..., None] + corruption.saturation * (picture - brightness[..., None])
    picture = mean + corruption.contrast * (picture - mean)
    picture += corruption.tint * rng.standard_normal(3).astype(np.float32)
    return np.clip(picture * 255 + 0.5, 0, 255).astype(np.uint8)


def rippled(picture: np.ndarray, rng: np.random.Generator, shift: float, size: float) -> np.ndarray:
    """Pixels moved by a smooth random field: `shift` pixels typically, changing over `size` pixels."""
    height, width = picture.shape[:2]
    field = rng.standard_normal((height, width, 2)).astype(np.float32)
    if shift == 0:
        return picture
    field = cv2.GaussianBlur(field, (0, 0), max(size, 1e-3), borderType=cv2.BORDER_REFLECT)
    field *= shift / np.maximum(field.std(axis=(0, 1)), 1e-12)
    rows, columns = np.indices((height, width), np.float32)
    return cv2.remap(
        picture, columns + field[..., 0], rows + field[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
    )
