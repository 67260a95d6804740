"""Shape buckets: clips of like shape share a canvas and a batch, and nothing is stretched."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from avatar_jax.media import BadInput
from data_pipeline.dataset.reader import Chosen, SetSource
from data_pipeline.dataset.shard import read_index
from data_pipeline.loader import Part, Transform

RATIOS = (9 / 16, 3 / 4, 1.0, 4 / 3, 16 / 9)
"""Width over height: telephones upright, portraits, squares, and the same lying."""


@dataclass(frozen=True)
class Bucket:
    """A canvas in pixels."""

    height: int
    width: int


def buckets(area: int, ratios: Sequence[float] = RATIOS, multiple: int = 16) -> tuple[Bucket, ...]:
    """Canvases of about `area` pixels, one a ratio of width to height, whose sides are multiples of `multiple`."""

    def side(pixels: float) -> int:
        return max(1, round(pixels / multiple)) * multiple

    # Small areas give several ratios the same canvas.
    found = (Bucket(side(math.sqrt(area / ratio)), side(math.sqrt(area * ratio))) for ratio in ratios)
    return tuple(dict.fromkeys(found))


def nearest(size: Sequence[int], among: Sequence[Bucket]) -> Bucket:
    """The bucket whose shape is closest to that of a picture of `size` (height, width), on a logarithmic scale."""
    wanted = math.log(size[1] / size[0])
    return min(among, key=lambda bucket: abs(math.log(bucket.width / bucket.height) - wanted))


def parts(
    folder: Path,
    among: Sequence[Bucket],
    transform: Mapping[Bucket, Transform],
    frames: int,
    weights: Mapping[str, float] | None = None,
    split: str = "train",
) -> list[list[Part]]:
    """Groups for `loader.mixed_batches` from a finished set: one for every bucket that clips fall into.

    Only the index is read. Clips with fewer than `frames` frames are left out.

    Args:
        weights: shares of the sources in all examples, whatever their sizes; without it every clip counts the same.

    Raises:
        BadInput: a weighed source that the set does not have, or no clip long enough.
    """
    records = SetSource(folder, split)
    rows: dict[tuple[Bucket, str], list[int]] = {}
    for number, line in enumerate(read_index(folder, split)):
        if line["frames"] >= frames and (weights is None or line["source"] in weights):
            rows.setdefault((nearest(line["size"], among), line["source"]), []).append(number)
    counts: dict[str, int] = {}
    for (_, source), numbers in rows.items():
        counts[source] = counts.get(source, 0) + len(numbers)
    if not counts or (weights is not None and set(weights) - set(counts)):
        got = f"clips of {frames} frames from {', '.join(sorted(counts)) or 'no source'}"
        wanted = f"want {', '.join(sorted(weights))}" if weights is not None else "want any"
        raise BadInput(f"set {folder}, {split}", got, wanted, "check the names in provenance.json, or ask for less")

    def share(source: str, numbers: Sequence[int]) -> float:
        return len(numbers) * (1.0 if weights is None else weights[source] / counts[source])

    return [
        [
            Part(source, Chosen(records, np.array(numbers)), transform[bucket], share(source, numbers))
            for (at, source), numbers in sorted(rows.items(), key=lambda row: row[0][1])
            if at == bucket
        ]
        for bucket in among
        if any(at == bucket for at, _ in rows)
    ]


def told(groups: Sequence[Sequence[Part]]) -> list[dict[str, Any]]:
    """Name, records and share of every part: what a `position` compares when a run goes on."""
    return [
        {"group": number, "name": part.name, "records": len(part.records), "share": round(part.share, 9)}
        for number, group in enumerate(groups)
        for part in group
    ]
