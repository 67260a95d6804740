"""How sharp a picture is: the variance of its Laplacian (Pech-Pacheco et al., ICPR 2000), at one size for all."""

import cv2
import numpy as np
from jaxtyping import UInt8

SIDE = 512
"""Pixels of the shorter side at which pictures are compared; smaller ones are enlarged, which makes nothing sharper."""


def sharpness(picture_HW3: UInt8[np.ndarray, "H W 3"]) -> float:
    """Variance of the Laplacian of the brightness, in squared levels of 255; 0 for a flat picture."""
    height, width = picture_HW3.shape[:2]
    scale = SIDE / min(height, width)
    if scale != 1:
        way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        picture_HW3 = cv2.resize(picture_HW3, (round(width * scale), round(height * scale)), interpolation=way)
    second = cv2.Laplacian(cv2.cvtColor(picture_HW3, cv2.COLOR_RGB2GRAY), cv2.CV_16S)
    return float(cv2.meanStdDev(second)[1][0, 0] ** 2)
