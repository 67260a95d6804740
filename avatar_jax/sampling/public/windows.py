"""One way to make windows, whichever stage they belong to: known frames, sound, words and noise in, latents out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from avatar_jax.media.corruption import corrupted
from avatar_jax.mesh import batch_sharding, fetched, placed
from avatar_jax.models.suite import Part
from avatar_jax.models.video_model import VideoModelConfig
from avatar_jax.sampling.denoiser import noise_of
from avatar_jax.sampling.public.config import SolveConfig
from avatar_jax.sampling.public.known import (
    KnownFrames,
    held_latents,
    mask_channels,
    per_latent,
    pulled_latents,
    to_unit,
)
from avatar_jax.sampling.public.pictures import decode_video, encode_video, picture_tokens
from avatar_jax.sampling.public.solving import Given, solve_windows
from avatar_jax.sampling.public.work import Work
from avatar_jax.timeline import seconds_of


@dataclass(frozen=True)
class Windows:
    """B windows of F frames of one stage ("blueprint", "segment" or "seam"). `seeds`: index and attempt of each."""

    stage: str
    seeds: Sequence[tuple[int, int]]
    times_BF: np.ndarray
    """What each frame shows, in model frames: for words."""
    heard_BF: np.ndarray
    """Frames whose sound is heard, whole numbers."""
    known: KnownFrames
    first: Sequence[np.ndarray]
    """Pictures, uint8, whose tokens are read where the model reads one, and those of `last` where it reads two."""
    last: Sequence[np.ndarray]
    shots: int
    """Prompts of each window."""

    def __len__(self) -> int:
        return len(self.seeds)


def filled_up(array: np.ndarray, rows: int) -> np.ndarray:
    """The last row repeated until there are `rows`: every call has one shape."""
    return array[np.minimum(np.arange(rows), len(array) - 1)]


def make_windows(work: Work, part: Part[VideoModelConfig], solve: SolveConfig, windows: Windows) -> np.ndarray:
    """Latents [B, T, h, w, C], float32; at most `work.rows` windows."""
    split = batch_sharding(work.mesh)

    def put(array: np.ndarray) -> jax.Array:
        return placed(filled_up(array, work.rows), split)

    with jax.set_mesh(work.mesh):
        vae, model, known = work.suite.vae, part.config, windows.known
        encode = lambda frames: encode_video(vae.config, vae.params, put(frames))  # noqa: E731
        shown = encode(known.shown())
        rows, columns, channels = shown.shape[2:]
        pulled_BT = pulled_latents(known)
        held_BT = held_latents(known, everywhere=not model.sees_frames) & (work.config.hold or not model.sees_frames)
        mask = put(mask_channels(known.told_BF, rows, columns))

        spoilt = spoilt_tokens = None
        if solve.guidance.negative and model.sees_frames and windows.stage != "seam":
            wrong = [corrupted(p, np.random.default_rng([work.seed, 1]), work.config.corruption) for p in windows.first]
            latents = encode(known.corrupted(to_unit(np.stack(wrong))).shown())
            spoilt = beside(mask, latents)
            spoilt_tokens = tokens_of(work, model, wrong, windows.last)
        tokens = tokens_of(work, model, windows.first, windows.last)
        seconds_BT = latent_seconds(work, windows.times_BF)
        wanted, unwanted, shares_BTS = work.texts.at(seconds_BT, windows.shots)
        grey_past = pulled_BT.any() or not model.sees_frames
        given = Given(
            text_BSLE=put(wanted),
            unwanted_BSLE=put(unwanted),
            shares_BTS=put(shares_BTS),
            known_BTHWC=beside(mask, shown) if model.sees_frames else None,
            image_BIE=None if tokens is None else put(tokens),
            heard_BFLC=None if model.audio is None else put(heard(work, model, windows.heard_BF)),
            spoilt_BTHWC=spoilt,
            spoilt_BIE=None if spoilt_tokens is None else put(spoilt_tokens),
            latents_BTHWC=encode(known.filled()) if grey_past else shown,
            hold_BT=put(held_BT.astype(np.float32)),
            pull_BT=put(pulled_BT),
        )
        noise = noise_of(work.seed, (rows * columns, channels), shown.shape[1])
        drawn = np.stack([noise(windows.stage, *seed) for seed in windows.seeds])
        noise_BTHWC = put(drawn.reshape(len(windows), -1, rows, columns, channels))
        made = fetched(solve_windows(model, solve, part.params, noise_BTHWC, given))
        work.watch.moved(len(windows) * solve.steps)
        return made[: len(windows)]


def latent_seconds(work: Work, times_BF: np.ndarray) -> np.ndarray:
    """Instants [B, T] of latents whose frames show these times, in the middle of their frames."""
    return seconds_of(per_latent(times_BF).mean(-1), work.fps)


def shots_of(work: Work, times_BF: np.ndarray, most: int) -> int:
    """Prompts of each window of a stage: what the fullest needs, rounded up to a power of two but not beyond `most`, so
    that all windows, and other requests, share a compilation."""
    needed = work.texts.most(latent_seconds(work, times_BF))
    return min(most, 1 << (needed - 1).bit_length())


def beside(mask_BTHWC: jax.Array, latents_BTHWC: jax.Array) -> jax.Array:
    return jax.numpy.concatenate([mask_BTHWC, latents_BTHWC], axis=-1)


def tokens_of(
    work: Work, model: VideoModelConfig, first: Sequence[np.ndarray], last: Sequence[np.ndarray]
) -> np.ndarray | None:
    """Picture tokens [B, I, E] of each window, or None where the model reads none."""
    if model.pictures == 0:
        return None
    sets = [picture_tokens(work.suite.image, list(pictures)) for pictures in (first, last)[: model.pictures]]
    return np.concatenate(sets, axis=1)


def heard(work: Work, model: VideoModelConfig, frame_BF: np.ndarray) -> np.ndarray:
    """Speech features of these consecutive frames and of half a window around them; beyond the recording, its end's."""
    assert model.audio is not None and work.heard_NLC is not None
    side = model.audio.window // 2
    before = frame_BF[:, :1] + np.arange(-side, 0)
    after = frame_BF[:, -1:] + np.arange(1, side + 1)
    where = np.concatenate([before, frame_BF, after], axis=1)
    return work.heard_NLC[np.clip(where, 0, len(work.heard_NLC) - 1)]


def decode_windows(work: Work, latents_BTHWC: np.ndarray) -> np.ndarray:
    """uint8 frames [B, F, H, W, 3] of at most `work.rows` windows."""
    vae: Any = work.suite.vae
    with jax.set_mesh(work.mesh):
        rows = placed(filled_up(latents_BTHWC, work.rows), batch_sharding(work.mesh))
        return fetched(decode_video(vae.config, vae.params, rows))[: len(latents_BTHWC)]
