"""Schedules of a program's Pallas kernels: each is compiled once more, alone, by a process that has them written.

    python -m tpu.alone TOPOLOGY FOLDER

FOLDER/calls.json has the kernels; FOLDER/0.txt and so on get their final bundles. The compiler writes schedules of all
operations that it compiles or of none, and writing those of a whole program takes longer than compiling it.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tpu.bundles import KernelError
from tpu.hlo import ARRAY, Instruction, Program
from tpu.topology import Slice, devices_of, environment, parse_topology

TARGET = "tpu_custom_call"
ROOT = Path(__file__).resolve().parents[1]
READS = re.compile(r"operand_layout_constraints=\{(.*?\})\}")
CONFIG = "backend_config="
TYPES = {"bf16": "bfloat16", "f32": "float32", "f16": "float16", "s32": "int32", "u32": "uint32", "s8": "int8"}
"""XLA's names of types -> JAX's, of those that kernels take."""


class Call(NamedTuple):
    """What decides a kernel's schedule: its code with how it is to be compiled, what it reads and what it gives."""

    config: str
    reads: str
    gives: str


def call_of(found: Instruction) -> Call | None:
    """None for instructions that are no kernels."""
    if found.op != "custom-call" or TARGET not in found.attributes:
        return None
    config, _ = json.JSONDecoder().raw_decode(found.attributes, found.attributes.index(CONFIG) + len(CONFIG))
    reads = READS.search(found.attributes)
    return Call(json.dumps(config), reads[1] if reads else "", found.shape)


def kernels_of(program: Program) -> Iterator[Instruction]:
    for computation in program.computations.values():
        yield from (found for found in computation.instructions if call_of(found) is not None)


def schedules(program: Program, slice_: Slice, folder: Path) -> Mapping[Call, str]:
    """Final bundles of all kernels of a program, which stay in the folder.

    Raises:
        KernelError: a kernel cannot be compiled alone.
    """
    calls = list(dict.fromkeys(filter(None, map(call_of, kernels_of(program)))))
    if not calls:
        return {}
    (folder / "calls.json").write_text(json.dumps(calls))
    process = subprocess.run(
        [sys.executable, "-m", "tpu.alone", slice_.name, str(folder)], cwd=ROOT, capture_output=True, text=True
    )
    if process.returncode:
        said = [line for line in process.stderr.splitlines() if line.strip()]
        raise KernelError(
            f"kernels: they do not compile alone: {said[-1][:200] if said else process.returncode}\n"
            "rule: kernels of JAX's Pallas\nfix: use the versions of the extra [tpu]"
        )
    return {call: (folder / f"{number}.txt").read_text(errors="replace") for number, call in enumerate(calls)}


def arrays(text: str, sharding: Any) -> list[Any]:
    """Abstract arrays of an HLO shape."""
    import jax

    return [
        jax.ShapeDtypeStruct([int(side) for side in sides.split(",") if side], TYPES[kind], sharding=sharding)
        for kind, sides in ARRAY.findall(text)
    ]


def main(topology: str, folder: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="tpu-schedules-") as written:
        slice_ = parse_topology(topology)
        environment(slice_, Path(written))
        # Only now: JAX reads the environment when it is imported.
        import jax

        one = jax.sharding.SingleDeviceSharding(devices_of(slice_)[0])
        for number, call in enumerate(Call(*given) for given in json.loads((folder / "calls.json").read_text())):
            for old in Path(written).iterdir():
                old.unlink()
            gives = arrays(call.gives, one)
            kernel = jax.ffi.ffi_call(
                TARGET,
                gives if call.gives.startswith("(") else gives[0],
                custom_call_api_version=1,
                legacy_backend_config=call.config,
            )
            jax.jit(kernel).lower(*arrays(call.reads, one)).compile()
            found = [
                path
                for path in sorted(Path(written).glob("*-ffi_call*-final_bundles.txt"))
                if "schedule-analysis" not in path.name
            ]
            (folder / f"{number}.txt").write_bytes(found[-1].read_bytes())


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
