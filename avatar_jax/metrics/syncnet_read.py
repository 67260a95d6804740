"""Sync-C, Sync-D and offset of a video by SyncNet (Chung and Zisserman 2016): frames stream through, sound beside them.

The names are those of Wav2Lip's evaluation (Prajwal et al. 2020): Sync-C is the confidence, Sync-D the least distance.
A SyncNet knows photographed faces at 25 frames a second; of drawn faces it says nothing.
"""

from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

import numpy as np
from jaxtyping import Float, Float32

from avatar_jax.metrics.av_offset import REACH, AVOffset, av_offset, padded_distances
from avatar_jax.models.mfcc import mfcc
from avatar_jax.models.syncnet import FRAMES, PER_FRAME, PUBLISHED, SyncNetConfig, embed_clip, windows

FPS = 25
BLOCK = 16
"""Windows whose crops are in memory at a time."""


def read_sync(
    params: Any,
    crops: Iterable[np.ndarray],
    mono: Float32[np.ndarray, " n"],
    config: SyncNetConfig = PUBLISHED,
    hear: Callable[[np.ndarray], np.ndarray] = np.asarray,
    mean_distances: Callable[..., np.ndarray] = padded_distances,
) -> AVOffset | None:
    """Offset, confidence and distance of crops at FPS with the sound from the first of them on (16 kHz, [-1, 1]).

    Crops have `config.side` pixels and `config.colours` channels, values 0 to 255; None where fewer than REACH windows
    leave nothing to compare.
    """
    heard = hear(mfcc(mono))
    seen, spoken = embed_stream(config, params, crops, heard)
    return av_offset(mean_distances(seen, spoken)) if len(seen) > REACH else None


def embed_stream(
    config: SyncNetConfig, params: Any, crops: Iterable[np.ndarray], heard_FK: Float[np.ndarray, "F 13"]
) -> tuple[Float[np.ndarray, "N E"], Float[np.ndarray, "N E"]]:
    """`embed_clip` of a stream, a block of windows at a time."""
    stream, held, first = iter(crops), [], 0
    seen, spoken = [np.zeros((0, config.embed), np.float32)], [np.zeros((0, config.embed), np.float32)]
    while True:
        held += list(islice(stream, BLOCK + FRAMES - len(held)))
        rows = heard_FK[PER_FRAME * first :]
        if windows(len(held), len(rows)) == 0:
            return np.concatenate(seen), np.concatenate(spoken)
        video, sound = embed_clip(config, params, np.stack(held), rows, BLOCK)
        seen.append(video)
        spoken.append(sound)
        held, first = held[BLOCK:], first + BLOCK
