"""The table: resumed, redrawn from its rows, and honest about what does not fit."""

import json
from pathlib import Path
from typing import Any

import pytest

import tpu.table
from tpu.table import BEGIN, CASES, END, TOPOLOGIES, command, denser, line_of, row_of, table, with_table

ROW: dict[str, Any] = {
    "mesh": {"data": 2, "fsdp": 1, "seq": 4, "tensor": 1},
    "batch": 2,
    "fits": True,
    "peak_hbm_gib": 3.25,
    "hbm_gib": 32,
    "cycles": {"per_layer": {"copy": 400_000, "padding": 100_000}},
    "static_s_per_step": 0.21,
    "static_s_per_step_synchronous": 0.25,
    "static_mfu": 0.351,
    "static_s_per_video_minute": 175.6,
    "windows": 1,
}


def test_a_line() -> None:
    line = line_of(CASES[0], "v6e:2x4", ROW)
    assert "data 2 seq 4" in line and "3.2 of 32" in line and "0.210 (0.250)" in line
    assert "35.1 %" in line and "| 0.50 | 176 |" in line
    assert "does not fit" in line_of(CASES[0], "v5e:2x4", ROW | {"fits": False})
    assert "fails: no | such" not in line_of(CASES[0], "v5e:2x4", {"error": "no | such"})
    columns = table({}).splitlines()[0].count("|")
    for row in (ROW, ROW | {"fits": False}, {"error": "x"}):
        assert line_of(CASES[0], "v6e:2x4", row).count("|") == columns


def test_a_run_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page, rows = tmp_path / "tpu.md", tmp_path / "rows.jsonl"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    done = " ".join(command(CASES[0], "v6e:2x4"))
    rows.write_text(json.dumps({"command": done, "date": "2026-01-01", **ROW}) + "\n")
    ran: list[list[str]] = []
    monkeypatch.setattr(tpu.table, "PAGE", page)
    monkeypatch.setattr(tpu.table, "read_rows", lambda: {done: json.loads(rows.read_text().splitlines()[0])})
    monkeypatch.setattr(
        tpu.table, "write_rows", lambda found: rows.write_text("\n".join(map(json.dumps, found.values())))
    )
    monkeypatch.setattr(tpu.table, "compiled", lambda line: ran.append(line) or ROW)
    assert tpu.table.main(["--configs", CASES[0].config, "--topologies", "v6e:2x4,v5e:2x4"]) == 0
    assert [" ".join(line) for line in ran] == [" ".join(command(CASES[0], "v5e:2x4"))]
    assert len(rows.read_text().splitlines()) == 2
    text = page.read_text()
    assert text.startswith("before") and text.endswith("after\n") and "old" not in text
    shown, missing = text.split("Not yet compiled: ")
    assert shown.count("1.3B") == 2 and missing.count("1.3B") == 4


def test_rows_that_another_process_wrote_meanwhile_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tpu.table, "ROWS", tmp_path / "rows.jsonl")
    kept: dict[str, dict] = {}
    monkeypatch.setattr(tpu.table, "read_rows", lambda: dict(kept))
    monkeypatch.setattr(tpu.table, "write_rows", lambda found: kept.clear() or kept.update(found))

    def compiled(line: list[str]) -> dict:
        kept["another's"] = {"command": "another's"}
        return ROW

    monkeypatch.setattr(tpu.table, "compiled", compiled)
    rows: dict[str, dict] = {}
    tpu.table.made(["mine"], rows, again=False)
    assert set(rows) == set(kept) == {"mine", "another's"}


def test_what_does_not_fit_is_compiled_with_denser_weights() -> None:
    case, large = CASES[4], ROW | {"fits": False}
    assert denser(case, "v5e:4x4", ROW) is None and denser(case, "v5e:4x4", {"error": "x"}) is None
    assert denser(case, "v5e:4x4", large | {"mesh": large["mesh"] | {"data": 1}}) is None
    other = denser(case, "v5e:4x4", large)
    assert other == [*command(case, "v5e:4x4"), "--mesh", "data=1,fsdp=2,seq=4,tensor=1"]
    rows = {" ".join(command(case, "v5e:4x4")): large}
    assert row_of(case, "v5e:4x4", rows) is large
    rows[" ".join(other)] = ROW
    assert row_of(case, "v5e:4x4", rows) is ROW and row_of(case, "v5e:2x4", rows) is None


def test_every_shipped_public_config_is_in_the_table() -> None:
    root = Path(__file__).resolve().parents[2] / "configs"
    public = {path.stem for path in root.glob("*.py") if "PublicConfig(" in path.read_text()}
    assert {case.config for case in CASES} == public
    assert len(TOPOLOGIES) == 6


def test_the_pages_marks_stay() -> None:
    assert with_table(f"a{BEGIN}b{END}c", "t") == f"a{BEGIN}\n\nt\n\n{END}c"
