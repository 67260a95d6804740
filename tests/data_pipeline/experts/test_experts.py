"""The shipped experts on clips that they have never seen, their protocol, and what training and measuring write."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("skia")
from avatar_jax.mesh import make_mesh
from avatar_jax.models.classifier import Classifier, ClassifierConfig
from avatar_jax.training import loop
from avatar_jax.training.classifier_stage import ClassifierStage, ClassifierStageConfig
from avatar_jax.training.optim import OptimConfig
from avatar_jax.weights import ship
from data_pipeline.__main__ import main
from data_pipeline.clips import MemoryClip
from data_pipeline.experts.calibration import Row, calibrate, measured, write
from data_pipeline.experts.camera import camera_expert
from data_pipeline.experts.held_out import APART
from data_pipeline.experts.mouth import mouth_expert
from data_pipeline.experts.mouth_set import spoilt_clip
from data_pipeline.experts.splices import spliced_clip
from data_pipeline.experts.sync import small_reader, sync_expert
from data_pipeline.experts.sync_set import shifted_clips
from data_pipeline.experts.trained import load_trained
from data_pipeline.protocol import Expert, to_result

SEEDS = 5 * APART
"""Neither trained, nor calibrated, nor reported on."""


def test_mouth_expert_knows_a_clear_mouth_from_a_spoilt_one() -> None:
    expert = mouth_expert()
    clear = [expert.judge(spoilt_clip(10_000_000 + SEEDS + i, "clear")).score or 0 for i in range(3)]
    kinds = ("blur", "noise", "compression", "occlusion", "misalignment")
    spoilt = [expert.judge(spoilt_clip(10_000_000 + SEEDS + i, kind)) for i, kind in enumerate(kinds)]
    assert min(clear) > max(verdict.score or 0 for verdict in spoilt)
    assert all(v.status == "rejected" and v.reason and v.evidence_frame is not None for v in spoilt)


def test_camera_expert_finds_the_splice() -> None:
    expert = camera_expert()
    steady = expert.judge(spliced_clip(SEEDS, "continuous", 2.0))
    cut = expert.judge(spliced_clip(SEEDS + 1, "other", 2.0))
    framed = expert.judge(spliced_clip(SEEDS + 2, "reframe", 2.0))
    assert (steady.score or 0) > max(cut.score or 0, framed.score or 0)
    assert cut.status == framed.status == "rejected"
    assert expert.judge(MemoryClip(np.zeros((3, 64, 64, 3), np.uint8), np.zeros(0, np.float32))).score is None


def test_sync_reads_the_shift_of_the_sound() -> None:
    reader, missed = small_reader(load_trained("syncnet").params), []
    for clip, shift, kind in shifted_clips(SEEDS, 3):
        assert clip.tracks is not None
        if kind == "moved":
            missed.append(abs(reader.read(clip, clip.tracks).offset - shift))
    assert sorted(missed)[1] <= 1


@pytest.mark.parametrize("make", [mouth_expert, sync_expert])
def test_no_track_or_too_short_is_unavailable(make) -> None:
    expert: Expert = make()
    bare = MemoryClip(np.zeros((40, 64, 64, 3), np.uint8), np.zeros(25600, np.float32))
    result = to_result(expert, expert.judge(bare))
    assert result.status == "unavailable" and result.score is None and "face track" in result.reason
    short = spoilt_clip(10_000_000 + SEEDS, "clear", 12)
    if expert.name == "sync":
        assert expert.judge(short).status == "unavailable"


@pytest.mark.parametrize("make", [mouth_expert, sync_expert])
def test_a_recorded_face_is_not_judged_by_who_knows_drawings(make) -> None:
    expert: Any = make()
    clip = spoilt_clip(10_000_000 + SEEDS, "clear", 60)
    assert clip.tracks is not None
    recorded = replace(clip, tracks=replace(clip.tracks, drawn=False))
    verdict = expert.judge(recorded)
    assert verdict.status == "unavailable" and verdict.score is None and "recorded face" in verdict.reason
    assert replace(expert, faces="all").judge(recorded).score is not None


def test_train_expert_is_the_same_command(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    arguments = ["camera", "--out", str(tmp_path / "out"), "--data", str(tmp_path)]
    told = []
    for command in (["train-expert"], ["experts", "train"]):
        assert main([*command, *arguments]) == 2
        told.append(capsys.readouterr().err)
    assert told[0] == told[1] and "no clips to train on" in told[0]


def test_threshold_is_set_on_one_set_and_told_of_another(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)

    def rows(shift: float) -> list[Row]:
        good = [Row("clear", True, float(x)) for x in rng.normal(3 + shift, 1, 400)]
        return good + [Row(f"bad{i % 2}", False, float(x)) for i, x in enumerate(rng.normal(shift, 1, 400))]

    report = calibrate(rows(0), rows(0.5), 0.05)
    assert report["threshold"] == pytest.approx(1.64, abs=0.3)
    assert report["calibration"]["false_positive"] <= 0.05 < report["test"]["false_positive"]
    assert set(report["test"]["auc_by_kind"]) == {"bad0", "bad1"} and report["test"]["auc"] > 0.95
    paths = write(tmp_path, "some", report)
    assert json.loads(paths[0].read_text()) == json.loads(json.dumps(report))
    assert paths[1].read_bytes()[:4] == b"\x89PNG" and sorted(tmp_path.iterdir()) == sorted(paths)


def test_an_expert_that_cannot_judge_has_no_curve() -> None:
    from data_pipeline.experts.aesthetics import Unavailable
    from data_pipeline.experts.calibration import Example

    clip = MemoryClip(np.zeros((3, 8, 8, 3), np.uint8), np.zeros(0, np.float32))
    with pytest.raises(ValueError, match="cannot judge"):
        list(measured(Unavailable("aesthetics", "no weights"), [Example(clip, True, "any")]))


def test_small_classifier_learns_and_every_parameter_moves(tmp_path: Path) -> None:
    """Bright or dark: a task of 30 steps."""
    small = ClassifierConfig(side=16, channels=1, stem=8, middle=8, deep=8, head=8)
    config = ClassifierStageConfig(small, OptimConfig(steps=30, rate=1e-2, ema=0.9), batch=16)

    def source(rng: np.random.Generator, count: int) -> dict[str, np.ndarray]:
        good = (np.arange(count) % 2).astype(np.float32)
        picture = rng.integers(0, 120, (count, 16, 16, 1)) + (100 * good)[:, None, None, None]
        return {"picture": picture.astype(np.uint8), "good": good}

    def right(params) -> dict[str, float]:
        batch = source(np.random.default_rng(99), 64)
        logits = Classifier(small).apply({"params": params}, batch["picture"])
        return {"auc": float(np.mean((np.asarray(logits) > 0) == (batch["good"] > 0)))}

    stage = ClassifierStage("bright", config, source, right)
    state = loop.run(stage, tmp_path / "bright", make_mesh(), loop.LoopConfig())
    assert int(state.step) == 30 and stage.gate(stage.evaluate(state.params))


def test_weights_without_a_threshold_or_of_another_network_are_refused(tmp_path: Path) -> None:
    ship.export({"a": np.zeros(2)}, tmp_path / "mouth.safetensors", {"stage": "mouth"})
    with pytest.raises(ship.WeightsError, match="without a threshold"):
        mouth_expert(tmp_path / "mouth.safetensors")
    with pytest.raises(ship.WeightsError, match="another network"):
        camera_expert(tmp_path / "mouth.safetensors")


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "camera", "--out", "OUT", "--data", "nowhere"],
        ["train", "aesthetics", "--out", "OUT"],
        ["roc", "mouth", "--out", "OUT", "--weights", "nowhere.safetensors"],
        ["roc", "mouth", "--out", "OUT", "--false-positive", "2"],
        ["score", "nowhere.mp4"],
        ["score", __file__, "--expert", "aesthetics"],
        ["train", "nobody", "--out", "OUT"],
        ["data", "--out", "OUT", "--count", "0"],
    ],
)
def test_mistakes_exit_with_two_and_three_lines(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert main(["experts", *[str(tmp_path / "out") if a == "OUT" else a for a in arguments]]) == 2
    told = capsys.readouterr().err.strip().splitlines()
    assert len([line for line in told if "|" not in line]) == 3 and not (tmp_path / "out").exists()
