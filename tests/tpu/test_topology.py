"""Slices by name, and what is set before JAX starts."""

import os
from pathlib import Path

import pytest

from avatar_jax.media.errors import BadInput
from tpu.topology import CHIPS, environment, names, parse_topology


def test_slices_of_the_table() -> None:
    v5p = parse_topology("v5p:4x4x4")
    assert (v5p.chips, v5p.name, v5p.chip.hbm_gib) == (64, "v5p:4x4x4", 95)
    assert [parse_topology(name).name for name in names()] == names()
    assert {"v5e:2x4", "v5e:4x4", "v6e:2x4", "v6e:4x4", "v5p:2x2x2"} <= set(names())


@pytest.mark.parametrize(("chip", "units", "side"), [("v4", 8, 128), ("v5e", 4, 128), ("v5p", 8, 128), ("v6e", 4, 256)])
def test_peak_is_what_the_matrix_units_do_at_the_clock(chip: str, units: int, side: int) -> None:
    one = CHIPS[chip]
    assert one.peak_flops == pytest.approx(units * side * side * 2 * one.clock_hz, rel=0.01)


def test_sides_that_close() -> None:
    assert not any(parse_topology("v6e:2x4").wraps(axis) for axis in range(3))
    assert parse_topology("v6e:16x16").wraps(0)
    assert parse_topology("v5p:4x4x4").wraps(2) and not parse_topology("v5p:2x2x2").wraps(2)


def test_an_unknown_slice_is_answered_with_near_names() -> None:
    with pytest.raises(BadInput) as mistake:
        parse_topology("v6e:2x5")
    assert str(mistake.value).count("\n") == 2 and "v6e:2x4" in str(mistake.value)


def test_environment_keeps_the_users_flags(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    kept = dict(os.environ) | {"LIBTPU_INIT_ARGS": "--mine=1"}
    monkeypatch.setattr(os, "environ", kept)
    environment(parse_topology("v5p:2x2x2"), tmp_path)
    flags = kept["LIBTPU_INIT_ARGS"].split()
    assert flags[-1] == "--mine=1" and f"--xla_jf_dump_to={tmp_path}" in flags
    assert "--xla_tpu_scoped_vmem_limit_kib=65536" in flags and "--xla_tpu_force_async_all_to_all=true" in flags
    kept["LIBTPU_INIT_ARGS"] = ""
    environment(parse_topology("v5p:2x2x2"))
    assert "dump" not in kept["LIBTPU_INIT_ARGS"] and "--xla_tpu_scoped_vmem" in kept["LIBTPU_INIT_ARGS"]
    assert kept["JAX_PLATFORMS"] == "cpu" and kept["TPU_SKIP_MDS_QUERY"] == "1"
