"""Engines bring every result back, once, and know who killed a worker; Beam does the same work as the pool."""

from pathlib import Path

import pytest

from avatar_jax.media import BadInput
from data_pipeline.engine import LocalEngine
from data_pipeline.engine_beam import BeamEngine


def test_without_workers_this_process_does_it() -> None:
    assert list(LocalEngine(0).run(str, [1, 2, 3], str)) == ["1", "2", "3"]


def test_a_worker_that_dies_costs_one_item() -> None:
    """`os._exit` takes a status and ends a process at once, as the kernel does to one that needs too much memory."""
    items = ["3", "__import__('os')._exit(9)", "4 * 5", "6"]
    made = list(LocalEngine(2).run(run, items, lambda item: f"lost {item}"))
    assert sorted(map(str, made)) == ["20", "3", "6", "lost __import__('os')._exit(9)"]


run = eval
"""Found by name in a spawned process, where this file's functions are not."""


@pytest.mark.parametrize(("options", "told"), [(("--runner=NoSuchRunner",), "NoSuchRunner")])
def test_unknown_runner_is_a_mistake(options: tuple[str, ...], told: str, tmp_path: Path) -> None:
    pytest.importorskip("apache_beam")
    with pytest.raises(BadInput, match=told):
        list(BeamEngine(str(tmp_path), options).run(str, [1], str))


def test_beam_brings_results_back_and_leaves_nothing(tmp_path: Path) -> None:
    pytest.importorskip("apache_beam")
    engine = BeamEngine(str(tmp_path))
    assert sorted(engine.run(abs, [-3, 2, -1], abs)) == [1, 2, 3]
    assert list(engine.run(abs, [], abs)) == []
    assert not list((tmp_path / "work" / "beam").iterdir())
