"""Reading XLA's optimised programs as text: computations, their instructions in scheduled order, trips of loops."""

import re
from dataclasses import dataclass, field
from functools import cached_property

LINE = re.compile(r"^\s+(ROOT )?%([\w.\-]+) = (.*)$")
HEAD = re.compile(r"^(ENTRY )?%([\w.\-]+) \(.*\{\s*$")
NAME = re.compile(r"%([\w.\-]+)")
CYCLES = re.compile(r'"estimated_cycles":"(\d+)"')
ARRAY = re.compile(r"(pred|[a-z]+\d+\w*)\[([\d,]*)\]")
BITS = {"pred": 8, "bf16": 16}


@dataclass(frozen=True)
class Instruction:
    """One line: `name = shape op(operands), attributes`."""

    name: str
    shape: str
    op: str
    operands: tuple[str, ...]
    """Names of other instructions; of a constant or a parameter what stands between the brackets."""
    attributes: str

    @property
    def cycles(self) -> int:
        """The compiler's own estimate; 0 where it gives none (free, asynchronous, or a kernel)."""
        found = CYCLES.search(self.attributes)
        return int(found[1]) if found else 0

    def called(self, key: str = "calls") -> str | None:
        """Name of the computation that an attribute such as calls, body or condition gives."""
        found = re.search(rf"\b{key}=%([\w.\-]+)", self.attributes)
        return found[1] if found else None

    def number(self, key: str) -> int | None:
        found = re.search(rf"\b{key}=(\d+)", self.attributes)
        return int(found[1]) if found else None


@dataclass
class Computation:
    """Instructions in the order in which they run."""

    name: str
    instructions: list[Instruction] = field(default_factory=list)
    root: str = ""

    @cached_property
    def by_name(self) -> dict[str, Instruction]:
        return {instruction.name: instruction for instruction in self.instructions}


@dataclass
class Program:
    """A module: all computations, and the one that is run."""

    computations: dict[str, Computation]
    entry: str

    def ops(self, name: str) -> set[str]:
        """Operations of a computation and of all that it calls."""
        found: set[str] = set()
        for instruction in self.computations[name].instructions:
            found.add(instruction.op)
            inner = instruction.called()
            if inner in self.computations:
                found |= self.ops(inner)
        return found


def parse(text: str) -> Program:
    """`compiled.as_text()` -> Program."""
    computations: dict[str, Computation] = {}
    entry, current = "", None
    for line in text.splitlines():
        head = HEAD.match(line)
        if head:
            current = computations[head[2]] = Computation(head[2])
            entry = head[2] if head[1] else entry
        elif current is not None and (found := LINE.match(line)):
            current.instructions.append(instruction(found[2], found[3]))
            current.root = found[2] if found[1] else current.root
        elif line.startswith("}"):
            current = None
    return Program(computations, entry)


def instruction(name: str, rest: str) -> Instruction:
    """`name` and what stands right of its equals sign."""
    cut = closing(rest, 0) + 1 if rest.startswith("(") else rest.index(" ")
    shape, rest = rest[:cut], rest[cut:].lstrip()
    op, start = rest[: rest.index("(")], rest.index("(")
    end = closing(rest, start)
    inside = rest[start + 1 : end]
    operands = (inside,) if op in ("constant", "parameter") else tuple(NAME.findall(inside))
    return Instruction(name, shape, op, operands, rest[end + 1 :])


def closing(text: str, start: int) -> int:
    """Where the bracket that opens at `start` closes."""
    depth = 0
    for at in range(start, len(text)):
        depth += (text[at] == "(") - (text[at] == ")")
        if depth == 0:
            return at
    raise ValueError(f"HLO: a bracket does not close in {text[:80]!r}")


def bytes_of(shape: str) -> int:
    """Bytes of an array; of a tuple, of all its arrays."""
    total = 0
    for kind, sides in ARRAY.findall(shape):
        bits = BITS.get(kind) or int(re.sub(r"^\D+(\d+).*", r"\1", kind))
        for side in filter(None, sides.split(",")):
            bits *= int(side)
        total += bits // 8
    return total


@dataclass(frozen=True)
class Carry:
    """Entry `index` of a loop's state, `plus` a number."""

    index: int
    plus: int = 0


Value = int | Carry | None
PASSING = {"copy", "bitcast", "convert", "reshape", "copy-start", "copy-done", "optimization-barrier"}


def value(program: Program, computation: str, name: str, given: list[Value] | None = None) -> Value:
    """What is known about a scalar or an array of one number: the number, an entry of the loop's state, or nothing.

    `given` are the values of the computation's parameters where it is the inside of a fusion.
    """
    found = program.computations[computation].by_name.get(name)
    if found is None:
        return None
    first = found.operands[0] if found.operands else ""
    if found.op == "constant":
        number = re.fullmatch(r"\{?(-?\d+)\}?", first)
        return int(number[1]) if number else None
    if found.op == "parameter":
        return given[int(first)] if given else None
    if found.op in PASSING:
        return value(program, computation, first, given)
    if found.op == "get-tuple-element":
        return element(program, computation, first, found.number("index") or 0, given)
    if found.op in ("add", "subtract"):
        left, right = (value(program, computation, operand, given) for operand in found.operands)
        return added(left, right, 1 if found.op == "add" else -1)
    if found.op == "fusion" and (inner := found.called()):
        known = [value(program, computation, operand, given) for operand in found.operands]
        return value(program, inner, program.computations[inner].root, known)
    return None


def element(program: Program, computation: str, name: str, index: int, given: list[Value] | None) -> Value:
    """Entry `index` of a tuple."""
    source = program.computations[computation].by_name[name]
    if source.op == "parameter":
        return Carry(index)
    return value(program, computation, source.operands[index], given) if source.op == "tuple" else None


def added(left: Value, right: Value, sign: int) -> Value:
    if isinstance(left, int) and isinstance(right, Carry) and sign == 1:
        left, right = right, left
    if not isinstance(right, int):
        return None
    if isinstance(left, Carry):
        return Carry(left.index, left.plus + sign * right)
    return None if left is None else left + sign * right


def trips(
    program: Program, computation: str, loop: Instruction, invariants: dict[int, int] | None = None
) -> int | None:
    """How often a while loop runs; None where the program does not say.

    `invariants`: entries of the state of the loop around this one that are the same number in all its rounds.
    """
    told = re.search(r'"known_trip_count":\{"n":"(\d+)"\}', loop.attributes)
    if told:
        return int(told[1])
    condition, body = loop.called("condition"), loop.called("body")
    if condition is None or body is None:
        return None
    start = initial(program, computation, loop, invariants)

    def known(entry: Value) -> Value:
        return start.get(entry.index) if isinstance(entry, Carry) and entry.index in constants else entry

    constants = {index: n for index, n in start.items() if same(program, body, index)}
    test, given = comparison(program, condition)
    if test is None:
        return None
    where = condition if given is None else given[0]
    left, right = (value(program, where, operand, given and given[1]) for operand in test.operands)
    limit = known(right)
    if not isinstance(left, Carry) or not isinstance(limit, int) or left.index not in start:
        return None
    step = value(program, body, output(program, body, left.index))
    if not isinstance(step, Carry) or step.index != left.index or step.plus <= 0:
        return None
    limit += "direction=LE" in test.attributes
    return max(0, -(-(limit - start[left.index] - left.plus) // step.plus))


def comparison(program: Program, condition: str) -> tuple[Instruction | None, tuple[str, list[Value]] | None]:
    """The comparison that ends a loop, and where it stands inside a fusion, that fusion's computation and inputs."""
    computation = program.computations[condition]
    root = computation.by_name[computation.root]
    if root.op == "compare":
        return root, None
    inner = root.called() if root.op == "fusion" else None
    if inner is None:
        return None, None
    inside = program.computations[inner]
    test = inside.by_name[inside.root]
    known = [value(program, condition, operand) for operand in root.operands]
    return (test, (inner, known)) if test.op == "compare" else (None, None)


def initial(
    program: Program, computation: str, loop: Instruction, invariants: dict[int, int] | None = None
) -> dict[int, int]:
    """Entries of a loop's state that start as known whole numbers."""
    state = program.computations[computation].by_name[loop.operands[0]]
    found: dict[int, int] = {}
    for index, operand in enumerate(state.operands if state.op == "tuple" else ()):
        known = value(program, computation, operand)
        if isinstance(known, Carry) and invariants is not None and known.index in invariants:
            known = invariants[known.index] + known.plus
        if isinstance(known, int):
            found[index] = known
    return found


def output(program: Program, body: str, index: int) -> str:
    """Name of what a loop's body returns as entry `index`."""
    computation = program.computations[body]
    root = computation.by_name[computation.root]
    return root.operands[index] if root.op == "tuple" else ""


def same(program: Program, body: str, index: int) -> bool:
    """Whether a loop hands on entry `index` as it got it."""
    return value(program, body, output(program, body, index)) == Carry(index)


def unchanged(program: Program, computation: str, loop: Instruction, around: dict[int, int] | None) -> dict[int, int]:
    """Entries of a loop's state that are one known number in all its rounds."""
    body = loop.called("body") or ""
    start = initial(program, computation, loop, around)
    return {index: number for index, number in start.items() if same(program, body, index)}
