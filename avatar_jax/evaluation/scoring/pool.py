"""Work shared out over processes of one thread each; a process that dies costs the task that killed it, no other."""

import contextlib
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

T, R = TypeVar("T"), TypeVar("R")
ALONE = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
}
"""What makes a process keep to one thread; it must be set before the process starts."""
DIED = "the process that scored it died: a file that kills its decoder, or too little memory"


def each(work: Callable[[T], R], tasks: Sequence[T], workers: int) -> Iterator[tuple[T, R | Exception]]:
    """(task, its result or what it raised) as they are done; with one worker here, one after the other.

    `work` and tasks travel to other processes: a function of a module, and values that can be pickled.
    """
    if workers == 1:
        yield from ((task, attempt(work, task)) for task in tasks)
        return
    with alone():
        left = dict(enumerate(tasks))
        for number, result in pooled(work, left, workers):
            if not isinstance(result, BrokenProcessPool):
                yield left.pop(number), result
        # A dead process takes the whole pool with it: what is left is tried again, each task in a pool of its own.
        for number, task in left.items():
            [(_, result)] = pooled(work, {number: task}, 1)
            yield task, RuntimeError(DIED) if isinstance(result, BrokenProcessPool) else result


def pooled(work: Callable[[T], R], tasks: dict[int, T], workers: int) -> Iterator[tuple[int, R | Exception]]:
    """(number, result) of every task; BrokenProcessPool for those that a dead process took along."""
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=end_with_parent)
    try:
        places: dict[Future[R], int] = {pool.submit(work, task): number for number, task in tasks.items()}
        for future in as_completed(places):
            error = future.exception()
            if error is not None and not isinstance(error, Exception):
                raise error
            yield places[future], future.result() if error is None else error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def end_with_parent() -> None:
    """In a worker: end when the process that shares out the work is killed; otherwise it would wait for ever."""
    threading.Thread(target=wait_and_end, daemon=True).start()


def wait_and_end() -> None:
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os._exit(1)


def attempt(work: Callable[[T], R], task: T) -> R | Exception:
    try:
        return work(task)
    except Exception as error:  # one bad task never stops the others
        return error


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Processes that start inside keep to one thread each."""
    before = {name: os.environ.get(name) for name in ALONE}
    os.environ.update(ALONE)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
