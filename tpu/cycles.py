"""What a compiled program costs: its instructions are walked in their scheduled order, loops times their trips.

- XLA's own operations: `estimated_cycles` of the compiler, by class.
- Pallas kernels: cycles of their schedules (tpu.bundles).
- Collectives: seconds on the links. A -start and its -done leave the time between them to compute; what is left over
  when the -done comes is waited for, as is all of a collective that is one instruction. One that is spread over several
  fusions (they share its channel) begins with the first and is waited for after the last.
"""

import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from tpu.collectives import Coordinates, Exchange, exchange, kind_of
from tpu.hlo import Instruction, Program, trips, unchanged
from tpu.topology import Slice

CLASSES = ("matmul", "copy", "padding", "slice", "elementwise")
MATMUL = {"convolution", "dot"}
NOTHING = {"parameter", "bitcast", "get-tuple-element", "tuple", "constant", "convert", "broadcast", "iota", "fusion"}
MOVES = {"copy", "transpose", "reshape", "concatenate", "reverse"}
SLICES = {"slice", "dynamic-slice", "dynamic-update-slice"}
KERNEL = "tpu_custom_call"
HOLDERS = {"fusion": "calls", "async-start": "calls", "call-start": "to_apply"}
"""Instructions that may hold a collective, and the attribute that names where. A call is one of the sparse cores'."""


@dataclass
class Moved:
    """All collectives of one kind."""

    count: float = 0
    bytes: float = 0
    seconds: float = 0
    waited: float = 0
    """Seconds in which nothing is computed."""


@dataclass
class Tally:
    """Cost of a computation, once through."""

    cycles: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    """By class."""
    kernels: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    """Cycles of each kernel."""
    moved: dict[str, Moved] = field(default_factory=dict)
    loops: list["Loop"] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    """Loops whose trips the program does not say; counted once."""

    def add(self, other: "Tally", times: float = 1) -> None:
        """Everything of `other` but its list of loops."""
        for name, count in other.cycles.items():
            self.cycles[name] += count * times
        for name, count in other.kernels.items():
            self.kernels[name] += count * times
        for kind, more in other.moved.items():
            mine = self.moved.setdefault(kind, Moved())
            mine.count += more.count * times
            mine.bytes += more.bytes * times
            mine.seconds += more.seconds * times
            mine.waited += more.waited * times
        self.unknown += other.unknown

    @property
    def compute(self) -> float:
        """Cycles of XLA's operations and of kernels."""
        return sum(self.cycles.values()) + sum(self.kernels.values())

    @property
    def waited(self) -> float:
        return sum(kind.waited for kind in self.moved.values())

    @property
    def exchanged(self) -> float:
        return sum(kind.seconds for kind in self.moved.values())

    def seconds(self, clock: float) -> float:
        return self.compute / clock + self.waited

    def scaled(self, times: float) -> "Tally":
        result = Tally()
        result.add(self, times)
        return result


@dataclass(frozen=True)
class Loop:
    """A while loop: what one round costs, and how many there are."""

    rounds: int
    body: Tally


@dataclass
class Timeline:
    """Seconds since a computation began, and the collectives that are under way. The links serve one at a time."""

    now: float = 0.0
    free: float = 0.0
    """When the links have done all that they were given."""
    flying: dict[str, tuple[Moved, float]] = field(default_factory=dict)
    """By the instruction that will end it: who waits, and when it arrives."""

    def send(self, found: Instruction, sent: Exchange, moved: Moved, spread: bool = False) -> None:
        """A collective begins; one that is a single instruction, and not spread over several, is waited for."""
        moved.count += 1
        moved.bytes += sent.bytes
        moved.seconds += sent.seconds
        self.free = max(self.now, self.free) + sent.seconds
        self.flying[found.name] = (moved, self.free)
        if not found.op.endswith("-start") and not spread:
            self.wait(found.name)

    def receive(self, found: Instruction) -> None:
        """If this instruction ends a collective, or hands it on, do so."""
        begun = found.operands[0] if found.operands else ""
        if begun in self.flying and found.op.endswith("-done"):
            self.wait(begun)
        elif begun in self.flying and found.op.endswith("-update"):
            self.flying[found.name] = self.flying.pop(begun)

    def wait(self, name: str) -> None:
        moved, arrival = self.flying.pop(name)
        moved.waited += max(0.0, arrival - self.now)
        self.now = max(self.now, arrival)

    def end(self) -> None:
        """What is carried into the next round of a loop is waited for here: its rest may not be hidden."""
        for name in list(self.flying):
            self.wait(name)


@dataclass(frozen=True)
class Reader:
    """How to price the instructions of one program."""

    program: Program
    slice: Slice
    where: list[Coordinates]
    """Coordinates of the mesh's devices, in its order."""
    kernel: Callable[[Instruction], int]
    """Cycles of a kernel."""

    def whole(self) -> Tally:
        return self.walk(self.program.entry, {})

    def walk(self, name: str, invariants: dict[int, int]) -> Tally:
        """Cost of a computation; `invariants` are entries of the loop state it is given that are known numbers."""
        tally, time, clock = Tally(), Timeline(), self.slice.chip.clock_hz
        first, last = self.spread(name)
        for found in self.program.computations[name].instructions:
            inside = self.inside(tally, name, found, invariants)
            if inside is not None:
                tally.add(inside)
                time.now += inside.seconds(clock)
                continue
            sent = self.sent(name, found)
            if sent is not None and first.get(found.name, found.name) == found.name:
                time.send(found, sent, tally.moved.setdefault(sent.kind, Moved()), found.name in first)
            time.receive(found)
            time.now += self.compute(tally, found) / clock
            if found.name in last:
                time.wait(first[found.name])
        time.end()
        return tally

    def inside(self, tally: Tally, name: str, found: Instruction, invariants: dict[int, int]) -> Tally | None:
        """Cost of what an instruction runs as a program of its own; None if it runs none."""
        if found.op == "while":
            return self.loop(tally, name, found, invariants)
        if found.op == "conditional":
            clock = self.slice.chip.clock_hz
            return max((self.walk(branch, {}) for branch in branches(found)), key=lambda part: part.seconds(clock))
        called = found.called("to_apply") if found.op == "call" else None
        return None if called is None else self.walk(called, {})

    def loop(self, tally: Tally, name: str, found: Instruction, invariants: dict[int, int]) -> Tally:
        """All rounds of a while loop together; notes the loop in `tally`."""
        body = self.walk(found.called("body") or "", unchanged(self.program, name, found, invariants))
        rounds = trips(self.program, name, found, invariants)
        if rounds is None:
            tally.unknown.append(found.name)
        tally.loops.append(Loop(rounds or 1, body))
        return body.scaled(rounds or 1)

    def sent(self, name: str, found: Instruction) -> Exchange | None:
        """The collective that an instruction is, or starts, or holds inside."""
        if kind_of(found.op) is not None:
            return exchange(found, self.shapes(name, found), self.where, self.slice)
        key = HOLDERS.get(found.op)
        inner = None if key is None else found.called(key)
        if inner is None:
            return None
        for inside in self.program.computations[inner].instructions:
            if kind_of(inside.op) is not None:
                return exchange(inside, self.shapes(inner, inside), self.where, self.slice)
        return None

    def spread(self, name: str) -> tuple[dict[str, str], set[str]]:
        """Fusions between which one collective is spread: (each one's first, those that are last)."""
        by_channel: dict[int, list[str]] = {}
        for found in self.program.computations[name].instructions:
            inner = found.called() if found.op == "fusion" else None
            for inside in self.program.computations[inner].instructions if inner else ():
                channel = inside.number("channel_id")
                if kind_of(inside.op) is not None and channel is not None:
                    by_channel.setdefault(channel, []).append(found.name)
        several = [names for names in by_channel.values() if len(names) > 1]
        return {name: names[0] for names in several for name in names}, {names[-1] for names in several}

    def shapes(self, name: str, found: Instruction) -> list[str]:
        known = self.program.computations[name].by_name
        return [known[operand].shape for operand in found.operands if operand in known]

    def compute(self, tally: Tally, found: Instruction) -> float:
        """Cycles of an instruction, noted under its class."""
        if f'custom_call_target="{KERNEL}"' in found.attributes:
            cycles = self.kernel(found)
            tally.kernels[found.name.split(".")[0]] += cycles
            return cycles
        cycles = found.cycles
        if cycles and kind_of(found.op) is None:
            tally.cycles[class_of(self.program, found)] += cycles
            return cycles
        return 0


def branches(found: Instruction) -> list[str]:
    """Computations between which a conditional chooses."""
    listed = re.search(r"branch_computations=\{([^}]*)\}", found.attributes)
    names = listed[1] if listed else " ".join(re.findall(r"(?:true|false)_computation=(%[\w.\-]+)", found.attributes))
    return re.findall(r"%([\w.\-]+)", names)


def class_of(program: Program, found: Instruction) -> str:
    """matmul: has a product inside. padding, slice and copy: numbers are only moved. elementwise: all the rest."""
    inner = found.called() if found.op == "fusion" else None
    ops = (program.ops(inner) if inner in program.computations else {found.op}) - NOTHING
    if ops & MATMUL:
        return "matmul"
    if ops and ops <= {"pad"} | SLICES | MOVES:
        return "padding" if "pad" in ops else "copy" if ops & MOVES else "slice"
    return "elementwise"
