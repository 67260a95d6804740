"""Slices by name: their chips, what one chip can do, how chips are wired, and how to get a compiler for them.

Chip figures are Google's published ones; link speeds are one direction of one link. Clocks are the ones at which the
published peak follows from the matrix units (8 cores' worth of 128 x 128 on v5p, 4 units of 256 x 256 on v6e).
"""

import difflib
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avatar_jax.media.errors import BadInput

GIB = 2**30


@dataclass(frozen=True)
class Chip:
    """One chip. `wraps_at`: a side of a slice that is a multiple of it is a ring, a shorter one is a line."""

    name: str
    hbm_gib: int
    peak_flops: float
    """Of bfloat16 products, per second."""
    clock_hz: float
    link_bytes_s: float
    hbm_bytes_s: float
    wraps_at: int
    sides: int
    matmul_cycles: int
    """In which a matrix unit takes 16 rows of bfloat16, the work of one instruction, at the published peak."""
    scoped_vmem_kib: int | None = None
    """Set where the default is too small: for big kernels (v5p), for large products at full speed (v6e)."""
    exchanges_early: bool = False
    """Whether EARLY is set: left to its defaults the compiler makes every exchange one instruction."""

    @property
    def hbm_bytes(self) -> float:
        """Moved to or from memory in a cycle."""
        return self.hbm_bytes_s / self.clock_hz


EARLY = (
    # Exchanges of heads in two halves, with compute between them.
    "--xla_tpu_enable_async_all_to_all=true",
    "--xla_tpu_force_async_all_to_all=true",
    # Gathers of weights spread over the products and kernels before the one that needs them.
    "--xla_enable_async_all_gather=true",
    "--xla_tpu_enable_async_collective_fusion=true",
    "--xla_tpu_enable_async_collective_fusion_fuse_all_gather=true",
    "--xla_tpu_overlap_compute_collective_tc=true",
)

CHIPS = {
    chip.name: chip
    for chip in (
        Chip("v4", 32, 275e12, 1.05e9, 45e9, 1228e9, 4, 3, 16),
        Chip("v5e", 16, 197e12, 1.5e9, 45e9, 819e9, 16, 2, 16),
        Chip("v5p", 95, 459e12, 1.75e9, 90e9, 2765e9, 4, 3, 16, scoped_vmem_kib=65536, exchanges_early=True),
        Chip("v6e", 32, 918e12, 1.75e9, 90e9, 1640e9, 16, 2, 8, scoped_vmem_kib=65536, exchanges_early=True),
    )
}
SHAPES = {
    2: ("2x2", "2x4", "4x4", "4x8", "8x8", "8x16", "16x16"),
    3: ("2x2x1", "2x2x2", "2x2x4", "2x4x4", "4x4x4", "4x4x8", "4x8x8", "8x8x8"),
}


@dataclass(frozen=True)
class Slice:
    """Chips in a grid, `sides` of them along each axis."""

    chip: Chip
    sides: tuple[int, ...]

    @property
    def name(self) -> str:
        return f"{self.chip.name}:{'x'.join(map(str, self.sides))}"

    @property
    def chips(self) -> int:
        return math.prod(self.sides)

    def wraps(self, axis: int) -> bool:
        """Whether the chips along this axis form a ring."""
        return axis < len(self.sides) and self.sides[axis] % self.chip.wraps_at == 0


def names() -> list[str]:
    return [f"{chip.name}:{shape}" for chip in CHIPS.values() for shape in SHAPES[chip.sides]]


def parse_topology(name: str) -> Slice:
    """`"v6e:2x4"` -> its slice.

    Raises:
        BadInput: there is no such slice; the nearest names are told.
    """
    if name not in names():
        near = difflib.get_close_matches(name, names(), 3, 0.3) or ["v5e:2x4", "v6e:2x4", "v5p:2x2x2"]
        raise BadInput("--topology", name, "it names a slice that the compiler knows", f"for example {', '.join(near)}")
    chip, _, shape = name.partition(":")
    return Slice(CHIPS[chip], tuple(int(side) for side in shape.split("x")))


def environment(chips: Slice, dump: Path | None = None) -> None:
    """Set what JAX and libtpu read when they start: no TPU is looked for, and schedules go to `dump` where it is given.

    Call before anything imports JAX. What LIBTPU_INIT_ARGS held before is kept.
    """
    flags = []
    if dump is not None:
        # Of the seventy stages of every operation only the last is read; all of them are gigabytes for a large model.
        flags += [f"--xla_jf_dump_to={dump}", "--xla_jf_dump_llo_text=true"]
        flags += ["--xla_jf_dump_llo_pass_label_regex=final_bundles"]
    if chips.chip.scoped_vmem_kib:
        flags.append(f"--xla_tpu_scoped_vmem_limit_kib={chips.chip.scoped_vmem_kib}")
    if chips.chip.exchanges_early:
        flags += EARLY
    given = os.environ.get("LIBTPU_INIT_ARGS", "").split()
    os.environ["LIBTPU_INIT_ARGS"] = " ".join([*flags, *given])
    os.environ["JAX_PLATFORMS"] = "cpu"
    # No machine is asked what it is: this may run anywhere. The lock would let one process at a time compile.
    os.environ |= {"TPU_SKIP_MDS_QUERY": "1", "ALLOW_MULTIPLE_LIBTPU_LOAD": "1"}
    os.environ |= {"TPU_ACCELERATOR_TYPE": f"{chips.chip.name}-{chips.chips}", "TPU_WORKER_HOSTNAMES": "localhost"}


def devices_of(chips: Slice) -> list[Any]:
    """The slice's devices, to make a mesh of; nothing can run on them.

    Raises:
        BadInput: the TPU compiler is not installed, or does not know the slice.
    """
    from jax.experimental import topologies

    try:
        return list(topologies.get_topology_desc(platform="tpu", topology_name=chips.name).devices)
    except Exception as error:  # the plugin raises bare runtime errors, whatever is wrong
        rule = "the TPU compiler (libtpu) is installed and knows the slice"
        raise BadInput(f"--topology {chips.name}", error, rule, "pip install 'avatar-jax[tpu]'") from error
