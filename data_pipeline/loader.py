"""Shuffled, endless, resumable batches of any random-access source, or of a mixture of many.

The order is decided before anything is read and batches are formed before iteration starts, so that batch n is the
same whatever the number of threads, workers or hosts, and reading can begin at any n. All that a run must remember is
therefore the number of its next batch (`position`).
"""

import zlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import grain
import jax
import numpy as np
from jax.sharding import Mesh

from avatar_jax.mesh import batch_sharding, batch_share

Transform = Callable[[Any, np.random.Generator], dict[str, np.ndarray]]
"""(record, generator of this place in the order) -> arrays of one example."""


@dataclass(frozen=True)
class LoaderConfig:
    """How batches are formed; `batch` counts the rows of all hosts together."""

    batch: int = 8
    seed: int = 0
    threads: int = 2
    """Readers in this process, or in each worker."""
    workers: int = 0
    """Processes that read and transform; each costs seconds to start, so they pay on large hosts only."""


@dataclass(frozen=True)
class Part:
    """One source of a mixture: how its records become examples, and its share of all examples of its group."""

    name: str
    records: Sequence[Any]
    transform: Transform
    share: float


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
    _check(config, hosts, {"the source": source})
    order = grain.MapDataset.source(source).seed(config.seed).shuffle().repeat()
    # The slice takes all; without it grain would seed the transforms otherwise than in runs begun before.
    examples = order.slice(slice(0, None, 1)).random_map(transform)
    return _read(_shares(examples, config, host, hosts), config, start)


def mixed_batches(
    groups: Sequence[Sequence[Part]], config: LoaderConfig, start: int = 0, host: int = 0, hosts: int = 1
) -> Iterator[dict[str, np.ndarray]]:
    """As `batches`, of several sources; every batch is of one group, all of whose examples have the same shapes.

    A group (one shape bucket) comes as often as the shares of its parts say, a part as often within it; both evenly,
    not by chance. Every part has an order and epochs of its own: none of its records comes again before all have come.
    All hosts take batch n from the same group.

    Raises:
        ValueError: as `batches`; or no part, a share that is not above 0, or one name for two parts of a group.
    """
    parts = [part for group in groups for part in group]
    _check(config, hosts, {part.name: part.records for part in parts})
    for group in groups:
        if len({part.name for part in group}) < max(1, len(group)) or not all(part.share > 0 for part in group):
            told = {part.name: part.share for part in group}
            raise ValueError(f"parts {told}: want at least one in a group, names that differ, shares above 0")
    orders = [_shares(_mixture(group, config, number), config, host, hosts) for number, group in enumerate(groups)]
    return _read(_mix(orders, [sum(part.share for part in group) for group in groups]), config, start)


def on_mesh(own_rows: Iterator[Mapping[str, np.ndarray]], mesh: Mesh, ahead: int = 2) -> Iterator[dict[str, jax.Array]]:
    """This process's rows of every batch as global arrays over the mesh's batch axes, `ahead` batches on their way.

    The rows are those of `host, hosts = mesh.batch_share(mesh)`.
    """
    sharding, hosts = batch_sharding(mesh), batch_share(mesh)[1]
    coming: deque[dict[str, jax.Array]] = deque()
    for batch in own_rows:
        coming.append(
            {
                name: jax.make_array_from_process_local_data(sharding, x, (len(x) * hosts, *x.shape[1:]))
                for name, x in batch.items()
            }
        )
        if len(coming) > ahead:
            yield coming.popleft()
    yield from coming


def _check(config: LoaderConfig, hosts: int, sources: Mapping[str, Sequence[Any]]) -> None:
    lengths = {name: len(source) for name, source in sources.items()}
    if config.batch % hosts or not lengths or not all(lengths.values()):
        told = lengths or "no sources"
        raise ValueError(f"{told} records, batch {config.batch} on {hosts} hosts: want records, and equal shares")


def _mixture(group: Sequence[Part], config: LoaderConfig, number: int) -> grain.MapDataset:
    """Examples of one group; a part's order does not depend on what it is mixed with."""
    examples = [
        grain.MapDataset.source(part.records)
        .seed(zlib.crc32(f"{config.seed} {number} {part.name}".encode()))
        .shuffle()
        .repeat()
        .random_map(part.transform)
        for part in group
    ]
    return _mix(examples, [part.share for part in group])


def _mix(datasets: Sequence[grain.MapDataset], shares: Sequence[float]) -> grain.MapDataset:
    return datasets[0] if len(datasets) == 1 else grain.MapDataset.mix(datasets, list(shares))


def _shares(examples: grain.MapDataset, config: LoaderConfig, host: int, hosts: int) -> grain.MapDataset:
    """This host's rows of all batches.

    Shares are cut from the one global order, behind everything random: batch n has the same rows in the same places
    whatever the number of hosts, and a host reads its own records alone.
    """
    return examples.batch(config.batch // hosts, drop_remainder=True).slice(slice(host, None, hosts))


def _read(own: grain.MapDataset, config: LoaderConfig, start: int) -> Iterator[dict[str, np.ndarray]]:
    reading = grain.ReadOptions(num_threads=config.threads, prefetch_buffer_size=2 * config.threads)
    read = own.slice(slice(start, None)).to_iter_dataset(reading)
    if config.workers:
        read = read.mp_prefetch(grain.MultiprocessingOptions(num_workers=config.workers))
    return iter(read)
