"""A program's cost: classes, loops times trips, kernels, and collectives behind compute."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tpu.alone import call_of, kernels_of
from tpu.bundles import KernelError, schedule
from tpu.cycles import Reader, Tally, class_of
from tpu.hlo import Instruction, Program, parse
from tpu.kernels import Kernels
from tpu.proof import divided, needed_gib
from tpu.topology import parse_topology

DATA = Path(__file__).parent / "data"
TWO_LOOPS = parse((DATA / "two_loops.txt").read_text())
V6E = parse_topology("v6e:2x4")
GRID = [(x, y, 0) for y in range(4) for x in range(2)]
CLOCK = V6E.chip.clock_hz
TANH = 1845


def whole(program: Program, kernel: Callable[[Instruction], int] = lambda _: TANH) -> Tally:
    return Reader(program, V6E, GRID, kernel).whole()


def test_cycles_of_a_real_program_by_hand() -> None:
    found = whole(TWO_LOOPS)
    # 5 steps of 6 layers, each one product of 5120 cycles and a slice of 3988; a slice of 2120 in every step.
    assert found.cycles["matmul"] == 30 * 5120
    assert found.cycles["slice"] == 30 * 3988 + 5 * 2120
    assert found.cycles["elementwise"] == 5 * (6981 + 2157 + 7757) + 2120
    assert found.cycles["copy"] == 5 * 2163
    assert found.kernels == {"my_tanh": 30 * TANH}
    assert found.unknown == []


def test_steps_and_layers_are_told_apart() -> None:
    step, layer, once = divided(whole(TWO_LOOPS), steps=5, layers=6)
    assert step.cycles["matmul"] == 6 * 5120 and layer.cycles["matmul"] == 5120
    assert layer.kernels == {"my_tanh": TANH}
    assert once.cycles["matmul"] == 0 and once.cycles["elementwise"] == 2120
    assert step.seconds(CLOCK) * 5 + once.seconds(CLOCK) == pytest.approx(whole(TWO_LOOPS).seconds(CLOCK))


def test_two_layers_in_one_round_are_two_layers() -> None:
    layer = divided(whole(TWO_LOOPS), steps=5, layers=12)[1]
    assert layer.cycles["matmul"] == 5120 / 2


def test_leaving_a_kernel_out_changes_the_step() -> None:
    with_kernel, without = (divided(whole(TWO_LOOPS, k), 5, 6)[0] for k in (lambda _: TANH, lambda _: 0))
    assert with_kernel.seconds(CLOCK) - without.seconds(CLOCK) == pytest.approx(6 * TANH / CLOCK)


def test_synchronous_collectives_are_waited_for() -> None:
    found = whole(TWO_LOOPS).moved
    # Shards of 0.5 MB to a square of four chips, 30 times.
    assert found["all-gather"].bytes == 30 * 4 * 524288
    assert found["all-gather"].seconds == pytest.approx(30 * 3 * 524288 / (2 * 90e9))
    assert found["all-gather"].waited == pytest.approx(found["all-gather"].seconds)


def flying(cycles: int) -> str:
    """A gather of 90 MB to a square, one chip's part at a time, with compute of `cycles` behind it."""
    return f"""
ENTRY %main (p: bf16[45000000]) -> bf16[180000000] {{
  %p = bf16[45000000] parameter(0)
  %start = (bf16[45000000], bf16[180000000]) all-gather-start(%p), replica_groups={{{{0,1,2,3}},{{4,5,6,7}}}}
  %busy = bf16[45000000] add(%p, %p), backend_config={{"estimated_cycles":"{cycles}"}}
  %done = bf16[180000000] all-gather-done(%start)
  ROOT %r = bf16[180000000] add(%done, %done), backend_config={{"estimated_cycles":"5"}}
}}
"""


@pytest.mark.parametrize(("share", "waited"), [(0.0, 1.0), (0.25, 0.75), (1.0, 0.0), (3.0, 0.0)])
def test_compute_between_start_and_done_hides_a_collective(share: float, waited: float) -> None:
    needed = 3 * 90e6 / (2 * 90e9)
    found = whole(parse(flying(round(share * needed * CLOCK))))
    assert found.moved["all-gather"].seconds == pytest.approx(needed)
    assert found.moved["all-gather"].waited == pytest.approx(waited * needed, abs=1e-9)


@pytest.mark.parametrize("share", [0.0, 0.25, 3.0])
def test_a_collective_of_the_sparse_cores_is_one_all_the_same(share: float) -> None:
    needed = 3 * 90e6 / (2 * 90e9)
    text = flying(round(share * needed * CLOCK))
    start = next(line for line in text.splitlines() if "%start" in line)
    inner = start.replace("%start", "ROOT %inner").replace(
        "(bf16[45000000], bf16[180000000]) all-gather-start", "bf16[180000000] all-gather"
    )
    call = "%called (p: bf16[45000000]) -> bf16[180000000] {\n  %p = bf16[45000000] parameter(0)\n" + inner + "\n}\n"
    text = text.replace(
        start,
        "  %start = ((bf16[45000000]), bf16[180000000]) call-start(%p), "
        'async_execution_thread="sparsecore", to_apply=%called',
    )
    found = whole(parse(call + text.replace("all-gather-done", "call-done"))).moved["all-gather"]
    assert (found.count, found.seconds) == (1, pytest.approx(needed))
    assert found.waited == pytest.approx(max(1 - share, 0) * needed, abs=1e-9)


def test_two_collectives_share_the_links() -> None:
    first = next(line for line in flying(0).splitlines() if "%start" in line)
    text = flying(0).replace(first, first + "\n" + first.replace("%start", "%start2"))
    text = text.replace("  ROOT", "  %done2 = bf16[180000000] all-gather-done(%start2)\n  ROOT")
    assert whole(parse(text)).waited == pytest.approx(2 * 3 * 90e6 / (2 * 90e9))


CLASSES = """
%mm (a: bf16[8,8]) -> bf16[8,8] {
  %a = bf16[8,8] parameter(0)
  %t = bf16[8,8] transpose(%a), dimensions={1,0}
  ROOT %c = bf16[8,8] convolution(%t, %a), dim_labels=bf_io->bf
}

%moved (a: bf16[8,8]) -> f32[8,8] {
  %a = bf16[8,8] parameter(0)
  %k = bf16[8,8] copy(%a)
  ROOT %v = f32[8,8] convert(%k)
}

%wide (a: bf16[8,8]) -> bf16[16,8] {
  %a = bf16[8,8] parameter(0)
  %z = bf16[] constant(0)
  ROOT %q = bf16[16,8] pad(%a, %z), padding=0_8x0_0
}

%cut (a: bf16[8,8]) -> bf16[4,8] {
  %a = bf16[8,8] parameter(0)
  ROOT %s = bf16[4,8] slice(%a), slice={[0:4], [0:8]}
}

%sum (a: bf16[8,8]) -> bf16[8,8] {
  %a = bf16[8,8] parameter(0)
  %k = bf16[8,8] copy(%a)
  ROOT %s = bf16[8,8] add(%k, %a)
}

ENTRY %main (a: bf16[8,8]) -> bf16[8,8] {
  %a = bf16[8,8] parameter(0)
  %matmul = bf16[8,8] fusion(%a), kind=kOutput, calls=%mm
  %copy = f32[8,8] fusion(%a), kind=kLoop, calls=%moved
  %padding = bf16[16,8] fusion(%a), kind=kLoop, calls=%wide
  %slice = bf16[4,8] fusion(%a), kind=kLoop, calls=%cut
  ROOT %elementwise = bf16[8,8] fusion(%a), kind=kLoop, calls=%sum
}
"""


def test_classes() -> None:
    program = parse(CLASSES)
    for found in program.computations["main"].instructions[1:]:
        assert class_of(program, found) == found.name


def test_a_kernel_costs_its_schedule_or_what_its_bytes_need() -> None:
    text = (DATA / "tanh_final_bundles.txt").read_text()
    (found,) = kernels_of(TWO_LOOPS)
    call = call_of(found)
    quick = replace(V6E.chip, hbm_bytes_s=1e15)
    assert call is not None and call.gives.startswith("bf16[1024,1024]") and call.reads.startswith("bf16[1024,1024]")
    assert whole(TWO_LOOPS, Kernels(TWO_LOOPS, {call: text}, quick)).kernels["my_tanh"] == 30 * schedule(text).cycles
    # A megabyte of numbers read and written, 937 bytes a cycle.
    assert Kernels(TWO_LOOPS, {call: text}, V6E.chip)(found) == round(4 * 2**20 * 1.75 / 1640) > schedule(text).cycles
    with pytest.raises(KernelError, match="no schedule of my_tanh"):
        whole(TWO_LOOPS, Kernels(TWO_LOOPS, {}, V6E.chip))


@pytest.mark.parametrize(
    ("message", "gib"),
    [
        ("RESOURCE_EXHAUSTED: Ran out of memory in memory space hbm. Used 40.50G of 31.25G hbm. Exceeded ...", 40.5),
        ("RESOURCE_EXHAUSTED: ... memory required for HLO temporaries (512.0M) exceeds available HBM (15.75G).", 0.5),
        ("INTERNAL: Mosaic failed to compile TPU kernel", None),
    ],
)
def test_needed_memory_is_read_from_the_refusal(message: str, gib: float | None) -> None:
    assert needed_gib(message) == gib


def test_a_gather_that_is_spread_over_fusions_hides_behind_them() -> None:
    def part(n: int) -> str:
        gather = "%g = bf16[4,1024]{1,0} all-gather(%p), channel_id=7, replica_groups={{0,1,2,3}}, dimensions={0}"
        head = f"%f{n} (p: bf16[1,1024]) -> bf16[4,1024] {{\n  %p = bf16[1,1024]{{1,0}} parameter(0)\n"
        return f"{head}  ROOT {gather}\n}}\n"

    line = '%x{n} = bf16[4,1024] fusion(%w), kind=kLoop, calls=%f{n}, backend_config={{"estimated_cycles":"{c}"}}'
    calls = [line.format(n=n, c=1_000_000) for n in (1, 2, 3)]
    entry = "ENTRY %main (w: bf16[1,1024]) -> bf16[4,1024] {\n  %w = bf16[1,1024]{1,0} parameter(0)\n  "
    program = parse("".join(map(part, (1, 2, 3))) + entry + "\n  ".join([*calls[:2], "ROOT " + calls[2]]) + "\n}\n")
    where = [(n % 2, n // 2, 0) for n in range(8)]
    moved = Reader(program, parse_topology("v6e:2x4"), where, lambda _: 0).whole().moved["all-gather"]
    assert moved.count == 1 and moved.seconds > 0 and moved.waited == 0
