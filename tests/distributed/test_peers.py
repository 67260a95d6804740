"""A process that is missing, wrong or killed is told of in three lines, and nobody waits for it for ever."""

import subprocess
import sys
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from avatar_jax import distributed
from avatar_jax.media import BadInput
from tests.distributed.processes import free_port, running

PEER = Path(__file__).with_name("peer.py")


def start(*numbers: object) -> subprocess.Popen:
    command = [sys.executable, str(PEER), *map(str, numbers)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen) -> tuple[int, str]:
    """Exit status and message."""
    _, err = process.communicate(timeout=60)
    assert "Traceback" not in err and len(err.splitlines()) in (0, 3), err
    return process.returncode, err


def test_processes_that_end_in_good_order_do_not_stop_the_others() -> None:
    port = free_port()
    group = [start(port, 3, i, 30, seconds) for i, seconds in enumerate((0.5, 0.1, 1.0))]
    with running(*group):
        assert [ended(process) for process in group] == [(0, "")] * 3


@pytest.mark.parametrize("killed", [0, 1])
def test_a_killed_process_ends_the_others_with_a_message(killed: int) -> None:
    port = free_port()
    group = [start(port, 3, i, 30, 600) for i in range(3)]
    with running(*group):
        assert all(process.stdout is not None and process.stdout.readline() == "here\n" for process in group)
        group[killed].kill()
        began = time.monotonic()
        for i in {0, 1, 2} - {killed}:
            status, told = ended(group[i])
            assert status == 1 and f"process {killed} of 3" in told and "is gone" in told
        assert time.monotonic() - began < 10


def test_a_missing_process_is_named() -> None:
    port = free_port()
    group = [start(port, 3, i, 1.5, 0) for i in (0, 2)]
    with running(*group):
        status, told = ended(group[0])
        assert status == 1 and "no word from 1 within 1.5 s" in told
        assert ended(group[1])[0] == 1
    status, told = ended(start(port, 3, 1, 0.5, 0))
    assert status == 1 and "no answer within 0.5 s" in told


def test_two_processes_with_one_number_are_told_apart() -> None:
    port = free_port()
    group = [start(port, 3, i, 1.5, 0) for i in (0, 1, 1)]
    with running(*group):
        told = [ended(process)[1] for process in group]
    assert sum("not taken into the run" in text and "process 1 of 3" in text for text in told[1:]) >= 1


BAD: list[dict[str, Any]] = [
    {"processes": 2}, {"process": 1}, {"processes": 2, "process": 2, "coordinator": "a:1"},
    {"processes": 2, "process": -1, "coordinator": "a:1"}, {"processes": 0, "process": 0},
    {"processes": 2, "process": 0}, {"processes": 2, "process": 0, "coordinator": "host"},
    {"processes": 2, "process": 0, "coordinator": "host:x"}, {"processes": 2, "process": 0, "coordinator": ":99999"},
]  # fmt: skip


@pytest.mark.parametrize("flags", BAD, ids=str)
def test_flags_that_do_not_fit_together_are_told(flags: dict[str, Any]) -> None:
    nothing: dict[str, Any] = {"coordinator": None, "processes": None, "process": None}
    with pytest.raises(BadInput, match="process"):
        distributed.place_of(Namespace(**nothing | flags))


def test_one_process_needs_no_flags() -> None:
    nothing: dict[str, Any] = {"coordinator": None, "processes": None, "process": None}
    assert distributed.place_of(Namespace(**nothing)) == distributed.Place()
    alone = Namespace(**nothing | {"processes": 4, "process": 3})
    assert distributed.place_of(alone, alone=True) == distributed.Place(4, 3)
