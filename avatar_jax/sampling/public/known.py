"""What a model is told of known frames: a video that is grey where nothing is known, and the mask that says which.

Wan's image-to-video models read both beside the noise: the mask has four channels, one for each frame of a latent (the
first latent stands for one frame, which fills all four), and 1 means known.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float32

from avatar_jax.models.vae_stages import TIME_FACTOR


@dataclass(frozen=True)
class KnownFrames:
    """B windows of F frames in [-1, 1], zero where `mask_BF` is false.

    `told_BF`: the known frames that the mask mentions. `pull_BF` in [0, 1): how strongly the others are pulled to.
    """

    frames_BFHW3: Float32[np.ndarray, "B F H W 3"]
    mask_BF: Bool[np.ndarray, "B F"]
    told_BF: Bool[np.ndarray, "B F"]
    pull_BF: Float32[np.ndarray, "B F"]

    def shown(self) -> np.ndarray:
        """The video that the model is shown: grey where it is told nothing."""
        return self.frames_BFHW3 * self.told_BF[..., None, None, None]

    def filled(self) -> np.ndarray:
        """Every unknown frame as the nearest known one, so that the latents of known ones have no grey past."""
        places = np.arange(self.mask_BF.shape[1])
        distance_BFG = np.abs(places[:, None] - places) + np.where(self.mask_BF, 0, len(places))[:, None]
        return np.take_along_axis(self.frames_BFHW3, distance_BFG.argmin(-1)[..., None, None, None], axis=1)

    def corrupted(self, spoilt_BHW3: np.ndarray) -> "KnownFrames":
        """The same with other first frames."""
        frames = self.frames_BFHW3.copy()
        frames[:, 0] = spoilt_BHW3
        return replace(self, frames_BFHW3=frames)


def known_frames(
    first_BKHW3: np.ndarray, last_BHW3: np.ndarray | None, last_BF: np.ndarray, frames: int, tail: float = 1.0
) -> KnownFrames:
    """Windows that begin with K known frames and show `last_BHW3` wherever `last_BF` is true.

    Args:
        tail: 1 tells of the last frames, less pulls towards them.
    """
    B, K = first_BKHW3.shape[:2]
    video = np.zeros((B, frames, *first_BKHW3.shape[2:]), np.float32)
    mask = np.zeros((B, frames), bool)
    if last_BHW3 is not None:
        video = np.where(last_BF[..., None, None, None], last_BHW3[:, None], video).astype(np.float32)
        mask |= last_BF
    told = mask & (tail >= 1)
    pull = np.where(mask & (tail < 1), tail, 0).astype(np.float32)
    video[:, :K], mask[:, :K], told[:, :K], pull[:, :K] = first_BKHW3, True, True, 0
    return KnownFrames(video, mask, told, pull)


def between(first_BKHW3: np.ndarray, last_BKHW3: np.ndarray, frames: int) -> KnownFrames:
    """Windows that begin and end with K known frames."""
    B, K = first_BKHW3.shape[:2]
    video = np.zeros((B, frames, *first_BKHW3.shape[2:]), np.float32)
    mask = np.zeros((B, frames), bool)
    video[:, :K], video[:, -K:] = first_BKHW3, last_BKHW3
    mask[:, :K] = mask[:, -K:] = True
    return KnownFrames(video, mask, mask, np.zeros(mask.shape, np.float32))


def per_latent(values_BF: np.ndarray) -> np.ndarray:
    """[B, 1 + 4 n] -> [B, 1 + n, 4]: the first frame fills its latent."""
    first = np.repeat(values_BF[:, :1], TIME_FACTOR - 1, axis=1)
    return np.concatenate([first, values_BF], axis=1).reshape(len(values_BF), -1, TIME_FACTOR)


def mask_channels(told_BF: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """The mask beside the latents: [B, T, rows, columns, 4] float32."""
    mask_BT4 = per_latent(told_BF).astype(np.float32)
    shape = (*mask_BT4.shape[:2], rows, columns, TIME_FACTOR)
    return np.broadcast_to(mask_BT4[:, :, None, None], shape)


def held_latents(known: KnownFrames, everywhere: bool) -> np.ndarray:
    """[B, T] true for latents whose frames are all known: those at the start, or all of them."""
    whole_BT = np.asarray(per_latent(known.told_BF).all(-1))
    return whole_BT if everywhere else np.minimum.accumulate(whole_BT, axis=1)


def pulled_latents(known: KnownFrames) -> np.ndarray:
    """[B, T] the pull on latents all of whose frames are pulled."""
    return per_latent(known.pull_BF).min(-1)


def to_unit(frames: np.ndarray) -> np.ndarray:
    """uint8 -> [-1, 1]."""
    return frames.astype(np.float32) / 127.5 - 1
