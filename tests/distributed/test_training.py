"""train.py over several processes: the same training, stopped together, gone on with by any number of processes."""

import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from avatar_jax.mesh import make_mesh
from avatar_jax.training.hooks import parsed, read_lines
from avatar_jax.training.loop import LoopConfig, run
from avatar_jax.training.optim import OptimConfig
from avatar_jax.weights import ship
from tests.distributed import processes
from tests.training.toy_stage import ToyConfig, ToyStage

TOY = str(processes.ROOT / "tests" / "training" / "train_toy.py")
WINDOW = str(processes.ROOT / "tests" / "distributed" / "train_window.py")
STEPS = 40
HALF: dict[str, Any] = {"rtol": 2e-3, "atol": 2e-4}
STAGE = ToyStage(replace(ToyConfig(), optimiser=OptimConfig(steps=STEPS, rate=0.02)))


def losses(folder: Path) -> list[float]:
    # A line that is being written counts once it is whole.
    lines = map(parsed, read_lines(folder / "metrics.jsonl"))
    found = {line["step"]: line["loss"] for line in lines if line is not None}
    assert sorted(found) == list(range(1, len(found) + 1)), "every step is logged once"
    return [found[step] for step in sorted(found)]


def toy(out: Path, mesh: str, *more: str) -> list[str]:
    return [TOY, "--config", TOY, "--out", str(out), "--mesh", mesh, "--steps", str(STEPS), *more]


def stopped_by_one(out: Path, count: int, mesh: str) -> int:
    """Train with `count` processes until the last of them, alone, is told to stop; the step that all stopped at."""
    group = processes.start(toy(out, mesh, "--pause=0.1"), count, processes.free_port())
    with processes.running(*group):
        deadline = time.monotonic() + 120
        while len(losses(out / "toy")) < 3 and time.monotonic() < deadline:
            time.sleep(0.05)
        group[-1].send_signal(signal.SIGTERM)
        told = [process.communicate(timeout=120) for process in group]
    assert [process.returncode for process in group] == [130] * count, told
    steps = {err.rsplit("saved at step ", 1)[1].split(" ")[0] for _, err in told}
    assert len(steps) == 1, "all stop at the same step"
    assert all("toy" not in out for out, _ in told[1:]), "process 0 tells what all have made"
    return int(steps.pop())


def assert_like_one_process(out: Path, tmp_path: Path) -> None:
    whole = run(STAGE, tmp_path / "whole", make_mesh(), LoopConfig())
    made = ship.load(out / "toy.safetensors")[0]
    for a, b in zip(jax.tree.leaves(made), jax.tree.leaves(whole.ema), strict=True):
        np.testing.assert_allclose(a, b, err_msg="exported as float16", **HALF)
    np.testing.assert_allclose(losses(out / "toy"), losses(tmp_path / "whole"), rtol=1e-4)


@pytest.mark.xdist_group("mesh")
def test_two_processes_stop_together_and_one_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert 3 <= stopped_by_one(out, 2, "data=2") < STEPS
    done = processes.run(toy(out, "data=2", "--profile", str(tmp_path / "trace")), 1)[0]
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "trace").rglob("*.xplane.pb"))) == 1
    assert_like_one_process(out, tmp_path)


@pytest.mark.slow
@pytest.mark.xdist_group("mesh")
def test_four_processes_go_on_where_one_stopped(tmp_path: Path) -> None:
    """From one process to four, weights split over hosts: `data=2,fsdp=2` with one device in each."""
    out = tmp_path / "out"
    stopped_by_one(out, 1, "")
    for done in processes.run(toy(out, "data=2,fsdp=2"), 4):
        assert done.returncode == 0, done.stderr
    assert_like_one_process(out, tmp_path)


@pytest.mark.slow
@pytest.mark.xdist_group("mesh")
@pytest.mark.parametrize(("count", "mesh"), [(2, "data=2,seq=2"), (4, "data=4"), (4, "dcn.data=2,fsdp=2")])
def test_the_generator_trains_like_in_one_process(count: int, mesh: str, tmp_path: Path) -> None:
    """The embedded generator's stage fed by grain: losses, and the weights that are exported."""
    for number, spec in ((1, ""), (count, mesh)):
        command = [WINDOW, "--config", WINDOW, "--out", str(tmp_path / str(number)), "--mesh", spec]
        for done in processes.run(command, number):
            assert done.returncode == 0, done.stderr
    one, many = (ship.load(tmp_path / str(number) / "dit.safetensors")[0] for number in (1, count))
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(many), strict=True):
        np.testing.assert_allclose(a, b, **HALF)
    np.testing.assert_allclose(*(losses(tmp_path / str(number) / "dit") for number in (1, count)), rtol=1e-4)


@pytest.mark.slow
def test_a_killed_process_ends_the_training_and_it_goes_on(tmp_path: Path) -> None:
    """The one left waits inside a collective; it says who is gone, and what was saved is gone on from."""
    out = tmp_path / "out"
    command = toy(out, "data=2", "--pause=0.1", "--loop.save_seconds=0")
    group = processes.start(command, 2, processes.free_port())
    with processes.running(*group):
        deadline = time.monotonic() + 120
        while len(losses(out / "toy")) < 5 and time.monotonic() < deadline:
            time.sleep(0.05)
        group[1].kill()
        _, told = group[0].communicate(timeout=60)
    assert group[0].returncode == 1 and "process 1 of 2" in told and "is gone" in told
    for done in processes.run(toy(out, "data=2"), 2):
        assert done.returncode == 0, done.stderr
    assert_like_one_process(out, tmp_path)


@pytest.mark.slow
def test_a_process_that_hangs_ends_the_training_with_its_name(tmp_path: Path) -> None:
    """It is alive and answers nobody: the network cannot tell, the steps can."""
    out = tmp_path / "out"
    command = toy(out, "data=2", "--pause=0.1", "--loop.patience_seconds=10")
    group = processes.start(command, 2, processes.free_port())
    with processes.running(*group):
        deadline = time.monotonic() + 120
        while len(losses(out / "toy")) < 3 and time.monotonic() < deadline:
            time.sleep(0.05)
        group[1].send_signal(signal.SIGSTOP)
        _, told = group[0].communicate(timeout=60)
    assert group[0].returncode == 1 and "process 1 of 2" in told and "was last heard of at step" in told
