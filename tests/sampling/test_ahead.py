"""A stream made in a thread of its own: same items, same errors, and no thread left behind."""

import threading
import time
from collections.abc import Iterator

import pytest

from avatar_jax.sampling.ahead import ahead


def threads() -> int:
    return sum(thread.name == "ahead" for thread in threading.enumerate())


@pytest.mark.parametrize("count", [0, 1, 7])
@pytest.mark.parametrize("depth", [1, 3])
def test_same_items_in_order(count: int, depth: int) -> None:
    assert list(ahead(iter(range(count)), depth)) == list(range(count)) and threads() == 0


def test_items_are_made_while_the_reader_is_busy_but_no_more_than_depth() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for i in range(9):
            made.append(i)
            yield i

    stream = ahead(items(), 2)
    assert next(stream) == 0
    until = time.monotonic() + 10
    while len(made) < 4 and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.3)
    # Two wait, one is in the maker's hands.
    assert made == [0, 1, 2, 3]
    assert list(stream) == list(range(1, 9))


def test_an_error_arrives_in_its_place() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("torn")

    stream = ahead(items(), 4)
    assert next(stream) == 1
    with pytest.raises(ValueError, match="torn"):
        next(stream)
    assert threads() == 0


def test_a_reader_that_stops_ends_the_thread() -> None:
    stream = ahead(iter(range(10**9)), 1)
    assert next(stream) == 0
    stream.close()
    assert threads() == 0
