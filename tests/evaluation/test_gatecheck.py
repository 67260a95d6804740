"""Planted faults are what they say, and the table counts what the gate says of them."""

from dataclasses import replace

import numpy as np
import pytest

from avatar_jax.evaluation import gatecheck
from avatar_jax.evaluation.gatecheck import FURTHER, REQUIRED, Shown
from avatar_jax.sampling.gate import ClipScore, GateConfig, examine
from tests.sampling import mouths

GATE = GateConfig()
STANDARD = mouths.standard()


def shown(first: int, talking: bool = True) -> Shown:
    moments = first + np.arange(13)
    good, strange = (np.stack([mouths.picture(x) for x in mouths.latents(moments, face=f)]) for f in (1.0, -1.0))
    return Shown(good, strange, moments / mouths.RATE, talking, STANDARD)


def ask(clip: Shown) -> ClipScore:
    return examine(clip.frames_NHW3, mouths.read(clip.frames_NHW3), clip.seconds_N, clip.standard, GATE)[0]


@pytest.fixture(scope="module")
def clips() -> list[list[Shown]]:
    return [[shown(20), shown(32, talking=False), shown(44)], [shown(56), shown(68)]]


def test_every_required_fault_is_caught_and_good_ones_pass(clips: list[list[Shown]]) -> None:
    result = gatecheck.tabled(clips, ask, GATE, 4)
    assert {name for name, row in result["faults"].items() if row["required"]} == set(REQUIRED)
    assert all((row["stopped"], row["of"]) == (4, 4) for name, row in result["faults"].items() if name in REQUIRED)
    assert (result["good"]["stopped"], result["good"]["of"], result["all_good"]["of"]) == (0, 4, 5)
    assert gatecheck.holds(result)
    assert "| another identity | 4 of 4 | identity 4" in gatecheck.as_text(
        result | {"seeds": (1, 2), "characters": "report", "seconds_each": 10}
    )


def test_a_gate_that_sleeps_does_not_hold(clips: list[list[Shown]]) -> None:
    asleep = replace(GATE, lead=-9.0)
    result = gatecheck.tabled(clips, ask, asleep, 4)
    assert not gatecheck.holds(result)
    assert [name for name, row in result["faults"].items() if row["required"] and row["stopped"] < 4] == [
        name for name in REQUIRED if name.startswith(gatecheck.LATE)
    ]


def test_a_gate_that_stops_the_good_does_not_hold(clips: list[list[Shown]]) -> None:
    assert not gatecheck.holds(gatecheck.tabled(clips, ask, replace(GATE, sharp=2.0), 4))


@pytest.mark.parametrize("name", [*REQUIRED, *FURTHER])
def test_a_fault_leaves_the_sub_clip_it_was_planted_in(name: str) -> None:
    clip = shown(20)
    before = clip.frames_NHW3.copy()
    made = ({**REQUIRED, **FURTHER}[name])(clip, np.random.default_rng(3))
    np.testing.assert_array_equal(clip.frames_NHW3, before)
    assert made.frames_NHW3.shape == before.shape and made.frames_NHW3.dtype == np.uint8
    late = np.unique(np.round(25 * (made.seconds_N - clip.seconds_N), 6))
    assert len(late) == 1 and (3 <= abs(late[0]) <= 8 if "sync" in name else late[0] == 0)
    assert (made.frames_NHW3 != before).any() != ("sync" in name)


def test_cases_are_spread_over_videos(clips: list[list[Shown]]) -> None:
    picked = gatecheck.spread(clips, 4)
    assert [any(x is clip for clip in clips[0]) for x in picked] == [True, True, False, False]
    assert len(gatecheck.spread(clips, 50)) == 5
    assert len(gatecheck.spread([[], clips[1]], 2)) == 2
