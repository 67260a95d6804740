"""Where a run is in its data: the number of the next batch, and what it was counted over.

Batches do not depend on hosts, threads or workers, so that a run may go on with other numbers of these.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from avatar_jax.media import BadInput
from data_pipeline.loader import LoaderConfig


@dataclass(frozen=True)
class Position:
    """`batch` and `seed` as in `LoaderConfig`; `data`: JSON that tells the records apart (`buckets.told`)."""

    next_batch: int
    batch: int
    seed: int
    data: Any

    def save(self, path: Path) -> None:
        """A whole file or none."""
        temporary = path.with_name(f".{path.name}.part")
        temporary.write_text(json.dumps(asdict(self), sort_keys=True) + "\n")
        temporary.replace(path)


def position(next_batch: int, config: LoaderConfig, data: Any) -> Position:
    return Position(next_batch, config.batch, config.seed, data)


def resume(path: Path, config: LoaderConfig, data: Any) -> int:
    """Number of the batch to go on with; 0 where nothing was saved.

    Raises:
        BadInput: the position was counted over other records, or with another batch or seed; batches would repeat.
    """
    if not path.exists():
        return 0
    try:
        saved = Position(**json.loads(path.read_text()))
    except (ValueError, TypeError) as error:
        raise BadInput(f"position {path}", error, "a file that Position.save wrote", "begin anew") from error
    now = position(saved.next_batch, config, json.loads(json.dumps(data)))
    if differing := [name for name, value in asdict(saved).items() if asdict(now)[name] != value]:
        rule = "a run goes on over the same records, batch and seed; hosts, threads and workers may change"
        raise BadInput(f"position {path}", f"another {', '.join(differing)}", rule, "take them back, or begin anew")
    return saved.next_batch
