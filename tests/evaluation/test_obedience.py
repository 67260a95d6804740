"""Hit@Segment on planted readings, and the arms that take parts of the generator away."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from avatar_jax.evaluation import columns as c
from avatar_jax.evaluation import obedience
from avatar_jax.evaluation.case import Case, Look, ShotSpan
from avatar_jax.media import BadInput
from avatar_jax.metrics.judging import Judged
from avatar_jax.models.judge import COLUMNS, EMOTIONS, VISEMES
from avatar_jax.sampling.folder import sha256
from avatar_jax.weights import ship

T, HALF = 100, 50


def look(emotions: tuple[str, str], truth: dict[str, np.ndarray]) -> Look:
    """What a judge would read: each half of the clip shows one emotion; all else is as in truth."""
    logits = np.repeat(np.eye(len(EMOTIONS))[[EMOTIONS.index(name) for name in emotions]], HALF, axis=0)
    values = np.stack([truth[name] for name in COLUMNS], axis=-1)
    judged = Judged(values, logits, np.tile(np.eye(len(VISEMES))[1], (T, 1)), np.tile(np.eye(64)[0], (T, 1)))
    return Look(judged, np.ones(T - 1), np.full((T, 3), 90.0))


@pytest.fixture
def case() -> Case:
    """Joy, then anger; the camera pushes in, then stands; no action."""
    truth = {name: np.zeros(T) for name in COLUMNS}
    truth["log_zoom"] = np.minimum(np.arange(T) / HALF, 1.0) * 0.4
    still = truth | {"log_zoom": np.zeros(T)}
    true = look(("joy", "anger"), truth)
    return Case(
        groups={},
        number=0,
        fps=25.0,
        truth=truth,
        viseme_T2=np.zeros((T, 2)),
        closed_T=np.zeros(T, bool),
        silent_T=np.zeros(T, bool),
        inserted_T=np.zeros(T, bool),
        seams=(),
        shots=(ShotSpan(0, 50, "joy", 0.9, "none", "push_in"), ShotSpan(50, 100, "anger", 0.9, "none", "static")),
        looks={"true": true, "made": look(("joy", "joy"), truth), "late": look(("anger", "joy"), still)},
        portrait_D=np.eye(64)[0],
        codec_psnr=float("nan"),
        seconds=1.0,
    )


def test_what_changes_counts_in_its_own_shot(case: Case) -> None:
    assert c.changed_hits([case], "true") == [True] * 4
    assert c.hit_at_segment([case], "made") == 0.75
    # Both emotions are there, each in the other's shot; the camera stands where it should move.
    assert c.changed_hits([case], "late", ("emotion",)) == [False, False]
    assert c.changed_hits([case], "late", ("camera",)) == [False, True]


def test_what_stays_the_same_does_not_count(case: Case) -> None:
    same = replace(case, shots=tuple(replace(s, camera="static", emotion="joy") for s in case.shots))
    assert c.changed_hits([same], "true") == [] and np.isnan(c.hit_at_segment([same], "true"))


def test_row_counts_and_encloses(case: Case) -> None:
    row = obedience.row([case, replace(case, looks={"made": case.looks["late"]})], "made")
    assert row["counted"] == 8 and row["hit_at_segment"] == 0.5 and row["emotion"] == 0.25
    assert row["low"] == 0.25 and row["high"] == 0.75


def test_an_arm_silences_one_layer_and_nothing_else(tmp_path: Path) -> None:
    kept, _ = ship.load(ship.SHIPPED / "dit.safetensors")
    folder = obedience.without(ship.SHIPPED, "cross_attn/o", tmp_path)
    silenced, _ = ship.load(folder / "dit.safetensors")
    change, note = ship.load(folder / "distil.safetensors")
    assert note["config"]["teacher"] == sha256(folder / "dit.safetensors")
    assert not change["dit"]["blocks"]["layers"]["cross_attn"]["o"]["kernel.down"].any()
    for name, x in flatten_dict(kept, sep="/").items():
        there = np.asarray(flatten_dict(silenced, sep="/")[name])
        assert not there.any() if "/cross_attn/o/" in name else np.array_equal(there, x)
    with pytest.raises(BadInput, match="no such_layer"):
        obedience.without(ship.SHIPPED, "such_layer", tmp_path)
