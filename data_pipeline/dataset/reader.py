"""Finished sets, read at any index."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from jaxtyping import Int

from avatar_jax.media import BadInput
from data_pipeline.dataset import schema


class SetSource(Sequence[dict[str, Any]]):
    """Random access to the examples of one split of a finished set, text as str.

    What TFDS cannot store, an array without elements, comes back as one again.
    """

    def __init__(self, folder: Path, split: str = "train"):
        """`folder`: that of the set's dataset_info.json.

        Raises:
            BadInput: if there is no finished set, or it has no such split.
        """
        self.folder, self.split = folder, split
        fix = "finish the run that writes it (dataset.shard.write_metadata)"
        if not (folder / "dataset_info.json").exists():
            raise BadInput(f"set {folder}", "no dataset_info.json", "the folder of a finished set", fix)
        builder: Any = tfds.builder_from_directory(str(folder))
        if split not in builder.info.splits:
            raise BadInput(f"set {folder}", f"no split {split}", f"it has {', '.join(builder.info.splits)}", fix)
        self.examples: Any = builder.as_data_source(split=split)

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> dict[str, Any]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return {name: _plain(name, value) for name, value in self.examples[int(index)].items()}

    def __reduce__(self) -> tuple[type["SetSource"], tuple[Path, str]]:
        """Workers open the files themselves."""
        return SetSource, (self.folder, self.split)


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, dict):
        return {inner: _plain(inner, x) for inner, x in value.items()}
    if isinstance(value, list):
        return [_plain(name, x) for x in value]
    if isinstance(value, bytes):
        return value if name in schema.BINARY else value.decode()
    if isinstance(value, np.ndarray) and value.ndim > 1 and not schema.is_there(value):
        return np.zeros((0, *value.shape[1:]), value.dtype)
    return value


class Chosen(Sequence[Any]):
    """Some records of a source, by their numbers."""

    def __init__(self, records: Sequence[Any], numbers: Int[np.ndarray, " n"]):
        self.records, self.numbers = records, numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        return self.records[int(self.numbers[index])]
