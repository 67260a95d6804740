"""Schedules of a compilation's Pallas kernels, found in the folder that the compiler wrote them to."""

import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from tpu.bundles import KernelError, schedule
from tpu.hlo import Instruction, Program, bytes_of, value

BODY = re.compile(r'"body":"([^"]*)"')
READS = re.compile(r"operand_layout_constraints=\{(.*?\})\}")


@dataclass
class Kernels:
    """Cycles of the kernels of one program; calls with the same code and shapes are compiled, and found, once."""

    program: Program
    folder: Path
    matmul_cycles: int
    """Of one instruction of a matrix unit, at the chip's published peak."""
    hbm_bytes: float
    """That a cycle moves, at the chip's published peak."""
    guessed: int = 0
    """Branches of all kernels that were decided without knowing the numbers."""
    known: dict[tuple[str, str], int] = field(default_factory=dict)

    def __call__(self, found: Instruction) -> int:
        """Cycles of one call.

        Raises:
            KernelError: the folder holds no schedule of it.
        """
        body = BODY.search(found.attributes)
        key = (body[1] if body else found.name, found.shape)
        if key not in self.known:
            result = schedule(self.text(found), self.inputs(found))
            moving = self.moved(found) / self.hbm_bytes
            self.known[key] = max(result.cycles, result.matmuls * self.matmul_cycles, round(moving))
            self.guessed += result.guessed
        return self.known[key]

    def moved(self, found: Instruction) -> int:
        """Bytes of all operands and results, each moved once."""
        reads = READS.search(found.attributes)
        return bytes_of(found.shape) + (bytes_of(reads[1]) if reads else 0)

    def text(self, found: Instruction) -> str:
        """The schedule; of an instruction that shares the code of another, that one's."""
        names = [found.name, *(name for name in self.twins(found) if name != found.name)]
        for name in names:
            files = sorted(
                path
                for path in self.folder.glob(f"*-{name}-*-final_bundles.txt")
                if "schedule-analysis" not in path.name
            )
            if files:
                return files[-1].read_text(errors="replace")
        raise KernelError(
            f"kernel: no schedule of {found.name} was written\nrule: the compiler writes one for every kernel\n"
            "fix: leave LIBTPU_INIT_ARGS to this tool, or use the libtpu of the extra [tpu]"
        )

    def twins(self, found: Instruction) -> list[str]:
        """Names of all calls with the same code."""
        body = BODY.search(found.attributes)
        return [
            other.name
            for computation in self.program.computations.values()
            for other in computation.instructions
            if body and other.op == "custom-call" and body[0] in other.attributes
        ]

    def inputs(self, found: Instruction) -> tuple[tuple[int, int], ...]:
        """Scalar operands whose numbers the program gives."""
        for name, computation in self.program.computations.items():
            if computation.by_name.get(found.name) is found:
                numbers = ((i, value(self.program, name, operand)) for i, operand in enumerate(found.operands))
                return tuple((i, number) for i, number in numbers if isinstance(number, int))
        return ()


def emptied(folder: Path) -> Path:
    """The folder, with nothing in it: names of operations repeat from one compilation to the next."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
