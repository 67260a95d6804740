"""Columns of the evaluation on planted cases with known answers."""

from dataclasses import replace

import numpy as np
import pytest

from avatar_jax.evaluation import columns as c
from avatar_jax.evaluation import summary
from avatar_jax.evaluation.case import Case, Look, ShotSpan, Watch
from avatar_jax.metrics.judging import Judged
from avatar_jax.models.judge import COLUMNS, EMOTIONS, VISEMES

T = 100
OPEN = 0.5 + 0.5 * np.sin(np.arange(T) * 0.7) * np.sin(np.arange(T) * 0.11)


def look(truth: dict[str, np.ndarray], noise: float, who: int) -> Look:
    rng = np.random.default_rng(who)
    values = np.stack([truth[name] for name in COLUMNS], axis=-1) + noise * rng.standard_normal((T, len(COLUMNS)))
    emotion = np.tile(5.0 * np.eye(len(EMOTIONS))[EMOTIONS.index("joy")], (T, 1))
    viseme = np.tile(np.eye(len(VISEMES))[1], (T, 1))
    identity = np.tile(np.eye(64)[who], (T, 1))
    return Look(Judged(values, emotion, viseme, identity), np.ones(T - 1), np.full((T, 3), 90.0))


@pytest.fixture
def case() -> Case:
    truth = {name: np.zeros(T) for name in COLUMNS} | {"open": OPEN, "log_zoom": np.linspace(0, 0.4, T)}
    truth["yaw"] = 0.2 * np.sin(np.arange(T) * 0.1)
    return Case(
        groups={"language": "en", "style": "flat", "kind": "human", "voice": "espeak"},
        number=0,
        fps=25.0,
        truth=truth,
        viseme_T2=np.stack([np.ones(T), np.arange(T) % 2], axis=-1),
        closed_T=OPEN < 0.1,
        silent_T=np.arange(T) < 10,
        inserted_T=np.arange(T) % 2 == 1,
        seams=(40,),
        shots=(ShotSpan(0, 50, "joy", 0.9, "none", "push_in"), ShotSpan(50, 100, "anger", 0.8, "nod", "static")),
        looks={"true": look(truth, 0.01, 0), "made": look(truth, 0.3, 0)},
        portrait_D=np.eye(64)[0],
        codec_psnr=30.0,
        seconds=4.0,
        other_open_T=np.roll(OPEN, 37),
        other_closed_T=np.roll(OPEN < 0.1, 37),
    )


def test_lip_sync_of_made_and_true_frames(case: Case) -> None:
    wanted = summary.all_columns(0.1, np.eye(64))
    assert wanted["sync_corr"]([case], "true") > 0.99 > 0.9 > wanted["sync_corr"]([case], "made") > 0.5
    assert abs(wanted["sync_corr_swapped"]([case], "true")) < 0.6
    assert wanted["sync_offset_zero_share"]([case], "true") == 1
    assert wanted["closure_recall"]([case], "true") == 1 > wanted["closure_recall_chance"]([case], "true")
    late = replace(case, looks={"made": replace(case.looks["made"], judged=shifted(case.looks["true"].judged, 3))})
    assert wanted["sync_offset_zero_share"]([late], "made") == 0


def shifted(judged: Judged, frames: int) -> Judged:
    return replace(judged, values=np.roll(judged.values, frames, axis=0))


def test_seams_and_inserted_frames_are_looked_at_alone(case: Case) -> None:
    values = case.looks["true"].judged.values.copy()
    values[38:43, COLUMNS.index("open")] = np.array([0.0, 1.0, 0.0, 1.0, 0.0])
    spoilt = replace(case.looks["true"], judged=replace(case.looks["true"].judged, values=values))
    one = replace(case, looks=case.looks | {"made": spoilt})
    wanted = summary.all_columns(0.1, np.eye(64))
    assert wanted["sync_corr_seam"]([one], "made") < 0.9 * wanted["sync_corr_seam"]([one], "true")
    assert wanted["sync_corr_inserted"]([one], "made") > 0.8


def test_shots_are_scored_where_the_truth_shows_what_was_asked(case: Case) -> None:
    assert c.share_hit(c.emotion_hit)([case], "true") == 0.5
    # The second shot asks for a static camera, yet the true one moves: it is not scored.
    camera, gesture = c.share_hit(c.camera_hit), c.share_hit(c.gesture_hit)
    assert camera([case], "true") == 1 and camera([case.part(50, 100)], "true") != 1
    # The second shot asks for a nod that the true head does not make.
    assert gesture([case], "true") == 1 and np.isnan(gesture([case.part(50, 100)], "true"))


def test_faces_and_visemes(case: Case) -> None:
    assert c.identity_top1(np.eye(64))([case], "made") == 1
    assert c.identity_top1(np.roll(np.eye(64), 1, axis=0))([case], "made") == 0
    assert c.viseme_acc([case], "made") == 1


def test_trembling_is_measured_against_true_frames(case: Case) -> None:
    assert c.pose_jitter([case], "true") == pytest.approx(1)
    assert c.pose_jitter([case], "made") == pytest.approx(30, rel=0.3)


def test_blinks_are_counted_not_their_frames(case: Case) -> None:
    assert c.blinks_per_minute([case], "true") == 0
    values = case.looks["true"].judged.values.copy()
    for at in (10, 40, 80):
        values[at : at + 4, COLUMNS.index("blink")] = 0.9
    judged = replace(case.looks["true"].judged, values=values)
    blinking = replace(case, looks={"made": replace(case.looks["true"], judged=judged)})
    assert c.blinks_per_minute([blinking], "made") == pytest.approx(45)


def test_part_keeps_shots_and_seams_of_its_frames(case: Case) -> None:
    part = case.part(30, 60)
    assert part.length == 30 and part.seams == (10,)
    assert [(s.first, s.stop, s.emotion) for s in part.shots] == [(0, 20, "joy"), (20, 30, "anger")]
    assert len(part.looks["made"].change_T) == 29


def test_summary_says_what_not_to_quote_and_survives_json(case: Case) -> None:
    result = summary.summarise([case], summary.all_columns(0.1, np.eye(64)))
    assert "emotion_acc" in result["not_to_quote"] and "sync_corr" not in result["not_to_quote"]
    assert result["spread"]["sync_corr"]["min"] == pytest.approx(result["sync_corr"])
    assert "NaN" not in summary.as_json(result)
    result["reader"] = summary.reader([case])
    assert "do not quote" in summary.as_text(result)


def test_tables_by_emotion_split_cases_into_shots(case: Case) -> None:
    rows = summary.table([case, case], "emotion", summary.all_columns(0.1, np.eye(64)))
    assert {name: row["cases"] for name, row in rows.items()} == {"anger": 2, "joy": 2}
    assert rows["joy"]["emotion_acc"] == 1 and rows["anger"]["emotion_acc"] == 0


def test_watch_measures_what_passes() -> None:
    watch = Watch()
    frames = [np.full((256, 256, 3), level, np.uint8) for level in (10, 20, 20)]
    assert len(list(watch.through(frames))) == 3
    assert watch.change == [10, 0] and watch.colour[1].tolist() == [20, 20, 20]
