"""train.py from its command line: results, weights, warm starts, and mistakes that end with status 2."""

import errno
import json
from pathlib import Path

import numpy as np
import pytest

import train
from avatar_jax.director.storyline import one_shot
from avatar_jax.models.segment import CHANNELS, PATCHES
from avatar_jax.weights import ship
from data_pipeline.source import RecordWriter
from data_pipeline.synthetic.state import STATE
from tests.training.toy_stage import ToyStage

TOY = Path(__file__).with_name("train_toy.py")


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "STAGES", {"toy": lambda c, out: ToyStage(c.toy)})


def command(out: Path, *more: str) -> int:
    return train.main(["--config", str(TOY), "--out", str(out), *more])


def test_train_leaves_results_weights_and_is_then_finished(
    toy: None, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert command(tmp_path, "--steps", "3", "--toy.width=6") == 0
    result = json.loads((tmp_path / "toy" / "result.json").read_text())
    assert result["steps"] == 3
    assert result["gate_passed"] is True
    assert result["scores"]["error"] > 0
    params, note = ship.load(tmp_path / "toy.safetensors")
    assert params["up"]["kernel"].shape == (8, 6)
    assert note["config"]["width"] == 6
    assert note["result"] == result
    assert command(tmp_path, "--steps", "3", "--toy.width=6") == 0
    assert "trained already" in capsys.readouterr().out
    assert command(tmp_path, "--steps", "5", "--toy.width=6") == 0
    assert "optimiser.steps: 3 -> 5" in capsys.readouterr().err


def test_export_and_warm_start(toy: None, tmp_path: Path) -> None:
    assert command(tmp_path / "a", "--steps", "2") == 0
    assert command(tmp_path / "a", "--export", str(tmp_path / "shipped")) == 0
    exported = ship.load(tmp_path / "shipped" / "toy.safetensors")[0]
    still = ("--steps", "1", "--toy.optimiser.rate=0", "--init", str(tmp_path / "shipped"))
    assert command(tmp_path / "b", *still) == 0
    assert (ship.load(tmp_path / "b" / "toy.safetensors")[0]["up"]["kernel"] == exported["up"]["kernel"]).all()


@pytest.mark.parametrize(
    "wrong",
    [
        ("--toy.optimizer.rate=1",),
        ("--stpes=3",),
        ("--steps", "0"),
        ("--steps", "many"),
        ("--stage", "dti"),
        ("--init", "nowhere"),
        ("--init", "shipped"),
        ("--mesh", "data=0"),
        ("--mesh", "data=3"),
        ("--export",),
        ("--ablate", "x"),
        ("--profile", "x", "--profile-steps", "1,2"),
    ],
    ids=" ".join,
)
def test_mistakes_end_with_status_two_and_no_traceback(
    toy: None, tmp_path: Path, capsys: pytest.CaptureFixture, wrong: tuple[str, ...]
) -> None:
    assert command(tmp_path, *wrong) == 2
    told = capsys.readouterr().err.splitlines()
    assert "Traceback" not in "".join(told)
    assert len([line for line in told if line.startswith(("rule:", "fix:"))]) == 2


def test_an_output_that_cannot_be_written_is_told(toy: None, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "file").write_text("x")
    assert command(tmp_path / "file" / "run") == 2
    assert "cannot write" in capsys.readouterr().err


def test_missing_data_names_the_command_that_makes_it(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    arguments = ["--config", "configs/embedded.py", "--out", str(tmp_path), "--stage", "gate", f"--data={tmp_path}"]
    assert train.main(arguments) == 2
    assert "data_pipeline" in capsys.readouterr().err


def records(folder: Path, clips: int, width: int = CHANNELS) -> None:
    with RecordWriter(folder / "00000.array_record") as writer:
        for clip in range(clips):
            writer.write(
                {
                    "latents_TPC": np.full((100, PATCHES, width), clip, np.float16),
                    "audio_FM": np.zeros((200, 64), np.float16),
                    "spans_S2": np.array([[0.0, 4.0]]),
                    "states_TS": np.zeros((100, len(STATE)), np.float32),
                    "storyline": one_shot(64_000, 16_000, emotion="joy").to_json(),
                    "face_points_32": np.zeros((3, 2), np.float32),
                    "portrait_PC": np.zeros((PATCHES, width), np.float16),
                }
            )


@pytest.mark.parametrize(
    ("clips", "width", "told"), [(0, CHANNELS, "no records"), (8, 100, "latents_BTPC of batch 0 is (16, 17, 100)")]
)
def test_data_that_cannot_be_trained_on_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture, clips: int, width: int, told: str
) -> None:
    """An empty shard, and latents of another codec."""
    for split in ("latents", "latents-heldout"):
        records(tmp_path / split, clips, width)
    arguments = ["--config", "configs/embedded.py", "--out", str(tmp_path / "out"), "--stage", "dit"]
    assert train.main([*arguments, f"--data={tmp_path}", "--dit.readout_windows=2"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert told in "".join(lines) and "Traceback" not in "".join(lines)
    assert len([line for line in lines if line.startswith(("rule:", "fix:"))]) == 2


def test_a_run_of_another_model_is_told(toy: None, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert command(tmp_path, "--steps", "2") == 0
    before = sorted(p.name for p in (tmp_path / "toy" / "checkpoints").iterdir())
    assert command(tmp_path, "--steps", "4", "--toy.width=6") == 2
    assert "does not fit the configured model" in capsys.readouterr().err
    assert sorted(p.name for p in (tmp_path / "toy" / "checkpoints").iterdir()) == before, "nothing is lost"


def test_a_read_only_folder_is_told(
    toy: None, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **more: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", refuse)
    assert command(tmp_path / "out", "--steps", "2") == 2
    assert "read-only" in capsys.readouterr().err


def test_the_progress_of_a_run_is_not_on_standard_output(
    toy: None, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    command(tmp_path, "--steps", "2")
    seen = capsys.readouterr()
    assert "toy: 100%" in seen.err
    assert "%" not in seen.out
