"""The tables beside the first: what is there is shown, what is not is said to be missing."""

from typing import Any

from tests.tpu.test_table import ROW
from tpu.others import MISSING, TRAINING, added, hearing, lines, programs, training


def row(seconds: float, **more: Any) -> dict[str, Any]:
    layer = {"matmul": 4e6, "elementwise": 2e6, "copy": 5e5, "padding": 0, "slice": 1e5}
    found = ROW | {"static_s_per_step": seconds, "cycles": {"per_layer": layer}, "kernel_cycles_per_layer": 9_000_000}
    return found | {"collectives": {"all-gather": {"waited": 0.25}, "all-to-all": {"waited": 0.5}}} | more


def test_nothing_is_compiled_yet() -> None:
    for table in (training({}), added({}), programs({})):
        assert all(MISSING in line for line in table[2:])
        assert len({line.count("|") for line in table}) == 1


def test_training_rows_say_where_the_cycles_go() -> None:
    fits, fails, large, *_ = (line.command for line in TRAINING)
    table = training({fits: row(9.0), fails: {"error": "no | such"}, large: row(9.0, fits=False)})
    assert "9.00 | 35.1 %" in table[2] and "4.0 / 9.0 / 2.0 / 0.6 | 0.75 |" in table[2]
    assert "fails: no / such" in table[3] and "does not fit" in table[4]
    assert len({line.count("|") for line in table}) == 1


def test_what_sound_adds_is_told_beside_its_limit() -> None:
    rows = {hearing("480p"): row(1.05), hearing("480p", "--deaf"): row(1.0)}
    line = added(rows)[2]
    assert "| 1.000 | 1.050 (+5.0 %) |" in line and MISSING in line and "| 12 % |" in line


def test_commands_are_those_of_the_first_table_where_they_are_the_same() -> None:
    assert hearing("480p") == ("--config configs/skyreels_a2v_19b.py --topology v6e:2x4 --what denoise --no-decoder")
    assert len(set(lines())) == len(lines())
