"""Fingerprint: bits of a clip's pictures and of its sound that survive another encoding."""

from itertools import pairwise

import cv2
import numpy as np

from data_pipeline.chain import Build, Stage
from data_pipeline.records import Record, Result
from data_pipeline.stages.normalise import clip_of

VERSION = "1"
LOOKS, BANDS, PARTS = 4, 17, 32
"""Frames hashed; bands and parts, of the first four seconds, whose energies are compared."""
PART = 2000
HISS = 0.01
LOWEST, HIGHEST = 16, 450
"""Bins of the lowest and highest band: up to 3.6 kHz, what telephones carry, so that a copy at 8 kHz is known."""
SIDE = 64


def picture_bits(frame: np.ndarray) -> np.ndarray:
    """64 bits: whether each of 8 x 8 cells is brighter than the one to its right (the "difference hash")."""
    grey = cv2.resize(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), (9, 8), interpolation=cv2.INTER_AREA).astype(np.int16)
    return (grey[:, :-1] > grey[:, 1:]).ravel()


def sound_bits(mono: np.ndarray) -> np.ndarray:
    """(PARTS - 1) (BANDS - 1) bits: how differences between bands change (after Haitsma and Kalker 2002)."""
    parts = np.pad(mono, (0, max(0, PARTS * PART - len(mono))))[: PARTS * PART].reshape(PARTS, PART)
    power = np.abs(np.fft.rfft(parts * np.hanning(PART).astype(np.float32), axis=1)) ** 2
    edges = np.geomspace(LOWEST, HIGHEST, BANDS + 1).astype(int)
    bands = np.stack([power[:, a:b].sum(1) for a, b in pairwise(edges)], axis=1)
    # What is far below a band's loudest is hiss, of which every recording and encoding has another one.
    heard = np.log(bands + HISS * bands.max(0) + 1e-8)
    between = heard[:, :-1] - heard[:, 1:]
    return (np.diff(between, axis=0) > 0).ravel()


def packed(bits: np.ndarray) -> str:
    return np.packbits(bits).tobytes().hex()


def unpacked(text: str) -> np.ndarray:
    return np.unpackbits(np.frombuffer(bytes.fromhex(text), np.uint8)).astype(bool)


def fingerprint(record: Record, build: Build) -> list[Record]:
    """Adds both fingerprints as hexadecimal digits."""
    clip = clip_of(record, build)
    step = max(1, clip.count // LOOKS)
    frames = list(clip.frames(side=SIDE, step=step))[:LOOKS]
    pictures = np.concatenate([picture_bits(frame) for frame in frames])
    facts = {"pictures": packed(pictures), "sound": packed(sound_bits(clip.mono))}
    return [record.plus(Result("fingerprint", VERSION, "passed", facts=facts))]


FINGERPRINT = Stage("fingerprint", VERSION, fingerprint)
