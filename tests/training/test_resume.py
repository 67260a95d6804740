"""A run that is killed, stopped, refused or short of space loses nothing and repeats nothing."""

import http.server
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

from avatar_jax.mesh import make_mesh
from avatar_jax.training import notices
from avatar_jax.training.checkpoint import Checkpoints
from avatar_jax.training.hooks import parsed, read_lines
from avatar_jax.training.loop import Interrupted, LoopConfig, run
from avatar_jax.training.optim import OptimConfig
from avatar_jax.training.run_folder import alone_in
from avatar_jax.training.stage import CannotTrain
from avatar_jax.training.state import TrainState
from tests.training.toy_stage import ToyConfig, ToyStage

PROGRAM = Path(__file__).with_name("train_toy.py")
LOOP = LoopConfig()
Logged = list[tuple[int, float, list[int]]]


def logged(folder: Path) -> Logged:
    """(step, loss, numbers of the examples) of every whole line."""
    lines = filter(None, map(parsed, read_lines(folder / "metrics.jsonl")))
    return [(line["step"], line["loss"], line["examples"]) for line in lines]


def start(out: Path, *options: str) -> subprocess.Popen:
    command = [sys.executable, str(PROGRAM), "--config", str(PROGRAM), "--out", str(out), *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(condition, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def uninterrupted(folder: Path, steps: int) -> tuple[TrainState, Logged]:
    stage = ToyStage(replace(ToyConfig(), optimiser=OptimConfig(steps=steps, rate=0.02)))
    return run(stage, folder / "toy", make_mesh(), LOOP), logged(folder / "toy")


def same_bits(a: TrainState, b: TrainState) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))


def test_two_kills_while_checkpoints_are_being_written(tmp_path: Path) -> None:
    """kill -9 in a run that saves after every step, in the background; the curve and the examples stay the same."""
    options, folder = ("--steps=60", "--pause=0.03", "--loop.save_seconds=0"), tmp_path / "toy"
    for after in (4, 12):
        killed = start(tmp_path, *options)
        wait_for(lambda n=after: len(read_lines(folder / "metrics.jsonl")) > n)
        killed.kill()
        killed.wait()
        with Checkpoints(folder) as checkpoints:
            step = checkpoints.step() or 0
            assert 0 < step < 60 and checkpoints.notes(step)["next_batch"] == step
    state, curve = uninterrupted(tmp_path, 60)
    whole, straight = uninterrupted(tmp_path / "whole", 60)
    assert same_bits(state, whole) and curve == straight
    assert [number for _, _, examples in curve for number in examples] == list(range(60 * 8))


@pytest.mark.parametrize("lost", ["_CHECKPOINT_METADATA", "default"])
def test_a_kill_while_an_old_checkpoint_was_being_deleted(tmp_path: Path, lost: str) -> None:
    """What is left of it hinders nobody, and is cleared away."""
    stage = ToyStage(replace(ToyConfig(), optimiser=OptimConfig(steps=5, rate=0.02)))
    short = replace(stage, config=replace(stage.config, optimiser=OptimConfig(steps=3, rate=0.02)))
    loop = LoopConfig(save_seconds=0, keep=3, allow_changes=True)
    run(short, tmp_path / "toy", make_mesh(), loop)
    old = tmp_path / "toy" / "checkpoints" / "2"
    if (old / lost).is_dir():
        shutil.rmtree(old / lost)
    else:
        (old / lost).unlink()
    with Checkpoints(tmp_path / "toy", 3) as checkpoints:
        assert checkpoints.step() == 3 and not old.exists()
    assert int(run(stage, tmp_path / "toy", make_mesh(), loop).step) == 5


@pytest.mark.slow
def test_ten_kills_at_random_moments(tmp_path: Path) -> None:
    options = ("--steps=200", "--pause=0.1", "--loop.save_seconds=0.1")
    draw, hit = random.Random(0), 0
    for _ in range(10):
        before = logged(tmp_path / "toy")
        killed = start(tmp_path, *options)
        # Half of the time while it starts, compiles or restores, half while it trains.
        if draw.random() < 0.5:
            wait_for(lambda old=before: logged(tmp_path / "toy")[-1:] != old[-1:])
            time.sleep(draw.uniform(0, 0.6))
        else:
            time.sleep(draw.uniform(0, 5))
        hit += killed.poll() is None
        killed.kill()
        killed.wait()
    assert hit >= 8, "the run was there to be killed"
    last = start(tmp_path, *options)
    _, told = last.communicate(timeout=300)
    assert last.returncode == 0, told
    whole, straight = uninterrupted(tmp_path / "whole", 200)
    assert logged(tmp_path / "toy") == straight
    with Checkpoints(tmp_path / "toy") as checkpoints:
        assert checkpoints.step() == int(whole.step) == 200


def test_sigterm_saves_and_ends_in_time_though_a_sample_is_due(tmp_path: Path) -> None:
    process = start(tmp_path, "--steps=100000", "--pause=0.02", "--loop.save_seconds=1000")
    wait_for(lambda: len(logged(tmp_path / "toy")) > 3)
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130 and "stopped and saved at step" in told
    assert time.monotonic() - began < 20, "the grace period of preemptible machines is 30 s"
    with Checkpoints(tmp_path / "toy") as checkpoints:
        assert checkpoints.step() == logged(tmp_path / "toy")[-1][0]


def test_a_notice_of_preemption_stops_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Answer(http.server.BaseHTTPRequestHandler):
        said = b"FALSE"

        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(self.said)

        def log_message(self, *args: object) -> None:
            pass

    class Slow(ToyStage):
        def batches(self, start: int) -> Iterator[dict[str, np.ndarray]]:
            for batch in super().batches(start):
                time.sleep(0.02)
                yield batch

    def hook(step: int, state: TrainState) -> None:
        if step == 5:
            Answer.said = b"TRUE"

    monkeypatch.setattr(notices, "EVERY_S", 0.05)
    with http.server.HTTPServer(("localhost", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://localhost:{server.server_address[1]}"
        stage = Slow(ToyConfig(optimiser=OptimConfig(steps=500, rate=0.02)))
        with pytest.raises(Interrupted, match="saved at step"):
            run(stage, tmp_path, make_mesh(), replace(LOOP, preemption=url), hooks=[hook])
        server.shutdown()
    with Checkpoints(tmp_path) as checkpoints:
        assert 5 <= (checkpoints.step() or 0) < 500


@pytest.mark.xdist_group("mesh")
def test_eight_devices_then_four_then_two(tmp_path: Path) -> None:
    def stop_at(step: int):
        return lambda at, state: os.kill(os.getpid(), signal.SIGINT) if at == step else None

    for mesh, step in (("data=4,fsdp=2", 3), ("data=2,fsdp=2", 6)):
        with pytest.raises(Interrupted, match=f"step {step} of 8"):
            run(ToyStage(), tmp_path / "parts", make_mesh(mesh), LOOP, hooks=[stop_at(step)])
    parts = run(ToyStage(), tmp_path / "parts", make_mesh("data=2"), LOOP)
    whole = run(ToyStage(), tmp_path / "whole", make_mesh(), LOOP)
    for a, b in zip(jax.tree.leaves(parts), jax.tree.leaves(whole), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5)
    curves = [[loss for _, loss, _ in logged(tmp_path / name)] for name in ("parts", "whole")]
    np.testing.assert_allclose(*curves, rtol=1e-4)


def test_a_folder_holds_one_run_at_a_time(tmp_path: Path) -> None:
    with alone_in(tmp_path), pytest.raises(CannotTrain, match=f"is in use: process {os.getpid()}"):
        run(ToyStage(), tmp_path, make_mesh(), LOOP)
    assert not (tmp_path / "metrics.jsonl").exists()
    assert int(run(ToyStage(), tmp_path, make_mesh(), LOOP).step) == 8


def test_another_config_is_shown_and_refused_unless_allowed(tmp_path: Path) -> None:
    run(ToyStage(), tmp_path, make_mesh(), LOOP)
    before = (tmp_path / "config.json").read_text()
    other = ToyStage(ToyConfig(optimiser=OptimConfig(steps=10, rate=0.5)))
    with pytest.raises(CannotTrain, match=r"optimiser\.rate: 0\.02 -> 0\.5") as caught:
        run(other, tmp_path, make_mesh(), LOOP)
    assert len(str(caught.value).splitlines()) == 3 and (tmp_path / "config.json").read_text() == before
    with pytest.raises(CannotTrain, match="0 -> 1"):
        run(ToyStage(), tmp_path, make_mesh(), replace(LOOP, seed=1))
    assert int(run(other, tmp_path, make_mesh(), replace(LOOP, allow_changes=True)).step) == 10
    assert json.loads((tmp_path / "config.json").read_text())["optimiser"]["rate"] == 0.5


def test_a_full_disk_is_told_with_the_step_that_is_safe(tmp_path: Path) -> None:
    """Files may not grow beyond some bytes from the fourth step on; what was saved before stays and is gone on from."""
    process = start(tmp_path, "--steps=12", "--loop.save_seconds=0", "--full_after=4")
    _, told = process.communicate(timeout=120)
    assert process.returncode == 2 and "avatar_jax/training" not in told, told
    lines = told.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("cannot save"))
    assert "the last good checkpoint is that of step" in lines[at + 1] and lines[at + 2].startswith("fix:"), told
    with Checkpoints(tmp_path / "toy") as checkpoints:
        assert 0 < (checkpoints.step() or 0) <= 4
    state, curve = uninterrupted(tmp_path, 12)
    whole, straight = uninterrupted(tmp_path / "whole", 12)
    assert same_bits(state, whole) and curve == straight


def test_the_best_checkpoint_is_kept_and_known_again(tmp_path: Path) -> None:
    def measure(step: int, state: TrainState) -> dict[str, float] | None:
        return {"score": -abs(step - 3)} if step % 3 == 0 else None

    loop = replace(LOOP, best="score", save_seconds=1000, keep=1)
    run(ToyStage(ToyConfig(optimiser=OptimConfig(steps=10, rate=0.02))), tmp_path, make_mesh(), loop, hooks=[measure])
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.manager.all_steps() == [3, 10] and checkpoints.best_step() == 3
    longer = ToyStage(ToyConfig(optimiser=OptimConfig(steps=12, rate=0.02)))
    run(longer, tmp_path, make_mesh(), loop, hooks=[measure])
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.manager.all_steps() == [3, 12] and checkpoints.best_step() == 3


def test_a_loss_that_is_not_finite_names_step_examples_and_safe_checkpoint(tmp_path: Path) -> None:
    stage = ToyStage(ToyConfig(optimiser=OptimConfig(steps=8, rate=float("nan"))))
    with pytest.raises(FloatingPointError) as caught:
        run(stage, tmp_path, make_mesh(), replace(LOOP, save_seconds=0))
    first, rule, fix = str(caught.value).splitlines()
    assert "step 2 is nan (batch 1, examples 8, 9," in first
    assert "step 1" in rule and fix.startswith("fix:")
