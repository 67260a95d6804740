"""A step of several processes that never ends: one of them hangs, and all others wait for it without a word."""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from avatar_jax.distributed import report_step, slowest

Ended = Callable[[], None]


def end_now() -> None:
    """The main thread waits inside a collective, where no exception can reach it; peers notice that this one ends."""
    sys.stderr.flush()
    os._exit(1)


@contextmanager
def watched(patience: float, end: Ended = end_now) -> Iterator[Callable[[int], None]]:
    """Within: call what is given with the number of finished steps; where `patience` seconds go by without a call, the
    process ends with a message that names the slowest. Without patience nothing is watched."""
    last, over = [time.monotonic(), 0.0], threading.Event()

    def alive(step: int) -> None:
        last[:] = [time.monotonic(), float(step)]
        if patience:
            report_step(step)

    def watch() -> None:
        while not over.wait(min(1.0, patience / 4)):
            if time.monotonic() - last[0] > patience:
                rule = f"a step of all processes ends within {patience:g} s (--loop.patience_seconds)"
                fix = "look at that process and its host; then start all again: what was saved is gone on from"
                print(f"no step since step {last[1]:.0f}: {slowest()}\nrule: {rule}\nfix: {fix}", file=sys.stderr)
                end()
                return

    thread = threading.Thread(target=watch, name="watch", daemon=True)
    if patience:
        thread.start()
    try:
        yield alive
    finally:
        over.set()
