"""A step that never ends is noticed, and one that only takes its time is not."""

import time

import pytest

from avatar_jax import distributed
from avatar_jax.peers import Peers
from avatar_jax.training.watch import watched


def test_a_step_that_never_ends_names_the_slowest(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(distributed, "_peers", Peers(0, 3, {}, {2: "(host-c)"}, steps={1: 41, 2: 40}))
    ended: list[int] = []
    with watched(0.2, lambda: ended.append(1)) as alive:
        for step in range(5):
            alive(step)
            time.sleep(0.1)
        assert not ended
        time.sleep(0.6)
    assert ended == [1]
    told = capsys.readouterr().err.splitlines()
    assert "no step since step 4" in told[0] and "process 2 of 3 (host-c) was last heard of at step 40" in told[0]
    assert len(told) == 3


def test_without_patience_nothing_is_watched() -> None:
    with watched(0, lambda: pytest.fail("ended")) as alive:
        alive(1)
        time.sleep(0.05)
