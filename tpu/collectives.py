"""Exchanges between chips: who takes part, how many bytes, and how long the links need for them.

Times are those of the links alone, at their published speed, for the algorithm that uses all links of a group's box;
the time to start an exchange is not counted.
"""

import re
from dataclasses import dataclass
from itertools import product

import numpy as np

from tpu.hlo import Instruction, bytes_of
from tpu.topology import Slice

KINDS = ("all-gather", "all-reduce", "reduce-scatter", "all-to-all", "ragged-all-to-all", "collective-permute")
Coordinates = tuple[int, ...]


@dataclass(frozen=True)
class Exchange:
    """One collective as one chip sees it."""

    kind: str
    bytes: int
    """Of the larger of what a chip gives and gets, all chips' parts together where it gets all."""
    seconds: float


def kind_of(op: str) -> str | None:
    """`all-gather-start` -> "all-gather"; None for what is no collective, and for the -done that ends one."""
    name = op.removesuffix("-start")
    return name if name in KINDS else None


def exchange(found: Instruction, operands: list[str], where: list[Coordinates], slice_: Slice) -> Exchange:
    """Bytes and seconds of a collective.

    Args:
        operands: shapes of what it is given.
        where: coordinates of the chips in the program's own numbering.
    """
    kind = kind_of(found.op)
    assert kind is not None
    given = sum(map(bytes_of, operands))
    group = groups(found.attributes, len(where))[0] if kind != "collective-permute" else [0, 1]
    n = len(group)
    chips = [where[i] for i in group if i < len(where)]
    if kind == "collective-permute":
        return Exchange(kind, given, given / slice_.chip.link_bytes_s)
    if kind == "all-gather":
        return Exchange(kind, given * n, ring_seconds(given, chips, slice_))
    if kind == "reduce-scatter":
        return Exchange(kind, given, ring_seconds(given / n, chips, slice_))
    if kind == "all-reduce":
        return Exchange(kind, given, 2 * ring_seconds(given / n, chips, slice_))
    return Exchange(kind, given, exchange_seconds(given, chips, slice_))


def groups(attributes: str, devices: int) -> list[list[int]]:
    """Groups of chips, from any of the three ways in which XLA writes them."""
    listed = re.search(r"replica_groups=\{(\{[\d,{}]*\})\}", attributes)
    if listed:
        return [[int(i) for i in group.split(",")] for group in re.findall(r"\{([\d,]+)\}", listed[1])]
    counted = re.search(r"replica_groups=\[([\d,]+)\](<=\S+)", attributes)
    if counted:
        return numbered(counted[2], devices).reshape([int(i) for i in counted[1].split(",")]).tolist()
    meshed = re.search(r"replica_groups=mesh\[([^\]]*)\](?:, device_ids=\((.*?)\)(?= \{))? \{([^}]*)\}", attributes)
    if meshed:
        axes = {name: int(size) for name, size in re.findall(r"'(\w+)'=(\d+)", meshed[1])}
        order = numbered("<=" + meshed[2] if meshed[2] else "", devices).reshape(list(axes.values()))
        within = [list(axes).index(name) for name in re.findall(r"'(\w+)'", meshed[3])]
        outside = [axis for axis in range(len(axes)) if axis not in within]
        return order.transpose(*outside, *within).reshape(-1, size_of(axes, within)).tolist()
    return [list(range(devices))]


def size_of(axes: dict[str, int], within: list[int]) -> int:
    sizes = list(axes.values())
    return int(np.prod([sizes[axis] for axis in within]))


def numbered(text: str, devices: int) -> np.ndarray:
    """`<=[2,4]T(1,0)`: the numbers 0, 1, ... in that shape, transposed, in a row."""
    found = re.match(r"(?:<=)?\[([\d,]+)\](?:T\(([\d,]+)\))?", text)
    if not found:
        return np.arange(devices)
    ids = np.arange(devices).reshape([int(i) for i in found[1].split(",")])
    return (ids.transpose([int(i) for i in found[2].split(",")]) if found[2] else ids).ravel()


def sides_of(chips: list[Coordinates], slice_: Slice) -> list[tuple[int, float]]:
    """(chips along the axis, links at its end chip that serve this group alone) for each axis of a group's box.

    Chips that lie apart share the links between them with the groups in the gaps. A group that is no box counts as a
    line.
    """
    if len(chips) < 2:
        return []
    along = [sorted({chip[axis] for chip in chips}) for axis in range(len(chips[0]))]
    if set(product(*along)) != set(chips):
        return [(len(chips), 1.0)]
    sides = []
    for axis, places in enumerate(along):
        if len(places) < 2:
            continue
        apart = places[1] - places[0]
        ring = slice_.wraps(axis) and len(places) * apart == slice_.sides[axis] and len(places) > 2
        sides.append((len(places), (2 if ring else 1) / apart))
    return sides


def ring_seconds(shard: float, chips: list[Coordinates], slice_: Slice) -> float:
    """Every chip gets the others' shards: limited by the links of the chip that has fewest, at the box's corner."""
    links = sum(links for _, links in sides_of(chips, slice_))
    return (len(chips) - 1) * shard / (links * slice_.chip.link_bytes_s) if links else 0.0


def exchange_seconds(local: float, chips: list[Coordinates], slice_: Slice) -> float:
    """Every chip sends an equal part of `local` to every other: limited by a corner's links or by a cut through the
    middle."""
    n, sides = len(chips), sides_of(chips, slice_)
    if not sides:
        return 0.0
    longest = local * (n - 1) / n / sum(links for _, links in sides)
    for side, links in sides:
        half = n // side * (side // 2)
        longest = max(longest, half * (n - half) * local / n / (n // side * links))
    return longest / slice_.chip.link_bytes_s
