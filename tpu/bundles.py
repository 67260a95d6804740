"""Cycles of a Pallas kernel: its final schedule is walked bundle by bundle, as the chip's scalar core would.

A bundle is what one cycle issues. XLA gives no estimate for a kernel, but the compiler writes its schedule, in which
loops over the grid, their exits and the regions that run in some rounds only (`pl.when`) are scalar instructions. These
are executed here; vector instructions only count. What is not modelled: waiting for memory or for another chip.
Instructions of the matrix units are counted, because a schedule may give them out faster than these can take them.

A branch that depends on the *data* (a number that came out of the vector unit) is taken past its region: kernels guard
rare cases so. One that depends on inputs that are not known runs its region.
"""

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

DELAY = 4
"""Bundles after a branch that run before it takes effect."""
MOST = 200_000_000
"""Bundles after which a kernel is given up as endless."""
LINE = re.compile(r"^\s*(?:0x)?([0-9a-f]+)\s*(?:[A-Z]{2})?:\s*>*\s*\{(.*)\}(.*)$")
COMMENT = re.compile(r"/\*.*?\*/")
STARTS = re.compile(r"Start(?:/End empty)? region (\d+)")
REGISTER = re.compile(r"%([sp])\d+(?:_([sp]\d+))?")
BRANCH = re.compile(r"sbr\.rel(?: \((!?)(%p\w+)\))? target = \$region(\d+)")
ASSIGN = re.compile(r"^(%[sp]\w+) = ([\w.]+)\s*(.*)$")
MATMUL = re.compile(r"= vmatmul\.[\w.]*mxu(\d+)")
OPERAND = re.compile(r"inlined_call_operand.*?index: (\d+), kind: input")
STORE = re.compile(r"= sst \[smem:\[(.*?)\]\] (\S+)")


class Unknown:
    """A number that the program text does not give."""

    def __init__(self, why: str):
        self.why = why


DATA, INPUT = Unknown("data"), Unknown("input")
Scalar = Any
"""int, float, bool, (symbol, offset) for an address, or DATA or INPUT."""


@dataclass(frozen=True)
class Schedule:
    """Cycles of one call, and how many branches were decided by the rule for unknown numbers.

    `matmuls`: instructions of the matrix unit that has most.
    """

    cycles: int
    guessed: int
    matmuls: int = 0


@dataclass(frozen=True)
class Step:
    """One scalar instruction: `target` is set to `run(*arguments)` if the guard holds, else to `otherwise` if given."""

    target: str
    run: Callable[..., Scalar]
    arguments: tuple[str, ...]
    guard: str = ""
    otherwise: str | None = None


@dataclass(frozen=True)
class Load:
    """`target` is set to what scalar memory holds at `address`."""

    target: str
    address: str
    guard: str = ""


@dataclass(frozen=True)
class Store:
    address: str
    value: str


@dataclass(frozen=True)
class Operand:
    """`target` is set to the kernel's operand of this number."""

    target: str
    index: int


class KernelError(ValueError):
    """A schedule that cannot be followed."""


def wrap(number: Scalar) -> Scalar:
    """Whole numbers are 32 bits wide, with a sign."""
    return (number + 2**31) % 2**32 - 2**31 if isinstance(number, int) and not isinstance(number, bool) else number


def unsigned(number: Scalar) -> Scalar:
    return number % 2**32


def plus(a: Scalar, b: Scalar) -> Scalar:
    if isinstance(a, tuple):
        return (a[0], a[1] + b)
    return (b[0], b[1] + a) if isinstance(b, tuple) else a + b


ARITHMETIC: dict[str, Callable[..., Scalar]] = {
    "sadd": plus,
    "ssub": operator.sub,
    "smul": operator.mul,
    "sand": lambda a, b: unsigned(a) & unsigned(b),
    "sor": lambda a, b: unsigned(a) | unsigned(b),
    "sxor": lambda a, b: unsigned(a) ^ unsigned(b),
    "sshll": lambda a, b: unsigned(a) << unsigned(b),
    "sshrl": lambda a, b: unsigned(a) >> unsigned(b),
    "sshra": operator.rshift,
    "smin": min,
    "smax": max,
    "smov": lambda a: a,
    "pmov": lambda a: a,
    "scalar_lea": plus,
    "pneg": operator.not_,
    "por": lambda a, b: a or b,
    "pand": lambda a, b: a and b,
    "pnand": lambda a, b: not (a and b),
    "pnor": lambda a, b: not (a or b),
    "pxor": operator.ne,
}
COMPARE = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
}
SHORT = {"por": True, "pnor": True, "pand": False, "pnand": False}
"""Value of one operand that decides the result whatever the other is."""


def strict(name: str, run: Callable[..., Scalar]) -> Callable[..., Scalar]:
    """`run`, for operands that may be unknown."""

    def known(*arguments: Scalar) -> Scalar:
        strangers = [a for a in arguments if isinstance(a, Unknown)]
        if not strangers:
            try:
                return wrap(run(*arguments))
            except (TypeError, ValueError, OverflowError):
                return INPUT
        if name in SHORT and any(a is SHORT[name] for a in arguments):
            return run(SHORT[name], SHORT[name])
        if name == "ssub" and arguments[1] == float("-inf"):
            return float("inf")
        return DATA if any(a is DATA for a in strangers) else INPUT

    return known


def function(op: str) -> Callable[..., Scalar] | None:
    """What an instruction computes; None for those that nothing is known about."""
    if op == "scalar_select":
        return _select
    parts = op.split(".")
    if parts[0] == "scmp":
        return strict("scmp", COMPARE[parts[1]])
    return strict(parts[0], ARITHMETIC[parts[0]]) if parts[0] in ARITHMETIC else None


def operand(text: str) -> str:
    """The register's name, with a mark for a negated predicate; anything else as it stands."""
    text = text.strip()
    negated, text = text.startswith("!"), text.removeprefix("!")
    found = REGISTER.match(text)
    name = (found[2] or found[0]) if found else text
    return f"!{name}" if negated else name


class Machine:
    """Registers and scalar memory of one core."""

    def __init__(self, inputs: dict[int, int]):
        self.inputs = inputs
        self.registers: dict[str, Scalar] = {}
        self.memory: dict[Scalar, Scalar] = {}

    def read(self, name: str) -> Scalar:
        if name.startswith("!"):
            value = self.read(name[1:])
            return value if isinstance(value, Unknown) else not value
        if name in self.registers:
            return self.registers[name]
        if name.startswith("["):
            return (name.strip("[]"), 0)
        try:
            return wrap(int(name, 0))
        except ValueError:
            pass
        try:
            return float(name)
        except ValueError:
            return INPUT

    def address(self, text: str) -> Scalar:
        """`#allocation12 + $0x4`, `%s1_s2 + $0x1` or `#allocation12 + %s1_s2`; None where it is not known."""
        symbol, offset = "", 0
        for part in text.split("+"):
            part = part.strip()
            value: Scalar = (part, 0) if part.startswith("#") else self.read(operand(part.removeprefix("$")))
            if isinstance(value, Unknown):
                return None
            if isinstance(value, tuple):
                symbol, value = value[0], value[1]
            offset += value
        return (symbol, offset)

    def load(self, text: str) -> Scalar:
        return self.memory.get(self.address(text), INPUT)


Scalars = Step | Load | Store | Operand


def scalars_of(text: str) -> list[Scalars]:
    """Scalar instructions of a bundle."""
    return [found for part in text.split(";;") if (found := scalar_of(part.strip())) is not None]


def scalar_of(text: str) -> Scalars | None:
    """The scalar instruction that this is, or None: vector instructions, transfers and branches only take time."""
    index = OPERAND.search(text)
    text = COMMENT.sub("", text).strip()
    if store := STORE.search(text):
        return Store(store[1], operand(store[2]))
    assign = ASSIGN.match(text)
    if assign is None or assign[2] in ("sphi", "pphi"):  # both sides of a phi are one register by now
        return None
    target, op, rest = operand(assign[1]), assign[2], assign[3]
    if op.startswith("inlined_call_operand"):
        return Operand(target, int(index[1]) if index else -1)
    if op == "sld":
        where, _, guard = rest.removeprefix("[smem:[").partition("]]")
        return Load(target, where, operand(guard.strip(" ()")))
    if op.startswith("int_to_ptr"):  # a name for the same number, and no instruction: it has no guard of its own
        return Step(target, ARITHMETIC["smov"], (operand(rest.split()[-1]),))
    guard, otherwise = "", None
    if rest.startswith("("):
        inside, _, rest = rest[1:].partition(")")
        guard, _, other = (operand(part) for part in inside.partition(","))
        otherwise, rest = other or None, rest.lstrip(" ,")
    run = function(op)
    if run is None:
        popped = op.startswith(("spop", "vpop"))
        return Step(target, (lambda: DATA) if popped else (lambda: INPUT), (), guard, otherwise)
    return Step(target, run, tuple(operand(a) for a in rest.split(",")), guard, otherwise)


def _select(condition: Scalar, yes: Scalar, no: Scalar) -> Scalar:
    if isinstance(condition, Unknown):
        return yes if yes == no else condition
    return yes if condition else no


@dataclass(frozen=True)
class Bundle:
    steps: tuple[Scalars, ...]
    branch: tuple[str, int] | None
    """(predicate, empty: always; region)"""
    matmuls: tuple[int, ...] = ()
    """Matrix units that it gives something to."""


def read(text: str) -> tuple[list[Bundle], dict[int, int]]:
    """Bundles in order, and where regions start."""
    bundles: list[Bundle] = []
    starts: dict[int, int] = {}
    for line in text.splitlines():
        found = LINE.match(line)
        if found is None:
            continue
        for region in STARTS.findall(found[3]):
            starts.setdefault(int(region), len(bundles))
        jump = BRANCH.search(found[2])
        branch = (operand(jump[1] + (jump[2] or "")) if jump[2] else "", int(jump[3])) if jump else None
        matmuls = tuple(int(unit) for unit in MATMUL.findall(found[2]))
        bundles.append(Bundle(tuple(scalars_of(found[2])), branch, matmuls))
    return bundles, starts


@lru_cache(maxsize=64)
def schedule(text: str, inputs: tuple[tuple[int, int], ...] = ()) -> Schedule:
    """Cycles of a kernel from its final bundles; `inputs`: values of scalar operands that the program gives.

    Raises:
        KernelError: a loop does not end, or goes to a region that the text does not show.
    """
    bundles, starts = read(text)
    if not bundles:
        raise KernelError(
            "kernel: a schedule without bundles\nrule: the compiler's final bundles\nfix: see docs/tpu.md"
        )
    busy = [at for at, bundle in enumerate(bundles) if bundle.steps or bundle.branch]
    following = [len(bundles)] * (len(bundles) + 1)
    for first, last in zip([-1, *busy], [*busy, len(bundles)], strict=True):
        following[first + 1 : last + 1] = [last] * (last - first)
    given = to_units(bundles)
    units = np.zeros(given.shape[1], int)
    machine = Machine(dict(inputs))
    at = cycles = guessed = 0
    landing: tuple[int, int] | None = None
    while at < len(bundles):
        stop = min(following[at], landing[0] if landing else len(bundles))
        units += given[stop] - given[at]
        cycles, at = cycles + stop - at, stop
        if at == len(bundles):
            break
        bundle = bundles[at]
        execute(machine, bundle.steps)
        units += given[at + 1] - given[at]
        cycles += 1
        if bundle.branch is not None and landing is None:
            predicate, region = bundle.branch
            goes = machine.read(predicate) if predicate else True
            if isinstance(goes, Unknown):
                guessed += 1
                # Loops end, the rare case is left out, and what may be needed is run.
                goes = goes is DATA and starts.get(region, 0) > at
            if goes and region not in starts:
                raise KernelError(f"kernel: a branch to region {region}, which is not there")
            landing = (at + DELAY, starts[region]) if goes else None
        if landing is not None and at == landing[0]:
            at, landing = landing[1], None
        else:
            at += 1
        if cycles > MOST:
            raise KernelError(f"kernel: no end after {MOST} bundles")
    return Schedule(cycles, guessed, int(units.max(initial=0)))


def to_units(bundles: list[Bundle]) -> np.ndarray:
    """[bundles + 1, units]: what each matrix unit is given before a bundle, if all are run in order."""
    counts = np.zeros((len(bundles) + 1, 1 + max((unit for b in bundles for unit in b.matmuls), default=-1)), int)
    for at, bundle in enumerate(bundles):
        for unit in bundle.matmuls:
            counts[at + 1, unit] += 1
    return counts.cumsum(axis=0)


def execute(machine: Machine, steps: tuple[Scalars, ...]) -> None:
    """All of a bundle's reads come before its writes."""
    writes: dict[str, Scalar] = {}
    stores: dict[Scalar, Scalar] = {}
    for step in steps:
        if isinstance(step, Store):
            stores[machine.address(step.address)] = machine.read(step.value)
        elif isinstance(step, Operand):
            writes[step.target] = machine.inputs.get(step.index, INPUT)
        elif isinstance(holds := machine.read(step.guard) if step.guard else True, Unknown):
            writes[step.target] = holds
        elif isinstance(step, Load):
            if holds:
                writes[step.target] = machine.load(step.address)
        elif holds:
            writes[step.target] = step.run(*(machine.read(a) for a in step.arguments))
        elif step.otherwise is not None:
            writes[step.target] = machine.read(step.otherwise)
    stores.pop(None, None)
    machine.registers.update(writes)
    machine.memory.update(stores)
