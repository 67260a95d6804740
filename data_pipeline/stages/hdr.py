"""High dynamic range to standard: PQ and HLG frames of BT.2020 to 8-bit BT.709 RGB, by tables.

Transfer functions: SMPTE ST 2084 and Recommendation ITU-R BT.2100; matrices: BT.2020 and BT.709.
"""

import functools
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

TRANSFERS = {16: "PQ", 18: "HLG"}
"""FFmpeg's numbers of the transfer functions of HDR."""
WHITE = 203.0
"""Nits of diffuse white (BT.2408), which becomes SHOULDER of the range; brighter light is compressed above it."""
SHOULDER, PEAK = 0.85, 1000.0
STEPS = 4096
TO_709 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32)
"""Linear BT.2020 to linear BT.709."""


def light(signal: np.ndarray, transfer: int) -> np.ndarray:
    """Nits on a display of PEAK nits that a signal in [0, 1] stands for."""
    if transfer == 16:
        power = np.power(signal, 1 / 78.84375)
        base = np.maximum(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power)
        return 10_000 * np.power(base, 1 / 0.1593017578125)
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
    return PEAK * np.power(scene, 1.2)


@functools.cache
def _linear(transfer: int) -> Float32[np.ndarray, " steps"]:
    """Signal -> light, where 1 is diffuse white."""
    return (light(np.arange(STEPS) / (STEPS - 1), transfer) / WHITE).astype(np.float32)


@functools.cache
def _display() -> UInt8[np.ndarray, " steps"]:
    """Square root of light (up to PEAK) -> 8 bits: a shoulder above SHOULDER, then sRGB's curve."""
    x = (np.arange(STEPS) / (STEPS - 1)) ** 2 * (PEAK / WHITE)
    room, above = 1 - SHOULDER, np.maximum(SHOULDER * x - SHOULDER, 0)
    x = np.where(x <= 1, SHOULDER * x, SHOULDER + room * above / (above + room))
    curve = np.where(x <= 0.0031308, 12.92 * x, 1.055 * np.power(x, 1 / 2.4) - 0.055)
    return np.clip(255 * curve + 0.5, 0, 255).astype(np.uint8)


def to_sdr(frame: Any, width: int, height: int) -> UInt8[np.ndarray, "height width 3"]:
    """A decoded HDR frame, resized, as RGB for ordinary screens."""
    planes = frame.reformat(width=width, height=height, format="yuv444p16le", interpolation="AREA", threads=1)
    y, u, v = (x.astype(np.float32) / 65535 for x in _planes(planes))
    if int(frame.color_range) != 2:
        y, u, v = (y - 16 / 256) * (256 / 219), (u - 0.5) * (256 / 224), (v - 0.5) * (256 / 224)
    else:
        u, v = u - 0.5, v - 0.5
    signal = np.stack([y + 1.4746 * v, y - 0.16455 * u - 0.57135 * v, y + 1.8814 * u], axis=-1)
    steps = np.clip(signal * (STEPS - 1) + 0.5, 0, STEPS - 1).astype(np.int32)
    linear = _linear(int(frame.color_trc))[steps] @ TO_709.T
    shown = np.sqrt(np.clip(linear * (WHITE / PEAK), 0, 1)) * (STEPS - 1) + 0.5
    return _display()[shown.astype(np.int32)]


def _planes(frame: Any) -> list[np.ndarray]:
    """Three [H, W] uint16 arrays of a planar 4:4:4 frame."""
    return [
        np.frombuffer(plane, np.uint16).reshape(plane.height, plane.line_size // 2)[:, : plane.width]
        for plane in frame.planes
    ]
