"""Sub-clips whose mouth, face and sound are known: pictures that can be drawn and read without a network."""

from collections.abc import Iterable, Iterator

import cv2
import numpy as np

from avatar_jax.metrics.reading import Readings
from avatar_jax.metrics.sharpness import sharpness
from avatar_jax.models.reader import IDENTITY, READINGS
from avatar_jax.sampling.gate import Standard

SIDE, PATCH = 48, 4
LATENT = (1, 3)
"""One patch: opening, face, light."""
RATE = 12.5


def opening(seconds: np.ndarray) -> np.ndarray:
    """A mouth that speaks about four syllables a second, no two alike."""
    return 0.45 + 0.2 * np.sin(2 * np.pi * 2.3 * seconds) + 0.2 * np.sin(2 * np.pi * 3.7 * seconds + 1)


def latents(frames: np.ndarray, late: int = 0, face: float = 1.0, light: float = 1.0) -> np.ndarray:
    """[..., 1, 3] at these model frames; `late` in frames of 1/25 s."""
    seconds = np.asarray(frames, np.float64) / RATE - late / 25
    columns = [opening(seconds), np.full(seconds.shape, face), np.full(seconds.shape, light)]
    return np.stack(columns, axis=-1)[..., None, :].astype(np.float32)


def picture(latent_PC: np.ndarray) -> np.ndarray:
    """A pattern that is the face's, moving with the mouth, and three patches of grey that hold the latent itself."""
    mouth, face, light = latent_PC[0]
    rng = np.random.default_rng(1 if face > 0 else 2)
    pattern = cv2.resize(rng.integers(40, 200, (16, 16, 3), dtype=np.uint8), (SIDE, SIDE))
    shift = np.array([[1, 0, 3 * mouth], [0, 1, 0]], np.float32)
    frame = cv2.warpAffine(pattern, shift, (SIDE, SIDE), borderMode=cv2.BORDER_REFLECT)
    for place, value in enumerate((mouth, (face + 1) / 2)):
        frame[:PATCH, PATCH * place : PATCH * (place + 1)] = np.clip(255 * value, 0, 255).round()
    return np.asarray(frame * light, np.uint8)


def read(frames_NHW3: Iterable[np.ndarray]) -> Readings:
    """The latent's values back from the patches."""
    frames = list(frames_NHW3)
    values = np.zeros((len(frames), len(READINGS)), np.float32)
    values[:, READINGS.index("open")] = [frame[:PATCH, :PATCH].mean() / 255 for frame in frames]
    values[:, READINGS.index("clarity")] = 1
    identity = np.zeros((len(frames), IDENTITY), np.float32)
    identity[:, 0] = [frame[:PATCH, PATCH : 2 * PATCH].mean() / 127.5 - 1 for frame in frames]
    return Readings(values, identity)


def standard(seconds: float = 10.0, silent: bool = False) -> Standard:
    """Portrait and sound of these pictures."""
    instants = np.arange(round(50 * seconds)) / 50
    shapes = np.zeros((len(instants), 4), np.float32)
    shapes[:, 0] = 0.05 if silent else opening(instants)
    portrait = picture(latents(np.zeros(1))[0])
    return Standard(read([portrait]), sharpness(portrait), shapes)


class Pictures:
    """Stands in for `sampling.pictures.Pictures`."""

    def views(self, stream: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        return (picture(latent) for latent in stream)

    def read(self, frames: Iterable[np.ndarray]) -> Readings:
        return read(frames)
