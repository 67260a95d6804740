"""Shards on disk, written by whoever has the records: `OUT/SET/VERSION/SET-SPLIT.array_record-00002-of-00010`.

Beside the shards lies `index/SPLIT-00002-of-00010.jsonl`, one line a record, from which cards are drawn and loaders
choose without reading media. Every shard is written alone, by any worker; `write_metadata` then makes a TFDS set of
the folder, which is read with `tfds.data_source` or `tfds.builder_from_directory`, without TensorFlow.
"""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds
from array_record.python.array_record_module import ArrayRecordReader, ArrayRecordWriter
from tensorflow_datasets.core.example_serializer import ExampleSerializer

from avatar_jax.media import BadInput
from data_pipeline.dataset.schema import EXAMPLES, LatentExample, MediaExample

VERSION = "1.0.0"
OPTIONS = "group_size:1,uncompressed"
"""Records are read one by one in any order; mp4 and latents do not compress."""
_SHARD = re.compile(r"(?P<set>\w+)-(?P<split>\w+)\.array_record-(?P<index>\d{5})-of-(?P<count>\d{5})")


def set_folder(out: Path, name: str, version: str = VERSION) -> Path:
    """Where the shards of a set (`media` or `latents`) lie: `tfds.data_source(name, data_dir=out)` looks there."""
    return out / name / version


def shard_path(folder: Path, index: int, count: int, split: str = "train") -> Path:
    """Name of a shard in a folder of `set_folder`."""
    return folder / f"{folder.parent.name}-{split}.array_record-{index:05d}-of-{count:05d}"


def index_path(shard: Path) -> Path:
    """The index that belongs to a shard."""
    found = _SHARD.fullmatch(shard.name)
    if found is None:
        raise ValueError(f"shard {shard.name}: names are SET-SPLIT.array_record-00000-of-00001, see shard_path")
    return shard.parent / "index" / f"{found['split']}-{found['index']}-of-{found['count']}.jsonl"


def write_shard(examples: Iterable[MediaExample] | Iterable[LatentExample], path: Path) -> int:
    """Write one shard and its index; returns how many examples it has. The same examples give the same bytes.

    Both appear under their names when complete, the shard last: where it is, its index is.

    Args:
        examples: all of the type that the set of `path` holds; they may be made one by one.
        path: from `shard_path`.

    Raises:
        ValueError: an example of another set, or a path that is none of `shard_path`.
    """
    kind = EXAMPLES[path.parent.parent.name]
    index = index_path(path)
    index.parent.mkdir(parents=True, exist_ok=True)
    parts = [p.with_name(f".{p.name}.part") for p in (path, index)]
    serializer = ExampleSerializer(kind.FEATURES.get_serialized_info())
    written = 0
    try:
        writer = ArrayRecordWriter(str(parts[0]), OPTIONS)
        try:
            with parts[1].open("w") as lines:
                for example in examples:
                    if not isinstance(example, kind):
                        raise ValueError(f"{type(example).__name__} in the set {kind.SET}: want {kind.__name__}")
                    told = serializer.get_tf_example(kind.FEATURES.encode_example(example.values()))
                    # Otherwise the order of fields changes from process to process, and with it the file's hash.
                    data = told.SerializeToString(deterministic=True)
                    writer.write(data)
                    lines.write(json.dumps(example.line() | {"bytes": len(data)}, ensure_ascii=False) + "\n")
                    written += 1
        finally:
            writer.close()
        parts[1].replace(index)
        parts[0].replace(path)
    finally:
        for part in parts:
            part.unlink(missing_ok=True)
    return written


def shards(folder: Path) -> dict[str, list[Path]]:
    """Split -> its shards in order.

    Raises:
      BadInput: none at all, or some of a split are missing.
    """
    found: dict[str, dict[int, Path]] = {}
    counts: dict[str, set[int]] = {}
    for path in sorted(folder.glob("*.array_record-*")):
        if match := _SHARD.fullmatch(path.name):
            found.setdefault(match["split"], {})[int(match["index"])] = path
            counts.setdefault(match["split"], set()).add(int(match["count"]))
    for split, by_index in found.items():
        if len(counts[split]) != 1 or set(by_index) != set(range(*counts[split])):
            got = f"{len(by_index)} shards of {' and '.join(map(str, sorted(counts[split])))}"
            raise BadInput(f"set {folder}, {split}", got, "a set is complete", "finish the run that writes it")
    if not found:
        raise BadInput(f"set {folder}", "no shards", "a folder that write_shard has written to", "write shards first")
    return {split: [by_index[i] for i in sorted(by_index)] for split, by_index in found.items()}


def read_index(folder: Path, split: str = "train") -> Iterator[dict[str, Any]]:
    """Lines of all records of a split, in the order of the set."""
    for shard in shards(folder).get(split, ()):
        with index_path(shard).open() as lines:
            yield from map(json.loads, lines)


def write_metadata(folder: Path, description: str = "") -> None:
    """Make a TFDS set of the shards in a folder of `set_folder`: dataset_info.json, features.json, provenance.json.

    Raises:
      BadInput: shards are missing.
    """
    kind = EXAMPLES[folder.parent.name]
    splits = []
    for split, paths in shards(folder).items():
        lengths, total = [_length(path) for path in paths], sum(path.stat().st_size for path in paths)
        splits.append(tfds.core.SplitInfo(name=split, shard_lengths=lengths, num_bytes=total))
    told = provenances(folder)
    temporary = folder / ".provenance.json.part"
    temporary.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n")
    temporary.replace(folder / "provenance.json")
    tfds.folder_dataset.write_metadata(
        data_dir=str(folder),
        features=kind.FEATURES,
        split_infos=splits,
        filename_template="{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
        # Counting again would need TensorFlow.
        check_data=False,
        description=description or f"Talking-avatar clips: {kind.SET}.",
        license="; ".join(dict.fromkeys(f"{row['source']}: {row['licence']}" for row in told)),
    )


def provenances(folder: Path) -> list[dict[str, Any]]:
    """How many clips and seconds come from each source under each licence and consent."""
    found: dict[tuple[str, str, str], list[float]] = {}
    for split in shards(folder):
        for line in read_index(folder, split):
            found.setdefault((line["source"], line["licence"], line["consent"]), []).append(
                line["frames"] / line["fps"]
            )
    return [
        {"source": source, "licence": licence, "consent": consent, "clips": len(rows), "seconds": round(sum(rows), 3)}
        for (source, licence, consent), rows in sorted(found.items())
    ]


def _length(path: Path) -> int:
    reader = ArrayRecordReader(str(path))
    try:
        return reader.num_records()
    finally:
        reader.close()
