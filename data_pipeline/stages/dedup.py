"""Dedup: of clips that look and sound the same, the one with the largest head stays. Sees all clips at once."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from data_pipeline.records import Record, Result
from data_pipeline.settings import Dedup
from data_pipeline.stages.fingerprint import unpacked

VERSION = "1"
BYTES = 2
"""Clips are compared where the same two bytes of their picture bits are equal: likely for equals, cheap for others."""


def deduplicated(records: Sequence[Record], settings: Dedup) -> list[Record]:
    """All records; those that repeat a better one are rejected, the others pass. The order of input plays no part."""
    ordered = sorted((r for r in records if r.facts("fingerprint")), key=_worth)
    pictures = [unpacked(r.facts("fingerprint")["pictures"]) for r in ordered]
    sounds = [unpacked(r.facts("fingerprint")["sound"]) for r in ordered]
    buckets: dict[tuple[int, bytes], list[int]] = defaultdict(list)
    same: dict[str, Record] = {}
    for i, record in enumerate(ordered):
        keys = [(at, piece.tobytes()) for at, piece in enumerate(_pieces(pictures[i]))]
        near = sorted({j for key in keys for j in buckets[key]})
        match = next((j for j in near if _alike(pictures, sounds, i, j, settings)), None)
        if match is not None:
            same[record.id] = ordered[match]
            continue
        for key in keys:
            buckets[key].append(i)
    return [_told(record, same.get(record.id)) for record in records]


def _worth(record: Record) -> tuple[float, str]:
    """The largest head first; the identity decides between equals, so that every engine keeps the same clip."""
    return -float(record.facts("faces").get("pixels", 0)), record.id


def _pieces(bits: np.ndarray) -> np.ndarray:
    packed = np.packbits(bits)
    return packed[: len(packed) // BYTES * BYTES].reshape(-1, BYTES)


def _alike(pictures: list[np.ndarray], sounds: list[np.ndarray], i: int, j: int, settings: Dedup) -> bool:
    if len(pictures[i]) != len(pictures[j]) or np.mean(pictures[i] != pictures[j]) > settings.picture:
        return False
    return bool(np.mean(sounds[i] != sounds[j]) <= settings.sound)


def _told(record: Record, original: Record | None) -> Record:
    if not record.facts("fingerprint"):
        return record
    reason = "" if original is None else f"the same as {original.id} of {original.source.uri}"
    return record.plus(Result("dedup", VERSION, "passed" if original is None else "rejected", reason))
