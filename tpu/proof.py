"""A program compiled for a slice, and the figures that are read off it."""

import re
import shutil
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax
from jax.sharding import Mesh

from tpu.alone import schedules
from tpu.cycles import CLASSES, Loop, Reader, Tally
from tpu.hlo import parse
from tpu.kernels import Kernels
from tpu.programs import Prepared
from tpu.topology import GIB, Slice

UNITS = {"K": 2**10, "M": 2**20, "G": GIB, "T": 2**40}
USED = re.compile(r"Used ([\d.]+)([KMGT])|\(([\d.]+)([KMGT])\) exceeds available HBM")
"""The two ways in which the compiler says how much memory a program would need."""


@dataclass(frozen=True)
class Proof:
    """What the compiler said. `step` and `layer` are empty if the program does not fit."""

    fits: bool
    peak_gib: float | None
    compile_s: float
    step: Tally
    layer: Tally
    once: Tally
    """Outside of the steps: once for each call."""
    guessed: int = 0
    error: str | None = None
    """What the compiler said where it gave up for another reason than memory."""
    compile_cpu_s: float = 0.0
    """Of all threads, so that a busy machine stretches it least."""
    host_gib: float = 0.0
    """Of a chip's arguments that lie in its host's memory."""

    def step_s(self, slice_: Slice) -> float:
        return self.step.seconds(slice_.chip.clock_hz)


def prove(prepared: Prepared, mesh: Mesh, slice_: Slice, keep: Path | None = None) -> Proof:
    """Compile and measure; `keep` gets what was read.

    Raises:
        KernelError: the schedule of a kernel is missing or cannot be followed.
    """
    began, busy = time.perf_counter(), time.process_time()
    try:
        with jax.set_mesh(mesh):
            compiled = prepared.lower().compile()
    except (jax.errors.JaxRuntimeError, NotImplementedError) as error:
        peak = needed_gib(str(error))
        said = None if "RESOURCE_EXHAUSTED" in str(error) and peak is not None else first_line(error)
        return Proof(False, peak, time.perf_counter() - began, Tally(), Tally(), Tally(), error=said)
    took, cpu = time.perf_counter() - began, time.process_time() - busy
    memory: Any = compiled.memory_analysis()
    held = memory.argument_size_in_bytes + memory.output_size_in_bytes - memory.alias_size_in_bytes
    peak = (held + memory.temp_size_in_bytes + memory.generated_code_size_in_bytes) / GIB
    host = memory.host_argument_size_in_bytes / GIB
    text = compiled.as_text()
    program = parse(text)
    with tempfile.TemporaryDirectory(prefix="tpu-kernels-") as folder:
        kernels = Kernels(program, schedules(program, slice_, Path(folder)), slice_.chip)
        if keep is not None:
            shutil.copytree(folder, keep, dirs_exist_ok=True)
            (keep / "program.txt").write_text(text)
    where = [tuple(device.coords) for device in mesh.devices.flat]
    whole = Reader(program, slice_, where, kernels).whole()
    step, layer, once = divided(whole, prepared.steps, prepared.layers)
    fits = peak <= slice_.chip.hbm_gib
    return Proof(fits, peak, took, step, layer, once, kernels.guessed, compile_cpu_s=cpu, host_gib=host)


def needed_gib(message: str) -> float | None:
    """Memory of a chip that a program would need, from the compiler's refusal."""
    used = USED.search(message)
    if used is None:
        return None
    number, unit = (part for part in used.groups() if part is not None)
    return float(number) * UNITS[unit] / GIB


def first_line(error: Exception) -> str:
    """What went wrong, without what the compiler appends."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]


def divided(whole: Tally, steps: int, layers: int) -> tuple[Tally, Tally, Tally]:
    """(one step, one layer of it, what is outside of steps).

    A loop that goes through layers has as many rounds as there are layers, or a divisor of it. Steps are the rounds of
    the loops around those; a program of one step is its own step.
    """
    outer = [loop for loop in whole.loops if steps > 1 and any(through(inner, layers) for inner in loop.body.loops)]
    if not outer:
        return whole, one_layer(whole.loops, layers), Tally()
    rounds = sum(loop.rounds for loop in outer)
    step, layer, once = Tally(), Tally(), Tally()
    once.add(whole)
    for loop in outer:
        step.add(loop.body, loop.rounds / rounds)
        layer.add(one_layer(loop.body.loops, layers), loop.rounds / rounds)
        once.add(loop.body, -loop.rounds)
    return step, layer, once


def through(loop: Loop, layers: int) -> bool:
    return layers > 0 and loop.rounds > 1 and layers % loop.rounds == 0


def one_layer(loops: list[Loop], layers: int) -> Tally:
    """Of all loops through the layers (backward has one more); the loops of something else are left out."""
    layer = Tally()
    for loop in loops:
        if through(loop, layers):
            layer.add(loop.body, loop.rounds / layers)
    return layer


def figures(proof: Proof, prepared: Prepared, slice_: Slice) -> dict[str, Any]:
    """The part of the record that comes from the compiler. Numbers are None where the program does not fit."""
    clock, chip = slice_.chip.clock_hz, slice_.chip
    known = proof.fits
    seconds = proof.step_s(slice_)
    peak = chip.peak_flops * slice_.chips
    per_step = {name: round(proof.step.cycles[name]) for name in CLASSES}
    per_layer = {name: round(proof.layer.cycles[name]) for name in CLASSES}
    return {
        "fits": proof.fits,
        "peak_hbm_gib": None if proof.peak_gib is None else round(proof.peak_gib, 3),
        "hbm_gib": chip.hbm_gib,
        "host_gib": round(proof.host_gib, 3),
        "cycles": {**per_step, "per_layer": per_layer} if known else None,
        "kernel_cycles": round(sum(proof.step.kernels.values())) if known else None,
        "kernel_cycles_per_layer": round(sum(proof.layer.kernels.values())) if known else None,
        "kernels": {name: round(cycles) for name, cycles in proof.step.kernels.items()},
        "collectives": {
            kind: {
                **{key: round(value, 6) for key, value in asdict(moved).items()},
                "overlapped": moved.waited < 0.05 * moved.seconds,
            }
            for kind, moved in proof.step.moved.items()
        },
        "compile_s": round(proof.compile_s, 1),
        "compile_cpu_s": round(proof.compile_cpu_s, 1),
        "static_s_per_step": round(seconds, 5) if known else None,
        "static_s_per_step_synchronous": round(proof.step.compute / clock + proof.step.exchanged, 5) if known else None,
        "static_s_once": round(proof.once.seconds(clock), 5) if known else None,
        "static_mfu": round(prepared.flops / (seconds * peak), 4) if known and seconds else None,
        "branches_guessed": proof.guessed,
        "error": proof.error,
        "loops_of_unknown_length": sorted(set(proof.step.unknown)),
    }
