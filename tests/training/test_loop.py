"""Resuming is exact, whatever stopped the run, and a mesh changes nothing but the rounding."""

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

from avatar_jax.mesh import make_mesh
from avatar_jax.training.loop import Interrupted, LoopConfig, ahead, run
from avatar_jax.training.optim import OptimConfig
from avatar_jax.training.stage import CannotTrain
from avatar_jax.training.state import TrainState
from tests.training.toy_stage import ToyConfig, ToyStage

LOOP = LoopConfig()


def same_bits(a: TrainState, b: TrainState) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))


def losses(folder: Path) -> list[tuple[int, float]]:
    lines = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return [(line["step"], line["loss"]) for line in lines]


def stop_at(step: int):
    """A hook that behaves like Ctrl-C in the middle of a run."""

    def hook(at: int, state: TrainState) -> None:
        if at == step:
            os.kill(os.getpid(), signal.SIGINT)

    return hook


def test_training_learns(tmp_path: Path) -> None:
    stage = ToyStage(ToyConfig(optimiser=OptimConfig(steps=100, rate=0.1)))
    state = run(stage, tmp_path, make_mesh(), LOOP)
    first, last = losses(tmp_path)[0], losses(tmp_path)[-1]
    assert (first[0], last[0]) == (1, 100)
    assert last[1] < 0.2 * first[1]
    assert stage.evaluate(state.ema)["error"] < 0.5 * first[1]


@pytest.mark.xdist_group("mesh")
@pytest.mark.parametrize("mesh", ["", "data=2,fsdp=2,tensor=2"])
def test_interrupted_and_resumed_is_bit_equal_to_uninterrupted(tmp_path: Path, mesh: str) -> None:
    whole = run(ToyStage(), tmp_path / "whole", make_mesh(mesh), LOOP)
    with pytest.raises(Interrupted, match="step 3 of 8"):
        run(ToyStage(), tmp_path / "parts", make_mesh(mesh), LOOP, hooks=[stop_at(3)])
    parts = run(ToyStage(), tmp_path / "parts", make_mesh(mesh), LOOP)
    assert same_bits(whole, parts)
    assert losses(tmp_path / "whole") == losses(tmp_path / "parts")


@pytest.mark.xdist_group("mesh")
def test_sharded_training_equals_one_device(tmp_path: Path) -> None:
    one = run(ToyStage(), tmp_path / "one", make_mesh(), LOOP)
    many = run(ToyStage(), tmp_path / "many", make_mesh("data=2,fsdp=2,tensor=2"), LOOP)
    kernel = many.params["up"]["kernel"]
    assert kernel.addressable_shards[0].data.shape == (4, 8), "weights are split over fsdp and tensor"
    moments = [x for x in jax.tree.leaves(many.moments) if x.shape == kernel.shape]
    assert moments
    assert all(m.sharding.spec == kernel.sharding.spec for m in moments), "moments lie where weights lie"
    for a, b in zip(jax.tree.leaves(one.ema), jax.tree.leaves(many.ema), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5)


@pytest.mark.xdist_group("mesh")
def test_a_checkpoint_opens_on_another_mesh(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        run(ToyStage(), tmp_path, make_mesh("data=4"), LOOP, hooks=[stop_at(3)])
    resumed = run(ToyStage(), tmp_path, make_mesh(), LOOP)
    assert int(resumed.step) == 8


def test_warm_start_begins_from_the_given_parameters(tmp_path: Path) -> None:
    stage = ToyStage(ToyConfig(optimiser=OptimConfig(steps=1, rate=0.0)))
    start = jax.tree.map(lambda x: x + 1, run(stage, tmp_path / "a", make_mesh(), LOOP).params)
    begun = run(stage, tmp_path / "b", make_mesh(), LOOP, start)
    assert all(np.array_equal(a, b) for a, b in zip(*map(jax.tree.leaves, (start, begun.params)), strict=True))


def test_what_does_not_fit_is_told(tmp_path: Path) -> None:
    stage, wide = ToyStage(), ToyStage(ToyConfig(width=32))
    state = run(stage, tmp_path / "a", make_mesh(), LOOP)
    with pytest.raises(CannotTrain, match=r"down/kernel is \(16, 4\), the config wants \(32, 4\)"):
        run(wide, tmp_path / "b", make_mesh(), LOOP, state.params)
    with pytest.raises(CannotTrain, match="does not fit the configured model"):
        run(wide, tmp_path / "a", make_mesh(), LOOP)


@pytest.mark.xdist_group("mesh")
def test_a_batch_that_does_not_divide_is_told(tmp_path: Path) -> None:
    stage = ToyStage(ToyConfig(batch=6))
    with pytest.raises(CannotTrain, match="6 rows on 4 devices"):
        run(stage, tmp_path, make_mesh("data=4"), LOOP)


def test_only_the_newest_checkpoints_are_kept(tmp_path: Path) -> None:
    run(ToyStage(), tmp_path, make_mesh(), replace(LOOP, save_seconds=0))
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir() if p.name.isdigit()) == ["7", "8"]


def test_the_next_batch_is_made_ahead_and_errors_arrive() -> None:
    def numbers():
        yield 1
        yield 2
        raise OSError("disk")

    coming = ahead(numbers(), lambda x: 10 * x)
    assert [next(coming), next(coming)] == [10, 20]
    with pytest.raises(OSError, match="disk"):
        next(coming)
