"""train.py from its command line: results, weights, warm starts, and mistakes that end with status 2."""

import json
from pathlib import Path

import pytest

import train
from avatar_jax.weights import ship
from tests.training.toy_stage import ToyStage

TOY = Path(__file__).with_name("train_toy.py")


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "STAGES", {"toy": lambda c: ToyStage(c.toy)})


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


def test_the_progress_of_a_run_is_not_on_standard_output(
    toy: None, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    command(tmp_path, "--steps", "2")
    seen = capsys.readouterr()
    assert "toy: 100%" in seen.err
    assert "%" not in seen.out
