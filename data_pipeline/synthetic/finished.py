"""Drawn avatars as a finished set, with the schema of recorded clips: any size, several processes, resumable.

Where the codec and the audio encoder are trained, `latents` is written beside `media`, the same clips in the same
order. Labels of every frame are in `labels_TK`, so that the generator's training can read such a set too.
"""

import hashlib
import json
import multiprocessing
import tempfile
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from avatar_jax.director.plan import local_prompt
from avatar_jax.media import BadInput, write_video
from data_pipeline.dataset import shard
from data_pipeline.dataset.card import write_card
from data_pipeline.dataset.provenance import SYNTHETIC
from data_pipeline.dataset.schema import LatentExample, MediaExample
from data_pipeline.experts.rendered import true_tracks
from data_pipeline.synthetic.clip import FPS, Clip, make_clip
from data_pipeline.synthetic.latents import Encoders, latent_record, load_encoders
from data_pipeline.synthetic.preview import write_sound
from data_pipeline.synthetic.state import STATE

SHARD = 20
ENCODERS = ("codec", "audio")
FEATURE_RATE = 50.0
"""Features of the sound in a second."""


@dataclass(frozen=True)
class FinishedConfig:
    """What is made. `size`: pixels a side of the videos; `weights`: folder of the trained encoders."""

    clips: int
    split: str = "train"
    first_seed: int = 0
    seconds: tuple[float, float] = (4.0, 4.0)
    size: int = 256
    weights: str = ""

    @property
    def sets(self) -> tuple[str, ...]:
        there = all((Path(self.weights) / f"{name}.safetensors").exists() for name in ENCODERS)
        return ("media", "latents") if self.weights and there else ("media",)


def write_finished(out: Path, config: FinishedConfig, workers: int = 2) -> Path:
    """Write the shards that `out` lacks, the sets' metadata and their card; returns the card's path.

    Raises:
        BadInput: the folder holds clips that were made otherwise, or frames with odd sides are asked for.
    """
    if config.size % 2 or config.size < 16:
        raise BadInput("--size", config.size, "even, 16 pixels or more", "--size 256")
    out.mkdir(parents=True, exist_ok=True)
    _claim(out, config)
    count = -(-config.clips // SHARD)
    missing = [
        (name, number)
        for number in range(count)
        for name in config.sets
        if not shard.shard_path(shard.set_folder(out, name), number, count, config.split).exists()
    ]
    context = multiprocessing.get_context("spawn")
    with tqdm(total=len(missing), unit="shard", desc="set") as bar, ProcessPoolExecutor(workers, context) as pool:
        for done in as_completed([pool.submit(_write, out, config, name, number, count) for name, number in missing]):
            done.result()
            bar.update()
    for name in config.sets:
        shard.write_metadata(shard.set_folder(out, name), "Drawn, speaking avatars with synthesised voices.")
    return write_card(out, "Drawn talking avatars")


def _write(out: Path, config: FinishedConfig, name: str, number: int, count: int) -> None:
    """One shard; runs in a worker."""
    seeds = range(number * SHARD, min((number + 1) * SHARD, config.clips))
    clips = (make_clip(config.first_seed + seed, config.split, config.seconds) for seed in seeds)
    path = shard.shard_path(shard.set_folder(out, name), number, count, config.split)
    if name == "media":
        shard.write_shard((media_example(clip, config.size) for clip in clips), path)
    else:
        shard.write_shard((latent_example(clip, config.size, _encoders(config.weights)) for clip in clips), path)


@cache
def _encoders(weights: str) -> Encoders:
    """Loaded and compiled once per process."""
    codec, audio = (Path(weights) / f"{name}.safetensors" for name in ENCODERS)
    return load_encoders(codec, audio)


def _described(clip: Clip, size: int) -> dict[str, Any]:
    tracks = true_tracks(clip.identity, clip.states_TS)
    return {
        "clip": hashlib.sha256(f"synthetic {clip.split} {clip.seed} {len(clip.states_TS)}".encode()).hexdigest()[:20],
        "source": SYNTHETIC,
        "fps": float(FPS),
        "frames": len(clip.states_TS),
        "size": (size, size),
        "caption": " ".join(local_prompt(shot) for shot in clip.storyline.shots),
        "storyline": clip.storyline.to_json(),
        "language": str(getattr(clip.speech, "language", "")),
        "faces_T4": tracks.heads_TB,
        "mouths_T4": tracks.mouths_TB,
    }


def media_example(clip: Clip, size: int) -> MediaExample:
    """The clip as video and sound; frames are drawn here."""
    with tempfile.TemporaryDirectory() as folder:
        sound, video = Path(folder) / "sound.wav", Path(folder) / "clip.mp4"
        write_sound(sound, clip)
        write_video(video, clip.frames(size), FPS, len(clip.states_TS), sound)
        return MediaExample(**_described(clip, size), video=video.read_bytes(), audio=clip.speech.wave)


def latent_example(clip: Clip, size: int, encoders: Encoders) -> LatentExample:
    """The clip as the embedded generator is trained on it."""
    record = latent_record(clip, encoders)
    return LatentExample(
        **_described(clip, size),
        latents_TPC=np.asarray(record["latents_TPC"]),
        audio_FM=np.asarray(record["audio_FM"]),
        audio_rate=FEATURE_RATE,
        shots_S2=clip.spans_S2,
        labels_TK=clip.states_TS,
        label_names=STATE,
        face_points_32=np.asarray(record["face_points_32"]),
        portrait_PC=np.asarray(record["portrait_PC"]),
    )


def _claim(out: Path, config: FinishedConfig) -> None:
    """Write what the folder is made from, or compare with what was written before."""
    made_of = json.loads(json.dumps(asdict(config) | {"sets": config.sets}))
    del made_of["weights"]
    note = out / f"{config.split}.json"
    if note.exists() and (found := json.loads(note.read_text())) != made_of:
        differing = ", ".join(key for key in made_of if found.get(key) != made_of[key])
        rule = "a folder holds clips of one making; the number of clips is part of their shards' names"
        raise BadInput(f"set {out}", f"made with another {differing}", rule, "choose another --out")
    note.write_text(json.dumps(made_of) + "\n")
