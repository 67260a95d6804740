"""Kernel cycles: schedules walked as the scalar core would."""

from pathlib import Path

import pytest

from tpu.bundles import DATA, INPUT, KernelError, schedule, strict, wrap

TANH = (Path(__file__).parent / "data" / "tanh_final_bundles.txt").read_text()
"""An elementwise kernel on a grid of 4 x 2, compiled for v6e; vector instructions are cut out of its bundles."""


def counting(limit: str, guarded: str) -> str:
    """A loop whose body of 8 bundles skips 3 of them where `guarded` holds."""
    return f"""
     0   :  {{ %s1_s0 = smov 0  ;;  %s9_s5 = inlined_call_operand.<no memory space> [index: 0, kind: input] }}
   0x1 LB: > {{ %s2_s0 = sphi %s1_s0, %s3_s0  ;;  %s3_s0 = sadd.s32 1, %s2_s0 }} /* Start region 7 */
   0x2   : > {{ {guarded} }}
   0x3   : > {{ %5 = sbr.rel (%p1_p0) target = $region8  ;;  %p2_p1 = scmp.ge.s32.totalorder %s3_s0, {limit} }}
   0x4   : > {{}}
   0x5   : > {{}}
   0x6   : > {{}}
   0x7   : > {{}}
   0x8   : > {{}} /* Start region 9 */
   0x9   : > {{}}
   0xa   : > {{}}
   0xb PF: > {{ %6 = sbr.rel (!%p2_p1) target = $region7 }} /* Start/End empty region 8 */
   0xc   : > {{}}
   0xd   : > {{}}
   0xe   : > {{}}
   0xf   : > {{}}
  0x10   :  {{}} /* exit */
"""


def test_matrix_units_are_given_what_the_loop_gives_them() -> None:
    given = "%7 = vmatmul.bf16.gmra.mxu0 %v1  ;;  %8 = vmatmul.mubr.bf16.gmra.mxu1 %v2"
    text = counting("4", "%p1_p0 = scmp.ge.s32.totalorder 0, 1").replace("0x7   : > {", f"0x7   : > {{ {given} ")
    assert schedule(text).matmuls == 4
    skipped = counting("4", "%p1_p0 = scmp.ge.s32.totalorder 0, 0").replace("0x9   : > {", f"0x9   : > {{ {given} ")
    assert schedule(skipped).matmuls == 0 and schedule(TANH).matmuls == 0


def test_a_second_name_for_a_counter_is_the_same_number() -> None:
    plain = counting("4", "%p1_p0 = scmp.ge.s32.totalorder %s3_s0, 0")
    named = plain.replace("0x5   : > {", "0x5   : > { %s6_s0 = int_to_ptr.vmem [resolvable:$true] %s3_s0 ")
    assert named != plain and schedule(named) == schedule(plain)


def test_a_real_schedule_runs_its_pipeline() -> None:
    found = schedule(TANH)
    # 10 rounds for 8 blocks: the first only reads, the last only writes. Each block's work is 140 bundles or more.
    assert found.cycles == 1845
    assert found.guessed == 0


def test_fewer_rounds_cost_less() -> None:
    shorter = TANH.replace("%s11_s12, 10 ", "%s11_s12, 6 ")
    assert shorter != TANH
    assert 0.5 < schedule(shorter).cycles / schedule(TANH).cycles < 0.7


def test_a_region_counts_in_the_rounds_that_run_it() -> None:
    always, never = "%p1_p0 = scmp.lt.s32.totalorder %s3_s0, 0", "%p1_p0 = scmp.ge.s32.totalorder %s3_s0, 0"
    first = "%p1_p0 = scmp.ne.s32.totalorder %s3_s0, 1"
    # One bundle before the loop, one after; 15 of a round, 3 of them guarded.
    assert schedule(counting("4", always)).cycles == 2 + 4 * 15
    assert schedule(counting("4", never)).cycles == 2 + 4 * 12
    assert schedule(counting("4", first)).cycles == 2 + 4 * 12 + 3


def test_what_depends_on_the_data_is_rare_and_what_depends_on_inputs_is_run() -> None:
    popped = counting("4", "%p1_p0 = scmp.gt.s32.totalorder %s8_s7, 3")
    popped = popped.replace("%s1_s0 = smov 0 ", "%s1_s0 = smov 0  ;;  %s8_s7 = spop %3 ")
    assert (schedule(popped).cycles, schedule(popped).guessed) == (2 + 4 * 12, 4)
    asked = counting("4", "%p1_p0 = scmp.gt.s32.totalorder %s9_s5, 3")
    assert schedule(asked).cycles == 2 + 4 * 15
    assert schedule(asked, ((0, 5),)).cycles == 2 + 4 * 12
    assert schedule(asked, ((0, 2),)).cycles == 2 + 4 * 15


def test_a_core_that_has_nothing_to_do_leaves_for_the_end_which_has_no_name() -> None:
    asked = counting("4", "%p1_p0 = scmp.gt.s32.totalorder %s9_s5, 3").replace("empty region 8", "empty region 80")
    assert schedule(asked).cycles == 2 + 4 * 15
    with pytest.raises(KernelError, match="region 8"):
        schedule(asked, ((0, 5),))


def test_arithmetic_of_unknown_numbers() -> None:
    minus, either = strict("ssub", lambda a, b: a - b), strict("por", lambda a, b: a or b)
    assert minus(DATA, float("-inf")) == float("inf")
    assert minus(DATA, 1) is DATA and minus(INPUT, 1) is INPUT and minus(INPUT, DATA) is DATA
    assert either(True, DATA) is True and either(False, DATA) is DATA
    assert wrap(2**31) == -(2**31)


def test_schedules_that_cannot_be_followed() -> None:
    with pytest.raises(KernelError, match="without bundles"):
        schedule("nothing")
    with pytest.raises(KernelError, match="region 8"):
        schedule(
            counting("4", "%p1_p0 = scmp.ge.s32.totalorder %s3_s0, 0").replace("empty region 8", "empty region 80")
        )
