"""A stream that is made while its reader is busy with what came before: generating and encoding overlap."""

import threading
from collections.abc import Iterable, Iterator
from queue import Full, Queue
from typing import TypeVar

T = TypeVar("T")
WAIT_S = 0.1
"""Seconds after which a full queue is looked at again, in case nobody reads it any more."""


def ahead(items: Iterable[T], depth: int) -> Iterator[T]:
    """The same items in the same order, made by one thread of their own, at most `depth` of them waiting.

    What `items` raises is raised here, in its place. A reader that stops early stops the thread too.
    """
    waiting: Queue[tuple[T] | BaseException | None] = Queue(depth)
    stopped = threading.Event()

    def put(entry: tuple[T] | BaseException | None) -> bool:
        while not stopped.is_set():
            try:
                waiting.put(entry, timeout=WAIT_S)
                return True
            except Full:
                continue
        return False

    def make() -> None:
        try:
            for item in items:
                if not put((item,)):
                    return
            put(None)
        except BaseException as error:  # whatever it is, the reader has to hear of it
            put(error)

    maker = threading.Thread(target=make, name="ahead", daemon=True)
    maker.start()
    try:
        while (entry := waiting.get()) is not None:
            if isinstance(entry, BaseException):
                raise entry
            yield entry[0]
    finally:
        stopped.set()
        maker.join()
