"""Exported weights come back, small and whole."""

from pathlib import Path

import numpy as np
import pytest

from avatar_jax.weights import ship

PARAMS = {"dense": {"kernel": np.linspace(-2, 2, 12, dtype=np.float32).reshape(3, 4)}, "count": np.array(3, np.int32)}
NOTE = {"stage": "toy", "config": {"width": 3}, "result": None}


def test_round_trip_in_half_precision(tmp_path: Path) -> None:
    path = tmp_path / "new" / "toy.safetensors"
    size = ship.export(PARAMS, path, NOTE)
    params, note = ship.load(path)
    assert note == NOTE
    assert size == path.stat().st_size < 600
    assert params["dense"]["kernel"].dtype == np.float32
    np.testing.assert_array_equal(params["dense"]["kernel"], PARAMS["dense"]["kernel"].astype(np.float16))
    assert params["count"] == 3
    assert params["count"].dtype == np.int32


def test_transposed_arrays_keep_their_order(tmp_path: Path) -> None:
    turned = np.arange(6, dtype=np.float32).reshape(2, 3).T
    ship.export({"a": turned}, tmp_path / "a.safetensors", {})
    np.testing.assert_array_equal(ship.load(tmp_path / "a.safetensors")[0]["a"], turned)


def test_what_float16_cannot_hold_is_refused_and_the_old_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    ship.export(PARAMS, path, NOTE)
    with pytest.raises(OverflowError, match="kernel"):
        ship.export({"kernel": np.array([1e6], np.float32)}, path, NOTE)
    assert ship.load(path)[1] == NOTE
    assert [p.name for p in tmp_path.iterdir()] == ["a.safetensors"]


def test_missing_and_broken_files_are_told_in_three_lines(tmp_path: Path) -> None:
    broken = tmp_path / "broken.safetensors"
    ship.export(PARAMS, broken, NOTE)
    broken.write_bytes(broken.read_bytes()[:100])
    for path in (tmp_path / "none.safetensors", broken):
        with pytest.raises(ship.WeightsError) as caught:
            ship.load(path)
        assert len(str(caught.value).splitlines()) == 3


def test_shipped_weights_have_a_place() -> None:
    assert ship.shipped("codec").relative_to(Path(ship.__file__).parent) == Path("shipped/codec.safetensors")
