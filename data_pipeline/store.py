"""What stages leave behind: files under content-keyed names, each written whole or not at all.

`ROOT/work/STAGE-KEY/ab/ID.json` holds the records that a stage made of the record ID, and files beside it the arrays
and videos that belong to it. KEY covers the stage's version, its settings and all stages before, so another setting
never meets old results, and nothing is computed twice. ROOT may be a bucket (gs://, s3://): then large files pass
through a folder of this machine.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from etils import epath

from data_pipeline.records import Record, from_lines


@dataclass(frozen=True)
class Store:
    """Files under `root`, a folder or the address of one in a bucket."""

    root: str

    @cached_property
    def top(self) -> Any:
        return epath.Path(self.root)

    @property
    def remote(self) -> bool:
        return "://" in self.root

    def place(self, stage: str, identity: str, suffix: str) -> Any:
        """Where a stage's file of a record lies; `stage` is STAGE-KEY."""
        return self.top / "work" / stage / identity[:2] / f"{identity}{suffix}"

    def recall(self, stage: str, identity: str) -> list[Record] | None:
        """What the stage made of the record before, or None."""
        try:
            return list(from_lines(self.place(stage, identity, ".json").read_text()))
        except FileNotFoundError:
            return None

    def remember(self, stage: str, identity: str, records: Sequence[Record]) -> None:
        self.write(self.place(stage, identity, ".json"), "".join(f"{record.to_json()}\n" for record in records))

    def write(self, path: Any, text: str) -> None:
        with self.writing(path) as part:
            part.write_text(text, encoding="utf-8", errors="surrogateescape")

    @contextlib.contextmanager
    def writing(self, path: Any) -> Iterator[Path]:
        """A local path to write to; what was written has its name only when the block ends without an error."""
        path = epath.Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        if self.remote:
            with tempfile.TemporaryDirectory() as folder:
                part = Path(folder) / path.name
                yield part
                epath.Path(part).copy(path, overwrite=True)
            return
        part = Path(path.parent) / f".{path.name}.{os.getpid()}.part"
        try:
            yield part
            part.replace(Path(path))
        finally:
            part.unlink(missing_ok=True)

    def local(self, path: Any) -> Path:
        """The file on this machine; from a bucket it is copied once, under the same name."""
        if "://" not in str(path):
            return Path(path)
        copied = Path(tempfile.gettempdir()) / "avatar_jax_store" / str(path).replace("://", "/")
        if not copied.exists():
            copied.parent.mkdir(parents=True, exist_ok=True)
            part = copied.with_name(f".{copied.name}.{os.getpid()}.part")
            epath.Path(path).copy(part, overwrite=True)
            part.replace(copied)
        return copied

    def sweep(self) -> int:
        """Remove what writers that were killed left half-written in a local store; returns how many files."""
        found = [] if self.remote else list(Path(self.root).rglob(".*.part"))
        for path in found:
            path.unlink(missing_ok=True)
        return len(found)


@contextlib.contextmanager
def alone(root: str) -> Iterator[bool]:
    """Holds a local store's lock: True where no other build of this machine writes there. Dies with its process."""
    if "://" in root:
        yield True
        return
    import fcntl

    Path(root).mkdir(parents=True, exist_ok=True)
    with (Path(root) / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
