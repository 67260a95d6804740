"""Public checkpoints on disk: safetensors files, single or sharded with an index, read one tensor at a time.

The format (8 bytes of header length, a JSON header, then plain little-endian numbers) is read directly: every length
is checked before a number is touched, and only the tensor at hand is in memory. Pickles are never opened.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import ml_dtypes
import numpy as np

from avatar_jax.weights.mapping import Shape
from avatar_jax.weights.ship import WeightsError

DTYPES: dict[str, Any] = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": ml_dtypes.bfloat16}
"""What can be loaded. Eight-bit floats need the scales of whoever made them, so they are refused."""
BITS = {"BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16}
BITS |= {"I32": 32, "U32": 32, "F32": 32, "I64": 64, "U64": 64, "F64": 64}
PICKLES = (".bin", ".pth", ".pt", ".ckpt", ".pkl")
PICKLE_STARTS = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
"""First bytes of torch's zip archives and of bare pickles: a name says nothing about what a file is."""
HEADER_LIMIT = 100_000_000


@dataclass(frozen=True)
class Tensor:
    """One tensor of a file; `start` is its first byte in the file."""

    path: Path
    dtype: str
    shape: Shape
    start: int

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * BITS[self.dtype] // 8

    def read(self) -> np.ndarray:
        """Its numbers, in the file's dtype."""
        count = math.prod(self.shape)
        numbers = np.fromfile(self.path, DTYPES[self.dtype], count, offset=self.start)
        if numbers.size != count:
            raise corrupt(self.path, "it became shorter while it was read")
        return numbers.reshape(self.shape)


@dataclass(frozen=True)
class Source:
    """The tensors of one checkpoint, in the order in which they lie on disk, and its config.json (empty if none)."""

    where: Path
    tensors: dict[str, Tensor]
    config: dict[str, Any]

    @property
    def files(self) -> list[Path]:
        return sorted({tensor.path for tensor in self.tensors.values()})


def corrupt(path: Path, why: str) -> WeightsError:
    return WeightsError("cannot read weights", f"{path}: {why}", "a whole safetensors file", "download the file again")


def pickled(path: Path) -> WeightsError:
    return WeightsError(
        "refused a pickle",
        path,
        "weights are safetensors; opening a pickle runs whatever code it holds",
        "take the safetensors file (the -Diffusers repositories have VAE, UMT5 and CLIP), or convert it offline",
    )


def read_header(path: Path) -> dict[str, Tensor]:
    """Names -> tensors of one safetensors file, every length checked.

    Raises:
        WeightsError: on a pickle, or on a file that is cut off or is not safetensors.
    """
    if path.suffix in PICKLES:
        raise pickled(path)
    size = path.stat().st_size
    with path.open("rb") as file:
        start, brace = file.read(8), file.read(1)
        if start.startswith(PICKLE_STARTS) and brace != b"{":
            raise pickled(path)
        file.seek(8)
        length = int.from_bytes(start, "little")
        if size < 8 or length > min(size - 8, HEADER_LIMIT):
            raise corrupt(path, f"a header of {length} bytes does not fit a file of {size}")
        try:
            header = json.loads(file.read(length))
        except ValueError as error:
            raise corrupt(path, "its header is not JSON") from error
    if not isinstance(header, dict):
        raise corrupt(path, "its header is not a table of tensors")
    header.pop("__metadata__", None)
    tensors, spans = {}, []
    for name, entry in header.items():
        try:
            dtype, shape, (first, last) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
            sizes_fit = all(type(n) is int and n >= 0 for n in (*shape, first, last))
            fits = sizes_fit and last - first == math.prod(shape) * BITS[dtype] // 8
        except (KeyError, TypeError, ValueError) as error:
            raise corrupt(path, f"its entry for {name} makes no sense") from error
        if not fits:
            raise corrupt(path, f"{name} is {dtype} {list(shape)} in bytes {first} to {last}")
        tensors[name] = Tensor(path, dtype, shape, 8 + length + first)
        spans.append((first, last, name))
    end = 0
    for first, last, name in sorted(spans):
        if first != end:
            raise corrupt(path, f"{name} begins at byte {first} of the data, expected {end}")
        end = last
    if end != size - 8 - length:
        raise corrupt(path, f"{end} bytes of tensors were promised, {size - 8 - length} are there")
    return dict(sorted(tensors.items(), key=lambda item: item[1].start))


def open_source(where: Path) -> Source:
    """A safetensors file, or a folder of them; a folder with an index holds what its index names.

    Raises:
        WeightsError: on anything that cannot be read whole.
    """
    if where.is_file():
        return Source(where, read_header(where), {})
    if not where.is_dir():
        raise WeightsError("weights not found", where, "a safetensors file or a folder of them", "check the path")
    indices = sorted(where.glob("*.safetensors.index.json"))
    files = sorted(where.glob("*.safetensors"))
    if len(indices) > 1:
        names = ", ".join(path.name for path in indices)
        raise WeightsError("several indices", f"{where}: {names}", "one checkpoint per folder", "keep one of them")
    if indices:
        tensors = indexed(indices[0])
    elif files:
        tensors = joined(files)
    elif found := [path for path in sorted(where.iterdir()) if path.suffix in PICKLES]:
        raise pickled(found[0])
    else:
        raise WeightsError("no weights in this folder", where, "*.safetensors files", "give the folder that holds them")
    return Source(where, tensors, read_config(where))


def indexed(index: Path) -> dict[str, Tensor]:
    """What an index names, and nothing else: files beside it may belong to other models."""
    owners = read_json(index).get("weight_map")
    if not isinstance(owners, dict) or not all(isinstance(name, str) for name in owners.values()):
        raise WeightsError("cannot read index", index, "a `weight_map` from names to files", "download it again")
    shards = sorted(set(owners.values()))
    for name in shards:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name:
            raise WeightsError(
                "index leaves its folder", f"{index} names {name}", "shards lie beside their index", "do not trust it"
            )
    if absent := [name for name in shards if not (index.parent / name).is_file()]:
        raise WeightsError(
            "shards are missing",
            f"{index} names {', '.join(absent[:8])}{' ...' if len(absent) > 8 else ''}",
            f"all {len(shards)} shards of the index are there",
            f"download the {len(absent)} missing files",
        )
    headers = {name: read_header(index.parent / name) for name in shards}
    if wrong := [(key, name) for key, name in owners.items() if key not in headers[name]]:
        key, name = wrong[0]
        raise WeightsError(
            "index and shards differ",
            f"{index} looks for {key} in {name}; {len(wrong)} tensors are not where it says",
            "an index names the file that holds a tensor",
            "download index and shards from the same revision",
        )
    return {key: tensor for name in shards for key, tensor in headers[name].items() if owners.get(key) == name}


def joined(files: list[Path]) -> dict[str, Tensor]:
    """All tensors of several files without an index."""
    tensors: dict[str, Tensor] = {}
    for path in files:
        found = read_header(path)
        if twice := tensors.keys() & found.keys():
            key = min(twice)
            raise WeightsError(
                "a tensor is there twice",
                f"{key} in {tensors[key].path.name} and {path.name} ({len(twice)} such tensors)",
                "the files of a folder without an index do not overlap",
                "give the one file that you mean; later ones as --overlay",
            )
        tensors |= found
    return tensors


def read_config(folder: Path) -> dict[str, Any]:
    """The folder's config.json, empty if there is none."""
    path = folder / "config.json"
    return read_json(path) if path.is_file() else {}


def read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text())
    except ValueError as error:
        raise WeightsError("cannot read JSON", f"{path}: {error}", "a whole JSON file", "download it again") from error
    if not isinstance(value, dict):
        raise WeightsError("cannot read JSON", f"{path}: a {type(value).__name__}", "a JSON object", "download again")
    return value
