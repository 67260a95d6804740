"""Shuffled, endless, resumable batches of any random-access source.

The order is decided before anything is read and batches are formed before iteration starts, so that batch n is the
same whatever the number of threads or workers, and reading can begin at any n.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import grain
import numpy as np

Transform = Callable[[Any, np.random.Generator], dict[str, np.ndarray]]
"""(record, generator of this place in the order) -> arrays of one example."""


@dataclass(frozen=True)
class LoaderConfig:
    """How batches are formed; `batch` counts the rows of all hosts together."""

    batch: int = 8
    seed: int = 0
    threads: int = 2
    """Readers in this process. Worker processes cost 10 s each to start; they pay on large hosts only."""


def batches(
    source: Sequence[Any],
    config: LoaderConfig,
    transform: Transform,
    start: int = 0,
    host: int = 0,
    hosts: int = 1,
) -> Iterator[dict[str, np.ndarray]]:
    """This host's rows of every batch from batch number `start` on, for ever.

    Args:
        transform: makes an example of a record; all its randomness must come from the generator that it is given.

    Raises:
        ValueError: if the hosts do not divide the batch, or the source is empty.
    """
    if config.batch % hosts or len(source) == 0:
        raise ValueError(
            f"{len(source)} records, batch {config.batch} on {hosts} hosts: want records, and equal shares"
        )
    order = grain.MapDataset.source(source).seed(config.seed).shuffle().repeat()
    # The slice takes all; without it grain would seed the transforms otherwise than in runs begun before.
    examples = order.slice(slice(0, None, 1)).random_map(transform)
    # Shares are cut from the one global order, behind everything random: batch n has the same rows in the same places
    # whatever the number of hosts, and a host reads its own records alone.
    shares = examples.batch(config.batch // hosts, drop_remainder=True)
    whole = shares.slice(slice(start * hosts + host, None, hosts))
    reading = grain.ReadOptions(num_threads=config.threads, prefetch_buffer_size=2 * config.threads)
    return iter(whole.to_iter_dataset(reading))
