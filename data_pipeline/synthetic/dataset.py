"""Datasets of synthetic clips on disk: ArrayRecord shards, made by several processes, resumable.

Clip number i has the seed `first_seed + i`; a shard holds `SHARD` clips and appears whole or not at all, so a stopped
run goes on where it was and any number of workers gives the same clips (some breathy espeak voices, f5 among them,
add noise that no seed controls: their sound, and the head that follows it, differ a little from run to run).
`dataset.json` beside the shards says what
they were made from: a folder never mixes two splits, seeds or codecs.
"""

import json
import multiprocessing
import os
import zlib
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from avatar_jax.media import BadInput
from data_pipeline.source import RecordWriter
from data_pipeline.synthetic.clip import Clip, make_clip
from data_pipeline.synthetic.latents import Encoders, clip_record, latent_record, load_encoders

SHARD = 20


@dataclass(frozen=True)
class DatasetConfig:
    """What is made. `seconds` bounds a clip's length; `codec` and `audio` are weights files, for latents only."""

    what: str
    clips: int
    split: str = "train"
    first_seed: int = 0
    seconds: tuple[float, float] = (4.0, 4.0)
    codec: str = ""
    audio: str = ""


def shard_path(out: Path, shard: int) -> Path:
    return out / f"{shard:05d}.array_record"


def write_dataset(out: Path, config: DatasetConfig, workers: int = 2) -> int:
    """Write the shards of `config.what` (clips or latents) that `out` lacks; returns how many clips are there.

    Raises:
      BadInput: the folder holds clips that were made otherwise.
    """
    out.mkdir(parents=True, exist_ok=True)
    _claim(out, config)
    shards = range(-(-config.clips // SHARD))
    missing = [i for i in shards if not shard_path(out, i).exists()]
    context = multiprocessing.get_context("spawn")
    with (
        tqdm(total=len(missing) * SHARD, unit="clip", desc=config.what) as bar,
        ProcessPoolExecutor(workers, context, initializer=_one_thread) as pool,
    ):
        for done in as_completed([pool.submit(_write_shard, out, config, i) for i in missing]):
            bar.update(done.result())
    return config.clips


def _one_thread() -> None:
    """One core a process: two that share their threads get in each other's way. Set before JAX starts a backend."""
    flags = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flags}".strip()


def _write_shard(out: Path, config: DatasetConfig, shard: int) -> int:
    """Clips of one shard; runs in a worker."""
    record = _maker(config)
    numbers = range(shard * SHARD, min((shard + 1) * SHARD, config.clips))
    with RecordWriter(shard_path(out, shard)) as writer:
        for number in numbers:
            writer.write(record(make_clip(config.first_seed + number, config.split, config.seconds)))
    return len(numbers)


_encoders: dict[tuple[str, str], Encoders] = {}
"""Loaded and compiled once per process."""


def _maker(config: DatasetConfig) -> Callable[[Clip], Mapping[str, np.ndarray | str]]:
    if config.what == "clips":
        return clip_record
    files = (config.codec, config.audio)
    if files not in _encoders:
        _encoders[files] = load_encoders(Path(config.codec), Path(config.audio))
    encoders = _encoders[files]
    return lambda clip: latent_record(clip, encoders)


def _claim(out: Path, config: DatasetConfig) -> None:
    """Write what the folder is made from, or compare with what was written before."""
    made_of = {key: value for key, value in asdict(config).items() if key not in ("clips", "codec", "audio")}
    made_of["seconds"] = list(config.seconds)
    for name in ("codec", "audio"):
        if path := getattr(config, name):
            made_of[name] = zlib.crc32(Path(path).read_bytes())
    note = out / "dataset.json"
    if note.exists() and (found := json.loads(note.read_text())) != made_of:
        differing = sorted(key for key in made_of if found.get(key) != made_of[key])
        got = f"clips made with another {', '.join(differing)}"
        raise BadInput(f"data folder {out}", got, "a folder holds clips of one making", "choose another --out")
    note.write_text(json.dumps(made_of) + "\n")
