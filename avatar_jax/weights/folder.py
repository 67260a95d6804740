"""Converted weights on disk: an Orbax checkpoint written piece by piece, never whole in memory.

Orbax saves trees that are in memory. Its plain layout (Zarr 2, one directory per parameter, one file per chunk) is
simple enough to be written as the stream goes by: a layer of a stacked parameter, or its piece on a mesh, is a chunk.
Work goes on in a hidden folder beside the result, which gets its name when it is complete; a second run finds the
chunks of the first and goes on, unless it was asked for something else.
"""

import itertools
import json
import math
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np

from avatar_jax.weights.mapping import Place, Shape
from avatar_jax.weights.ship import WeightsError

RECORD = "weights.json"
"""Beside Orbax's own files: what the weights are and where they come from."""
UNFINISHED = "unfinished.json"


class Folder:
    """A sink that is an Orbax checkpoint; `chunks` gives each parameter's (shape, dtype, chunk shape)."""

    def __init__(self, out: Path, record: dict[str, Any], chunks: dict[str, tuple[Shape, np.dtype, Shape]]):
        self.out, self.record, self.chunks = out, record, chunks
        self.work = out.with_name(f".{out.name}.part")
        if out.exists():
            raise WeightsError("output exists", out, "a conversion never replaces anything", "give another --out")
        note = json.dumps(record, indent=1)
        begun = self.work / UNFINISHED
        if self.work.exists() and not (begun.is_file() and begun.read_text() == note):
            shutil.rmtree(self.work)
        self.work.mkdir(parents=True, exist_ok=True)
        begun.write_text(note)
        for path, (shape, dtype, chunk) in chunks.items():
            folder = self.folder(path)
            folder.mkdir(exist_ok=True)
            (folder / ".zarray").write_text(json.dumps(zarr_header(shape, dtype, chunk)))

    def folder(self, path: str) -> Path:
        return self.work / path.replace("/", ".")

    def pieces(self, place: Place) -> list[tuple[Path, tuple[slice, ...]]]:
        """The files that hold a tensor, and which part of it each holds."""
        _, _, chunk = self.chunks[place.path]
        first = [] if place.layer is None else [str(place.layer)]
        inner = chunk if place.layer is None else chunk[1:]
        counts = [range(size // piece) for size, piece in zip(place.shape, inner, strict=True)]
        return [
            (
                self.folder(place.path) / (".".join([*first, *map(str, at)]) or "0"),
                tuple(slice(i * piece, (i + 1) * piece) for i, piece in zip(at, inner, strict=True)),
            )
            for at in itertools.product(*counts)
        ]

    def has(self, place: Place) -> bool:
        _, dtype, chunk = self.chunks[place.path]
        nbytes = math.prod(chunk) * dtype.itemsize
        return all(file.is_file() and file.stat().st_size == nbytes for file, _ in self.pieces(place))

    def put(self, place: Place, numbers: np.ndarray) -> None:
        for file, part in self.pieces(place):
            temporary = file.with_name(f"{file.name}.part")
            with temporary.open("wb") as handle:
                np.ascontiguousarray(numbers[part]).tofile(handle)
            temporary.replace(file)

    def finish(self) -> None:
        """Write Orbax's own files and give the folder its name."""
        now = time.time_ns()
        tree = {}
        for path, (shape, _, _) in self.chunks.items():
            names = path.split("/")
            tree[str(tuple(names))] = {
                "key_metadata": [{"key": name, "key_type": 2} for name in names],
                "value_metadata": {"value_type": "np.ndarray", "skip_deserialize": False, "write_shape": list(shape)},
            }
        metadata = {"tree_metadata": tree, "use_ocdbt": False, "use_zarr3": False, "custom_metadata": None}
        handler = "orbax.checkpoint._src.handlers.standard_checkpoint_handler.StandardCheckpointHandler"
        checkpoint = {
            "item_handlers": handler,
            "metrics": {},
            "performance_metrics": {},
            "init_timestamp_nsecs": now,
            "commit_timestamp_nsecs": now,
            "custom_metadata": {},
        }
        (self.work / "_METADATA").write_text(json.dumps(metadata))
        (self.work / "_CHECKPOINT_METADATA").write_text(json.dumps(checkpoint))
        (self.work / RECORD).write_text(json.dumps(self.record, indent=1))
        (self.work / UNFINISHED).unlink()
        self.work.rename(self.out)


def zarr_header(shape: Shape, dtype: np.dtype, chunk: Shape) -> dict[str, Any]:
    """Zarr 2 metadata of uncompressed chunks: weights hardly shrink, and reading them should be bound by the disk."""
    name = "bfloat16" if dtype.name == "bfloat16" else dtype.newbyteorder("<").str
    return {
        "chunks": list(chunk),
        "compressor": None,
        "dimension_separator": ".",
        "dtype": name,
        "fill_value": None,
        "filters": None,
        "order": "C",
        "shape": list(shape),
        "zarr_format": 2,
    }
