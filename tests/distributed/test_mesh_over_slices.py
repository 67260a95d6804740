"""Hybrid meshes: what is `dcn.` crosses slices, nothing else does; and shares of a batch, by process."""

from dataclasses import dataclass
from itertools import islice
from typing import Any

import jax
import numpy as np
import pytest

from avatar_jax.mesh import AXES, batch_share, fetched, make_mesh, parse_axes, parse_mesh, placed, replicated, slices
from data_pipeline.loader import LoaderConfig, batches


@dataclass(frozen=True)
class Chip:
    """Stands for a device of a slice."""

    id: int
    slice_index: int


def of_slices(count: int, size: int) -> list[Any]:
    return [Chip(s * size + i, s) for i in range(size) for s in range(count)]


def test_sizes_are_those_of_the_whole_mesh() -> None:
    assert parse_mesh("dcn.data=2,data=3,seq=4") == {"data": 6, "fsdp": 1, "seq": 4, "tensor": 1}
    inside, over = parse_axes("dcn.data=2,data=1,seq=4")
    assert (inside["data"], inside["seq"], over["data"], over["seq"]) == (1, 4, 2, 1)
    for wrong in ("dcn.rows=2", "dcn.data=0", "dcn=2", "dcn.data=2,dcn.data=2"):
        with pytest.raises(ValueError, match=r"dcn\.AXIS"):
            parse_mesh(wrong)


def test_only_dcn_axes_leave_a_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("avatar_jax.mesh.Mesh", lambda chosen, axes, axis_types: chosen)
    chips: Any = make_mesh("dcn.data=2,data=2,fsdp=2,seq=2", of_slices(2, 8))
    number = np.vectorize(lambda chip: chip.slice_index)(chips)
    assert chips.shape == (4, 2, 2, 1)
    np.testing.assert_array_equal(number[:, 0, 0, 0], [0, 0, 1, 1])
    assert all((number[row] == number[row, 0, 0, 0]).all() for row in range(4)), "fsdp and seq stay inside"
    assert len({chip.id for chip in chips.ravel()}) == 16
    with pytest.raises(ValueError, match="asks for 2 slices of 16") as error:
        make_mesh("dcn.data=2,seq=16", [*of_slices(2, 8), *of_slices(2, 8)][:24] + of_slices(1, 8))
    assert len(str(error.value).splitlines()) <= 3


@pytest.mark.xdist_group("mesh")
def test_devices_without_slices_are_taken_in_runs() -> None:
    mesh = make_mesh("dcn.data=2,fsdp=4")
    assert [d.id for d in mesh.devices.ravel()] == list(range(8))
    assert dict(mesh.shape) == dict(zip(AXES, (2, 4, 1, 1), strict=True))
    assert [[d.id for d in group] for group in slices(jax.devices(), 4)] == [[0, 1], [2, 3], [4, 5], [6, 7]]


@pytest.mark.xdist_group("mesh")
def test_one_process_holds_all_and_gets_all_back() -> None:
    mesh = make_mesh("data=4,seq=2")
    assert batch_share(mesh) == (0, 1)
    x = {"a": np.arange(6.0), "b": np.ones((2, 2))}
    back = fetched(placed(x, replicated(mesh)))
    assert all(isinstance(back[name], np.ndarray) and (back[name] == x[name]).all() for name in x)


@pytest.mark.parametrize("hosts", [2, 4])
def test_batches_have_the_same_rows_on_any_number_of_hosts(hosts: int) -> None:
    """And none is read twice: shares side by side are the batch of one host, noise included."""

    def example(record: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        return {"n": np.array(record), "noise": np.array(rng.normal())}

    def read(host: int, of: int) -> list[dict[str, np.ndarray]]:
        return list(islice(batches(range(20), LoaderConfig(batch=4, seed=5), example, 3, host, of), 7))

    whole, parts = read(0, 1), [read(host, hosts) for host in range(hosts)]
    for n, batch in enumerate(whole):
        for name, rows in batch.items():
            np.testing.assert_array_equal(rows, np.concatenate([part[n][name] for part in parts]))
