"""The comparison of ways to join and to insert: its rows, its columns and its differences, on planted cases."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from avatar_jax import config as configs
from avatar_jax.evaluation import joins, summary
from avatar_jax.evaluation.case import Case, Look
from avatar_jax.evaluation.joins import Made, Way, ways
from avatar_jax.metrics.judging import Judged
from avatar_jax.models.judge import COLUMNS
from avatar_jax.sampling.config import SampleConfig

T = 120
OPEN = 0.5 + 0.5 * np.sin(np.arange(T) * 0.7) * np.sin(np.arange(T) * 0.11)
DEFAULT = SampleConfig()


def look(noise: float, at: slice | None = None) -> Look:
    """A reading of the mouth that is wrong by `noise`, everywhere or at these frames alone."""
    rng = np.random.default_rng(3)
    values = np.zeros((T, len(COLUMNS)))
    values[:, COLUMNS.index("open")] = OPEN
    values[:, COLUMNS.index("yaw")] = 0.2 * np.sin(np.arange(T) * 0.1)
    where = at or slice(None)
    values[where] += noise * rng.standard_normal(values[where].shape)
    one = np.zeros((T, 8))
    return Look(Judged(values, one, one, np.zeros((T, 64))), np.ones(T - 1), np.zeros((T, 3)))


def case(made: Look) -> Case:
    truth = {name: np.zeros(T) for name in COLUMNS} | {"open": OPEN}
    return Case(
        groups={}, number=0, fps=25.0, truth=truth, viseme_T2=np.zeros((T, 2)), closed_T=OPEN < 0.1,
        silent_T=np.zeros(T, bool), inserted_T=np.arange(T) % 2 == 1, seams=(30, 60), shots=(),
        looks={"true": look(0.001), "made": made}, portrait_D=np.zeros(64), codec_psnr=30.0, seconds=4.0,
    )  # fmt: skip


def test_flags_turn_the_default_into_every_way() -> None:
    """What the table prints is what a user types."""
    rows = ways(DEFAULT)
    for way in rows:
        assert configs.override(DEFAULT, way.flags) == way.config
    assert len({way.key for way in rows}) == len(rows) - 1, "the default joins and inserts in one row of each table"
    for table in ("joins", "25 fps", "48 fps"):
        assert [way.table for way in rows if not way.flags].count(table) == 1


def test_columns_see_what_happens_at_seams_alone() -> None:
    wanted = joins.wanted_columns(0.1)
    spoilt, sound = case(look(0.5, slice(28, 33))), case(look(0.0))
    assert wanted["mouth_error_seam"]([sound], "made") == 0 < wanted["mouth_error_seam"]([spoilt], "made")
    assert wanted["sync_corr_seam"]([spoilt], "made") < wanted["sync_corr"]([spoilt], "made") < 1
    assert wanted["pose_jitter_seam"]([spoilt], "made") > 10 * wanted["pose_jitter_seam"]([spoilt], "true")
    elsewhere = case(look(0.5, slice(80, 90)))
    assert wanted["mouth_error_seam"]([elsewhere], "made") == 0
    faster = replace(spoilt, fps=50.0)
    assert joins.at_seams(faster).sum() == 2 * (2 * 4 + 1)


def test_table_compares_with_the_default_of_the_same_rate(tmp_path: Path) -> None:
    rows = [
        Way("joins", "mine", "25", DEFAULT, ()),
        Way("joins", "worse", "25", DEFAULT, ("--seams.reach=0",)),
        Way("48 fps", "mine", "48", DEFAULT, ()),
    ]
    cases = {rows[0].key: [case(look(0.1))] * 3, rows[1].key: [case(look(0.4))] * 3, rows[2].key: [case(look(0.1))] * 3}
    made = {key: [Made(c.looks["made"], c.seams, 1.5) for c in members] for key, members in cases.items()}
    result = joins.tabled(rows, cases, made)
    worse = result["tables"]["joins"]["worse"]
    assert worse["against_default"]["sync_corr"]["mean"] < 0 == worse["against_default"]["sync_corr"]["error"]
    assert result["tables"]["joins"]["true frames"]["sync_corr"] > 0.99
    assert worse["cpu_seconds_per_video_second"] == 1.5 and not worse["default"]
    text = joins.as_text(result | {"weights": {"dit": "abc"}})
    assert "worse" in text and "mine *" in text and "dit abc" in text

    path = tmp_path / "kept.npz"
    joins.keep(path, "told", made[rows[0].key][0])
    back = joins.kept(path, "told")
    assert back is not None and back.seams == (30, 60) and back.cpu == 1.5
    np.testing.assert_array_equal(back.look.judged.values, cases[rows[0].key][0].looks["made"].judged.values)
    assert joins.kept(path, "told otherwise") is None and joins.kept(tmp_path / "none.npz", "told") is None


@pytest.mark.slow
def test_one_case_under_every_way(tmp_path: Path) -> None:
    """The command on one case of one second: frame counts, and a second run that makes nothing."""
    config = joins.JoinsConfig(cases=1, seconds=1.0, out=tmp_path)
    first = joins.run(config)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npz")}
    assert len(times) == len(ways(DEFAULT)) - 1
    assert summary.as_json(first) == summary.as_json(joins.run(config))
    assert times == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npz")}
