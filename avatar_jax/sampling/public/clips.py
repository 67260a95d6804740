"""Sub-clips between adjacent key frames: independent of each other, so they fill the mesh's data axes together."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from avatar_jax.sampling.folder import OutputFolder, read_arrays, write_arrays
from avatar_jax.sampling.public.clock import Clip
from avatar_jax.sampling.public.config import GRID, PublicConfig
from avatar_jax.sampling.public.known import known_frames, to_unit
from avatar_jax.sampling.public.windows import Windows, make_windows, shots_of
from avatar_jax.sampling.public.work import Work
from avatar_jax.sampling.windows import waves


def seam_path(folder: OutputFolder, index: int) -> Path:
    return folder.segments / f"seam_{index:03d}.npz"


def window_of(clips: Sequence[Clip], config: PublicConfig) -> int:
    """Frames of every window: the longest sub-clip and the repeated last key frame, rounded up to a length that many
    requests share: the model's window, half of it, a quarter ..."""
    frames = max(clip.steps for clip in clips) + config.clips.repeat
    latents = [(config.window - 1) // GRID >> half for half in range(config.lengths)]
    return min((GRID * count + 1 for count in latents if GRID * count + 1 >= frames), default=frames)


def make_clips(work: Work, clips: Sequence[Clip], pictures: dict[int, np.ndarray], attempts: Sequence[int]) -> None:
    """Save the latents of every sub-clip that is not saved yet, in the waves of a full run and at the same places."""
    config, frames = work.config.clips, window_of(clips, work.config)
    shots = shots_of(work, spans(clips, frames), config.shots)
    for wave in waves(len(clips), work.rows):
        wanted = [i for i in wave if not work.folder.has(work.folder.segment_path(i))]
        if not wanted:
            continue
        chosen, tries = [clips[i] for i in wave], [attempts[i] for i in wave]
        windows = clip_windows(work, chosen, pictures, tries, frames, shots)
        made = make_windows(work, work.suite.denoiser, config.solve, windows)
        for i in wanted:
            write_arrays(work.folder.segment_path(i), latents=made[i - wave.start], attempt=np.array(attempts[i]))


def spans(clips: Sequence[Clip], frames: int) -> np.ndarray:
    """Model frames [B, frames] of windows that begin with these sub-clips."""
    return np.array([clip.first for clip in clips])[:, None] + np.arange(frames)


def clip_windows(
    work: Work, clips: Sequence[Clip], pictures: dict[int, np.ndarray], attempts: Sequence[int], frames: int, shots: int
) -> Windows:
    """Windows of `frames` frames that begin on a key frame and reach the next one; behind it, it stands still."""
    config = work.config.clips
    first = [pictures[clip.first] for clip in clips]
    last = [pictures[clip.last] for clip in clips]
    frame_BF = spans(clips, frames)
    last_BF = frame_BF >= np.array([clip.last for clip in clips])[:, None]
    known = known_frames(to_unit(np.stack(first))[:, None], to_unit(np.stack(last)), last_BF, frames, config.tail)
    seeds = [(clip.index, attempt) for clip, attempt in zip(clips, attempts, strict=True)]
    alone = work.suite.denoiser.config.pictures == 1 and config.reads == "portrait"
    read = [work.portrait] * len(clips) if alone else first
    return Windows("segment", seeds, frame_BF.astype(float), frame_BF, known, read, last, shots)


def latents_of(work: Work, clip: Clip) -> np.ndarray:
    saved = read_arrays(work.folder.segment_path(clip.index))
    assert saved is not None
    return saved["latents"]
