"""Reading optimised programs: shapes, loops inside loops, and how often they run."""

from pathlib import Path

import pytest

from tpu.hlo import bytes_of, closing, instruction, parse, trips, unchanged

TWO_LOOPS = (Path(__file__).parent / "data" / "two_loops.txt").read_text()
"""`scan` of 5 steps around `scan` of 6 layers (product, all-gather, kernel), compiled for v6e:2x4; names cut out."""


def loop(text: str, start: str, limit: str, step: str, direction: str = "LT") -> str:
    return f"""
%body (s: (s32[], s32[])) -> (s32[], s32[]) {{
  %s = (s32[], s32[]) parameter(0)
  %i = s32[] get-tuple-element(%s), index=0
  %end = s32[] get-tuple-element(%s), index=1
  %by = s32[] constant({step})
  %next = s32[] add(%i, %by)
  ROOT %out = (s32[], s32[]) tuple(%next, %end)
}}

%cond (c: (s32[], s32[])) -> pred[] {{
  %c = (s32[], s32[]) parameter(0)
  %j = s32[] get-tuple-element(%c), index=0
  %stop = s32[] {text}
  ROOT %less = pred[] compare(%j, %stop), direction={direction}
}}

ENTRY %main () -> s32[] {{
  %from = s32[] constant({start})
  %to = s32[] constant({limit})
  %copied = s32[] copy(%from)
  %state = (s32[], s32[]) tuple(%copied, %to)
  %w = (s32[], s32[]) while(%state), condition=%cond, body=%body
  ROOT %r = s32[] get-tuple-element(%w), index=0
}}
"""


def rounds(text: str) -> int | None:
    program = parse(text)
    return trips(program, "main", program.computations["main"].by_name["w"])


@pytest.mark.parametrize(
    ("start", "limit", "step", "direction", "expected"),
    [("0", "7", "1", "LT", 7), ("1", "8", "2", "LT", 4), ("0", "7", "1", "LE", 8), ("9", "7", "1", "LT", 0)],
)
def test_rounds_of_a_counting_loop(start: str, limit: str, step: str, direction: str, expected: int) -> None:
    assert rounds(loop(f"constant({limit})", start, "0", step, direction)) == expected


def test_a_limit_in_the_loops_state_is_found_if_nothing_changes_it() -> None:
    text = loop("get-tuple-element(%c), index=1", "0", "6", "1")
    assert rounds(text) == 6
    assert rounds(text.replace("tuple(%next, %end)", "tuple(%next, %next)")) is None


def test_a_loop_that_does_not_count_is_unknown() -> None:
    assert rounds(loop("constant(7)", "0", "0", "1").replace("add(%i, %by)", "multiply(%i, %by)")) is None


def test_known_trip_count_is_believed() -> None:
    text = loop("constant(7)", "0", "0", "1")
    told = text.replace("body=%body", 'body=%body, backend_config={"known_trip_count":{"n":"11"}}')
    assert rounds(told) == 11


def test_loops_of_a_real_program() -> None:
    program = parse(TWO_LOOPS)
    outer = next(i for i in program.computations[program.entry].instructions if i.op == "while")
    assert trips(program, program.entry, outer) == 5
    body = outer.called("body")
    assert body is not None
    inner = next(i for i in program.computations[body].instructions if i.op == "while")
    assert trips(program, body, inner, unchanged(program, program.entry, outer, None)) == 6


def test_an_instruction_is_taken_apart() -> None:
    text = '(f32[2,3]{1,0:T(8,128)}, /*index=1*/s32[]) fusion(%a, %b.1), calls=%c.2, x={"estimated_cycles":"12"}'
    found = instruction("f", text)
    assert (found.op, found.operands, found.called(), found.cycles) == ("fusion", ("a", "b.1"), "c.2", 12)
    assert bytes_of(found.shape) == 2 * 3 * 4 + 4


def test_bytes_of_small_and_odd_numbers() -> None:
    assert [bytes_of(s) for s in ("bf16[4,8]{1,0}", "pred[3]", "f8e4m3fn[5]", "u32[]{:S(2)}")] == [64, 3, 5, 4]


def test_brackets_that_do_not_close_are_an_error() -> None:
    with pytest.raises(ValueError, match="close"):
        closing("((", 0)
