"""Exchanges: groups as XLA writes them, bytes, and seconds worked out by hand."""

import pytest

from tpu.collectives import exchange, exchange_seconds, groups, kind_of, ring_seconds, sides_of
from tpu.hlo import instruction
from tpu.topology import parse_topology

V6E = parse_topology("v6e:2x4")
GRID = [(x, y, 0) for y in range(4) for x in range(2)]
"""Chips of v6e:2x4 in the compiler's order."""
LINK = 90e9


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("replica_groups={{0,1,2,3},{4,5,6,7}}, dimensions={0}", [[0, 1, 2, 3], [4, 5, 6, 7]]),
        ("replica_groups=[2,4]<=[8], x", [[0, 1, 2, 3], [4, 5, 6, 7]]),
        ("replica_groups=[4,2]<=[2,4]T(1,0), x", [[0, 4], [1, 5], [2, 6], [3, 7]]),
        ("replica_groups=mesh['axis_0'=2,'axis_1'=4,'axis_2'=1] {'axis_1'}, x", [[0, 1, 2, 3], [4, 5, 6, 7]]),
        (
            "replica_groups=mesh['axis_0'=4,'axis_1'=1,'axis_2'=2], device_ids=([2,4]T(1,0)) {'axis_0'}, x",
            [[0, 1, 2, 3], [4, 5, 6, 7]],
        ),
        ("channel_id=1", [list(range(8))]),
    ],
)
def test_groups(text: str, expected: list[list[int]]) -> None:
    assert sorted(map(sorted, groups(text, 8))) == expected


def test_a_square_has_two_links_at_every_corner_and_a_line_one() -> None:
    square, line = GRID[:4], [chip for chip in GRID if chip[0] == 0]
    assert sides_of(square, V6E) == [(2, 1.0), (2, 1.0)]
    assert sides_of(line, V6E) == [(4, 1.0)]
    assert ring_seconds(9e9, square, V6E) == pytest.approx(3 * 9e9 / (2 * LINK))
    assert ring_seconds(9e9, line, V6E) == pytest.approx(3 * 9e9 / LINK)


def test_chips_that_lie_apart_share_the_links_between_them() -> None:
    apart = [(0, 0, 0), (0, 2, 0)]
    assert ring_seconds(9e9, apart, V6E) == pytest.approx(2 * ring_seconds(9e9, [*apart[:1], (0, 1, 0)], V6E))


def test_a_side_that_closes_is_a_ring() -> None:
    cube = parse_topology("v5p:4x4x4")
    assert sides_of([(0, 0, z) for z in range(4)], cube) == [(4, 2.0)]
    assert sides_of([(0, 0, z) for z in range(2)], cube) == [(2, 1.0)]


def test_an_exchange_is_held_up_by_the_middle_of_a_line() -> None:
    line, square = [chip for chip in GRID if chip[0] == 0], GRID[:4]
    # 2 x 2 parts of a quarter each cross the middle link; a square has two middle links.
    assert exchange_seconds(4e9, line, V6E) == pytest.approx(4 * 1e9 / LINK)
    assert exchange_seconds(4e9, square, V6E) == pytest.approx(2 * 1e9 / LINK)
    assert exchange_seconds(4e9, GRID[:1], V6E) == 0


@pytest.mark.parametrize(
    ("op", "bytes_", "seconds"),
    [
        ("all-gather", 4 * 1024, 3 * 1024 / (2 * LINK)),
        ("reduce-scatter", 1024, 3 * 256 / (2 * LINK)),
        ("all-reduce", 1024, 2 * 3 * 256 / (2 * LINK)),
        ("all-to-all", 1024, 512 / LINK),
        ("collective-permute", 1024, 1024 / LINK),
    ],
)
def test_bytes_and_seconds_of_each_kind(op: str, bytes_: int, seconds: float) -> None:
    found = instruction("c", f"bf16[512] {op}(%x), replica_groups={{{{0,1,2,3}},{{4,5,6,7}}}}")
    sent = exchange(found, ["bf16[512]"], GRID, V6E)
    assert (sent.kind, sent.bytes) == (op, bytes_)
    assert sent.seconds == pytest.approx(seconds)


def test_a_start_is_its_collective_and_a_done_is_none() -> None:
    assert kind_of("all-gather-start") == "all-gather"
    assert kind_of("all-gather-done") is None and kind_of("add") is None
