"""Shards: passed clips become ArrayRecord files of two TFDS sets, each written by the worker that has its clips.

Which clip lies in which shard follows from the clips' identities alone, so every engine and every restart writes the
same files; a shard that is there, with its mark in the store, is not written again.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data_pipeline.chain import Build
from data_pipeline.dataset import shard
from data_pipeline.dataset.manifest import described
from data_pipeline.dataset.schema import LatentExample, MediaExample
from data_pipeline.records import Record, digest
from data_pipeline.settings import Shards
from data_pipeline.stages.faces import tracked

VERSION = "1"
SETS = ("media", "latents")


@dataclass(frozen=True)
class Job:
    """One shard to write: its set, split, number of how many, and its clips in order."""

    name: str
    split: str
    index: int
    count: int
    records: tuple[Record, ...]


def split_of(record: Record, heldout: float) -> str:
    """The split of all clips of a source: a person is never in both."""
    share = int(digest("split", record.source.content)[:8], 16) / 16**8
    return "heldout" if share < heldout else "train"


def jobs(records: Sequence[Record], settings: Shards) -> list[Job]:
    """Shards of both sets and splits. Clips are sorted by identity, which is a hash: neighbours are not related."""
    out = []
    for name in SETS:
        kept = [r for r in records if r.status == "passed" and (name == "media" or r.facts("encode").get("latents"))]
        for split in ("train", "heldout"):
            clips = sorted((r for r in kept if split_of(r, settings.heldout) == split), key=lambda r: r.id)
            count = -(-len(clips) // settings.clips)
            for i in range(count):
                part = tuple(clips[i * settings.clips : (i + 1) * settings.clips])
                out.append(Job(name, split, i, count, part))
    return out


def example(name: str, record: Record, build: Build) -> MediaExample | LatentExample:
    """The clip as the set `name` holds it."""
    clip, store = tracked(record, build), build.store
    width, height = clip.size
    told = described(record, (height, width), clip.tracks)
    told |= {key: record.facts("caption")[key] for key in ("caption", "storyline")}
    if name == "media":
        video = store.local(store.place(build.key("video"), record.id, ".mp4")).read_bytes()
        return MediaExample(**told, video=video, audio=np.round(clip.mono * 32768).astype(np.int16))
    with np.load(store.local(store.place(build.key("encode"), record.id, ".npz"))) as arrays:
        # What encoders tell of their own pictures (size, boxes, rate) stands for the clip's.
        return LatentExample(**told | {key: _plain(arrays[key]) for key in arrays.files})


def _plain(array: np.ndarray) -> Any:
    return array.item() if array.ndim == 0 else tuple(array.tolist()) if array.ndim == 1 else array


def write(job: Job, build: Build) -> dict[str, Any]:
    """The shard's file and index; returns its name, size and hash.

    Raises:
        OSError: it cannot be written.
    """
    store = build.store
    mark = store.place(
        f"shards-{VERSION}", digest(job.name, job.split, job.index, job.count, [r.to_json() for r in job.records]), ""
    )
    final = shard.shard_path(Path(shard.set_folder(Path(), job.name)), job.index, job.count, job.split)
    target = store.top / str(final)
    index = store.top / str(shard.index_path(final))
    if mark.exists() and target.exists() and index.exists():
        size, hashed = mark.read_text().split()
        return _line(job, final, int(size), hashed)

    def examples() -> Iterator[Any]:
        return (example(job.name, record, build) for record in job.records)

    if store.remote:
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            part = Path(folder) / final
            shard.write_shard(examples(), part)
            size, hashed = part.stat().st_size, sha256(part)
            for local, there in ((shard.index_path(part), index), (part, target)):
                with store.writing(there) as copy:
                    copy.write_bytes(local.read_bytes())
    else:
        part = Path(store.root) / final
        part.parent.mkdir(parents=True, exist_ok=True)
        shard.write_shard(examples(), part)
        size, hashed = part.stat().st_size, sha256(part)
    store.write(mark, f"{size} {hashed}")
    return _line(job, final, size, hashed)


def _line(job: Job, path: Path, size: int, hashed: str) -> dict[str, Any]:
    return {
        "shard": path.as_posix(), "clips": len(job.records), "bytes": size, "sha256": hashed,
        "first": job.records[0].id, "last": job.records[-1].id,
    }  # fmt: skip


def sha256(path: Path) -> str:
    seen = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 22):
            seen.update(block)
    return seen.hexdigest()
