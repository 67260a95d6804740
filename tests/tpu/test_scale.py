"""Many chips: efficiency of k minutes on k slices, and one minute alone on more and more chips."""

from pathlib import Path

import pytest

from avatar_jax import config as configs
from tpu.minute import Costs
from tpu.programs import Variant, model_of
from tpu.scale import MINUTES, Place, alone, efficiency, places, table
from tpu.table import CASES, command, decoder_command
from tpu.work import denoiser_flops

ROOT = Path(__file__).resolve().parents[2]
SILENT = next(case for case in CASES if case.config == "wan_flf2v_14b")
HEARING = next(case for case in CASES if case.config == "skyreels_a2v_19b")


def place(topology: str = "v6e:2x4", windows: int = 1, seams: float = 0.5) -> Place:
    config = configs.load(ROOT / "configs" / f"{HEARING.config}.py").sample
    return Place(HEARING, config, topology, Costs(1.0, 3.0, windows, 1, 1, 1, seams), True)


@pytest.mark.parametrize("minutes", MINUTES)
def test_slices_that_each_make_a_minute_lose_nothing(minutes: int) -> None:
    assert 0.9 <= efficiency(place(), minutes) <= 1.1


def test_a_blueprint_that_outweighs_the_rest_would_show() -> None:
    usual = place()
    heavy = Place(HEARING, usual.config, usual.topology, Costs(1.0, 3.0, 24, 1, 24, 1, 0.5), True)
    # A whole minute is one wave: a blueprint of 24 branches costs more than all sub-clips, on any number of slices.
    assert alone(heavy, 8).waves == 1 and alone(heavy, 64).blueprint_s == alone(heavy, 8).blueprint_s
    assert alone(heavy, 64).blueprint_s > 0.7 * alone(heavy, 64).seconds


def test_a_minute_alone_goes_in_fewer_waves_on_more_chips() -> None:
    # 24 segments; one window for eight chips.
    assert [alone(place(), chips).waves for chips in (8, 64, 256)] == [24, 3, 1]
    assert [alone(place("v6e:4x4"), chips).waves for chips in (64, 256)] == [6, 2]
    assert [alone(place(windows=2), chips).waves for chips in (8, 64, 256)] == [12, 2, 1]


def test_the_table_is_made_of_the_rows_that_are_there() -> None:
    row = {"static_s_per_step": 1.0, "windows": 1, "height": 720, "width": 1280, "frames": 81, "fits": True}
    rows = {" ".join(command(SILENT, "v6e:2x4")): row}
    (found,) = places(rows)
    assert not found.decodes and "not in it" in table([found])
    rows[" ".join(decoder_command(SILENT, "v6e:2x4", 1))] = {"static_s_per_step": 30.0}
    (found,) = places(rows)
    # 15 segments of 50 steps and the blueprint's 40; each wave decodes one window.
    assert alone(found, 8).seconds == pytest.approx(15 * 50 + 40 + 15 * 30)
    assert alone(found, 256).seconds == pytest.approx(50 + 40 + 30)
    lines = [line for line in table([found]).splitlines() if line.startswith("| Wan")]
    assert len(lines) == 4 and "15 / 32 | 1 | 120 | 33.3 % | 25.0 %" in lines[-1]
    assert places({" ".join(command(SILENT, "v6e:2x4")): row | {"fits": False}}) == []


def test_a_family_can_be_changed() -> None:
    config = configs.load(ROOT / "configs" / f"{HEARING.config}.py").sample
    model, deaf = model_of(config), model_of(config, Variant(deaf=True))
    told = model_of(config, Variant(depth=2, storyline="own"))
    assert model.audio is not None and deaf.audio is None and deaf.dit.audio_width is None
    assert told.dit.depth == 2 and told.dit.storyline and deaf.dit.depth == model.dit.depth
    each = [
        denoiser_flops(m.dit, 32760, 1, 21, 512, 2, 32 if m.audio else 0) / m.dit.depth for m in (deaf, model, told)
    ]
    assert each[0] < each[1] < each[2] < 1.2 * each[0]
