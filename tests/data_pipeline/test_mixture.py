"""Mixtures and resuming: shares, epochs, hosts that come and go, workers, meshes, positions."""

import json
from collections import Counter
from itertools import islice
from pathlib import Path

import jax
import numpy as np
import pytest

from avatar_jax.media import BadInput
from avatar_jax.mesh import make_mesh
from data_pipeline.loader import LoaderConfig, Part, batches, mixed_batches, on_mesh
from data_pipeline.position import position, resume

CONFIG = LoaderConfig(batch=8, seed=5)


def example(record: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    return {"n": np.asarray(record), "noise": np.asarray(rng.normal(), np.float32)}


def mixture() -> list[list[Part]]:
    """Two shape buckets, the first of two sources; a quarter, a half and a quarter of all examples."""
    wide = [Part("tv", range(20), example, 1.0), Part("drawn", range(100, 112), example, 2.0)]
    return [wide, [Part("tv", range(200, 208), example, 1.0)]]


def read(count: int, start: int = 0, host: int = 0, hosts: int = 1, config: LoaderConfig = CONFIG) -> list[dict]:
    return list(islice(mixed_batches(mixture(), config, start, host, hosts), count))


def same(a: list[dict], b: list[dict]) -> None:
    for x, y in zip(a, b, strict=True):
        assert x.keys() == y.keys()
        for name in x:
            np.testing.assert_array_equal(x[name], y[name])


def joined(hosts: list[list[dict]]) -> list[dict]:
    """Batches of all hosts, their rows one after the other as `make_array_from_process_local_data` lays them."""
    return [{name: np.concatenate([b[name] for b in parts]) for name in parts[0]} for parts in zip(*hosts, strict=True)]


def test_shares_are_kept_and_buckets_do_not_mix() -> None:
    shown = read(40)
    counts = Counter("drawn" if n < 200 and n >= 100 else "tall" if n >= 200 else "tv" for b in shown for n in b["n"])
    assert counts == {"tv": 80, "drawn": 160, "tall": 80}
    assert all((b["n"] >= 200).all() or (b["n"] < 200).all() for b in shown)


def test_every_part_has_whole_epochs() -> None:
    shown = [int(n) for b in read(60) for n in b["n"]]
    for records in (range(20), range(100, 112), range(200, 208)):
        mine = [n for n in shown if n in records]
        for epoch in range(len(mine) // len(records)):
            assert sorted(mine[epoch * len(records) : (epoch + 1) * len(records)]) == list(records)


def test_reading_begins_anywhere() -> None:
    same(read(12)[7:], read(5, start=7))


def test_two_hosts_then_four_read_what_one_would() -> None:
    """Nothing is read twice or left out when the number of hosts changes between two batches."""
    whole = read(20)
    before = joined([read(9, 0, host, 2) for host in range(2)])
    after = joined([read(11, 9, host, 4) for host in range(4)])
    same(whole, before + after)


def test_an_epoch_over_changing_hosts_shows_every_record_once() -> None:
    records = range(48)

    def run(count: int, start: int, hosts: int) -> list[int]:
        shares = [islice(batches(records, CONFIG, example, start, h, hosts), count) for h in range(hosts)]
        return [int(n) for share in shares for batch in share for n in batch["n"]]

    shown = run(2, 0, 2) + run(3, 2, 4) + run(1, 5, 1)
    assert sorted(shown) == list(records)


def test_wrong_mixtures_are_refused() -> None:
    part = Part("a", range(3), example, 1.0)
    for groups in ([], [[]], [[part, part]], [[Part("a", range(3), example, 0.0)]], [[Part("a", [], example, 1.0)]]):
        with pytest.raises(ValueError, match="want"):
            next(mixed_batches(groups, CONFIG))
    with pytest.raises(ValueError, match="3 hosts"):
        next(mixed_batches([[part]], CONFIG, hosts=3))


def test_global_arrays() -> None:
    placed = list(islice(on_mesh(mixed_batches(mixture(), CONFIG), make_mesh("data=4,fsdp=2")), 3))
    same([{name: np.asarray(x) for name, x in batch.items()} for batch in placed], read(3))
    assert isinstance(placed[0]["n"], jax.Array) and len(placed[0]["n"].sharding.device_set) == 8


def test_position_goes_on_with_the_same_data_alone(tmp_path: Path) -> None:
    path, data = tmp_path / "position.json", [{"name": "tv", "records": 20}]
    assert resume(path, CONFIG, data) == 0
    position(41, CONFIG, data).save(path)
    assert resume(path, LoaderConfig(batch=8, seed=5, threads=7, workers=3), data) == 41
    for config, other in (
        (LoaderConfig(batch=4, seed=5), data),
        (LoaderConfig(batch=8, seed=6), data),
        (CONFIG, [{"name": "tv", "records": 21}]),
    ):
        with pytest.raises(BadInput, match="another"):
            resume(path, config, other)
    path.write_text(json.dumps({"next_batch": 3}))
    with pytest.raises(BadInput, match="that Position"):
        resume(path, CONFIG, data)


@pytest.mark.slow
def test_workers_change_nothing() -> None:
    """Two processes give the very bits of none; they start anew at a batch in the middle, too."""
    config = LoaderConfig(batch=8, seed=5, workers=2)
    same(read(6), read(6, config=config))
    same(read(9)[4:], read(5, start=4, config=config))
