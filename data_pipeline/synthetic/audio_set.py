"""The audio encoder's training set: augmented synthetic speech as log-mels with phone classes and mouth shapes.

Shards are plain .npz files that training/audio_stage.py reads; each is written whole or not at all, so a stopped run
goes on where it was.
"""

from pathlib import Path

import numpy as np
from tqdm import tqdm

from avatar_jax.models.audio_encoder import FEATURE_RATE, log_mel
from data_pipeline.synthetic.augment import augment
from data_pipeline.synthetic.phonemes import phone_classes, visemes
from data_pipeline.synthetic.speech import speak
from data_pipeline.synthetic.voice import flite_installed

CLIPS_PER_SHARD = 128
_SECONDS = (5.5, 9.0)
"""Long enough that the shortest clip still holds a 4 s crop after augmentation has sped it up."""


def labelled_clip(seed: int, split: str, flite_share: float = 0.0, clean: bool = False) -> dict[str, np.ndarray]:
    """mels [2T, 40] float16, phones [T] int8, shapes [T, 4] float16, all of one clip."""
    speech = speak(seed, split, _SECONDS, flite_share)
    wave, phones = speech.wave, speech.phones
    if not clean:
        wave, phones = augment(wave, phones, np.random.default_rng([seed, 7]))
    mels = log_mel(wave)
    times = np.arange(len(mels) // 2) / FEATURE_RATE
    return {
        "mels": mels.astype(np.float16),
        "phones": phone_classes(phones, times).astype(np.int8),
        "shapes": visemes(phones, times).astype(np.float16),
    }


def write_shard(path: Path, seeds: range, split: str, flite_share: float = 0.0, clean: bool = False) -> None:
    """One .npz: the clips end to end, and `lengths` in features (a clip has twice as many mel frames)."""
    clips = [labelled_clip(seed, split, flite_share, clean) for seed in seeds]
    mels, phones, shapes = (np.concatenate([clip[name] for clip in clips]) for name in ("mels", "phones", "shapes"))
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part.npz")
    lengths = np.array([len(clip["phones"]) for clip in clips])
    np.savez(unfinished, lengths=lengths, mels=mels, phones=phones, shapes=shapes)
    unfinished.replace(path)


def write_audio_set(
    out: Path, hours: float, seed: int = 0, split: str = "train", flite_share: float | None = None, clean: bool = False
) -> None:
    """About `hours` of speech as out/SPLIT-NNN.npz; shards that are there already are kept.

    Left out, `flite_share` is 60 % of the English training clips where Debian's flite is installed, else none: its
    voices come from recordings of people, and without them real voices are read a little worse.
    """
    if flite_share is None:
        flite_share = 0.6 if split == "train" and flite_installed() else 0.0
    clips = round(hours * 3600 / (sum(_SECONDS) / 2))
    for shard in tqdm(range(-(-clips // CLIPS_PER_SHARD)), desc=f"audio {split}", unit="shard"):
        path = out / f"{split}-{shard:03}.npz"
        first = seed + shard * CLIPS_PER_SHARD
        if not path.exists():
            write_shard(path, range(first, min(first + CLIPS_PER_SHARD, seed + clips)), split, flite_share, clean)
