"""Records on disk: ArrayRecord files whose records are dictionaries of arrays, read at any index.

A record's bytes are an uncompressed npz archive, read without pickle; text is kept as an array of one string.
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from array_record.python.array_record_module import ArrayRecordWriter
from grain.sources import ArrayRecordDataSource

Record = dict[str, np.ndarray]


def encode(record: Mapping[str, np.ndarray | str | float]) -> bytes:
    """Bytes of a record; the same record always gives the same bytes.

    Raises:
        ValueError: if a value would need pickle (object arrays).
    """
    out = io.BytesIO()
    np.savez(out, allow_pickle=False, **{name: np.asarray(value) for name, value in record.items()})
    return out.getvalue()


def decode(data: bytes) -> Record:
    """Inverse of `encode`; text comes back as arrays of shape [] (`str(record["x"])`)."""
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


class RecordWriter:
    """Writes one ArrayRecord file; it has its name only when the `with` block ends without an error."""

    def __init__(self, path: Path):
        self.path, self.temporary = path, path.with_name(f".{path.name}.part")
        path.parent.mkdir(parents=True, exist_ok=True)
        # One record a group: records are read one by one, in any order.
        self.writer = ArrayRecordWriter(str(self.temporary), "group_size:1")

    def __enter__(self) -> "RecordWriter":
        return self

    def write(self, record: Mapping[str, np.ndarray | str | float]) -> None:
        self.writer.write(encode(record))

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.writer.close()
        if kind is None:
            self.temporary.replace(self.path)
        else:
            self.temporary.unlink()


class RecordSource(Sequence[Record]):
    """Random access to the records of one or many files, in the order of the sorted file names."""

    def __init__(self, files: Path | Sequence[Path]):
        """`files`: a folder (all its *.array_record) or the files themselves.

        Raises:
            FileNotFoundError: if there is none.
        """
        found = sorted(files.glob("*.array_record")) if isinstance(files, Path) else sorted(files)
        if not found:
            raise FileNotFoundError(f"no *.array_record in {files}; make them with `python -m data_pipeline`")
        self.files: Any = ArrayRecordDataSource([str(path) for path in found])

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Record:  # pyright: ignore[reportIncompatibleMethodOverride]  (no slices)
        return decode(self.files[int(index)])

    def __iter__(self) -> Iterator[Record]:
        return (self[i] for i in range(len(self)))


class Numbered(Sequence[Any]):
    """Records with their numbers, which are logged."""

    def __init__(self, records: Sequence[Any]):
        self.records = records

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]  (no slices)
        return int(index), self.records[int(index)]


def set_of(folder: Path) -> Path | None:
    """The finished latents set that is meant: the folder itself, or latents/1.0.0 below it; None for neither."""
    places = (folder, folder / "latents" / "1.0.0")
    return next((place for place in places if (place / "dataset_info.json").exists()), None)
