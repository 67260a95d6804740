"""Cycles of a compilation's Pallas kernels: those of their schedules, and what the chip needs at the least."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tpu.alone import Call, call_of
from tpu.bundles import KernelError, schedule
from tpu.hlo import Instruction, Program, bytes_of, value
from tpu.topology import Chip


@dataclass
class Kernels:
    """Cycles of the kernels of one program; calls with the same code and shapes are read once."""

    program: Program
    schedules: Mapping[Call, str]
    chip: Chip
    guessed: int = 0
    """Branches of all kernels that were decided without knowing the numbers."""
    known: dict[tuple[Call, tuple], int] = field(default_factory=dict)

    def __call__(self, found: Instruction) -> int:
        """Cycles of one call.

        Raises:
            KernelError: there is no schedule of it.
        """
        call = call_of(found)
        if call is None or call not in self.schedules:
            raise KernelError(
                f"kernel: no schedule of {found.name}\nrule: the schedules are those of this program\n"
                "fix: tpu.alone.schedules(program, ...)"
            )
        inputs = self.inputs(found)
        if (call, inputs) not in self.known:
            result = schedule(self.schedules[call], inputs)
            moving = bytes_of(call.reads + call.gives) / self.chip.hbm_bytes
            least = max(result.matmuls * self.chip.matmul_cycles, round(moving))
            self.known[call, inputs] = max(result.cycles, least)
            self.guessed += result.guessed
        return self.known[call, inputs]

    def inputs(self, found: Instruction) -> tuple[tuple[int, int], ...]:
        """Scalar operands whose numbers the program gives."""
        for name, computation in self.program.computations.items():
            if computation.by_name.get(found.name) is found:
                numbers = ((i, value(self.program, name, operand)) for i, operand in enumerate(found.operands))
                return tuple((i, number) for i, number in numbers if isinstance(number, int))
        return ()
