"""How work is spread: an engine applies one function to many items, anywhere, and brings the results back unordered."""

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")

AHEAD = 4
"""Items a worker that wait in its queue."""


class Engine(Protocol):
    """Calls `function` for every item. `lost` gives the result of an item that kills its worker each time."""

    def run(
        self, function: Callable[[Item], Made], items: Sequence[Item], lost: Callable[[Item], Made]
    ) -> Iterator[Made]: ...


def one_thread() -> None:
    """One core a process: workers that share their threads get in each other's way. Before JAX starts a backend."""
    flags = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flags}".strip()
    import cv2
    from threadpoolctl import threadpool_limits

    cv2.setNumThreads(1)
    # NumPy is loaded by now and reads no variable any more; sums by several threads differ in their last bits.
    threadpool_limits(1)


def _begin_worker(parent: int) -> None:
    """Prepares a worker, which ends when its parent is gone, however that ended; else killed runs leave workers."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    one_thread()


@dataclass(frozen=True)
class LocalEngine:
    """A pool of processes on this machine; with no workers, this process does it all."""

    workers: int

    def run(
        self, function: Callable[[Item], Made], items: Sequence[Item], lost: Callable[[Item], Made]
    ) -> Iterator[Made]:
        if self.workers == 0:
            yield from map(function, items)
            return
        suspects: list[Item] = []
        rest = list(items)
        while rest:
            rest = yield from self._until_broken(function, rest, suspects)
        for item in suspects:
            # Whoever was at work when a worker died gets a worker to itself: then it is known who killed it.
            with self._pool(1) as pool:
                try:
                    made = pool.submit(function, item).result()
                except BrokenProcessPool:
                    made = lost(item)
            yield made

    def _pool(self, workers: int) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(workers, context, initializer=_begin_worker, initargs=(os.getpid(),))

    def _until_broken(self, function: Callable, items: list, suspects: list) -> Iterator:
        """Yields results; ends with the items that are left when a worker died, those at work are `suspects`."""
        waiting = list(reversed(items))
        flying: dict[Future, Any] = {}
        with self._pool(min(self.workers, len(items))) as pool:
            try:
                while waiting or flying:
                    while waiting and len(flying) < AHEAD * self.workers:
                        item = waiting.pop()
                        try:
                            flying[pool.submit(function, item)] = item
                        except BrokenProcessPool:
                            waiting.append(item)
                            raise
                    done, _ = wait(flying, return_when=FIRST_COMPLETED)
                    for future in done:
                        made = future.result()
                        del flying[future]
                        yield made
            except BrokenProcessPool:
                suspects += flying.values()
                return waiting[::-1]
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return []
