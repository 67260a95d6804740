"""Ablations from the command line: rows, a table, a plot; an interrupted set goes on; mistakes come before work."""

import json
from dataclasses import replace
from pathlib import Path

import flax.linen as nn
import jax
import numpy as np
import pytest

import train
from avatar_jax import config as configs
from avatar_jax.mesh import make_mesh
from avatar_jax.training import ablation
from avatar_jax.training.ablation import Ablation, Arm
from avatar_jax.training.loop import LoopConfig, run
from avatar_jax.training.optim import OptimConfig
from avatar_jax.weights import ship
from tests.training.test_dit_stage import MODEL, STAGE
from tests.training.toy_stage import ToyStage

TOY = Path(__file__).with_name("train_toy.py")
SET = """
from avatar_jax.training.ablation import Ablation, Arm

CONFIG = Ablation(
    config={toy!r}, stage="toy", start={start!r}, columns=("error",), seeds=(0, 1),
    arms=(
        Arm("control", "all"),
        Arm("fast", "rate", ("--toy.optimiser.rate=0.1",)),
        Arm("wider", "width", ("--toy.width=20",)),
        Arm("again", "scored alone", scored_like="control"),
        Arm("from nothing", "start", scratch=True),
    ),
)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with configs/ablations/tiny.py and the weights that it begins with."""
    monkeypatch.setattr(train, "STAGES", {"toy": lambda c, out: ToyStage(c.toy)})
    monkeypatch.chdir(tmp_path)
    params = nn.unbox(jax.jit(ToyStage().init)(jax.random.key(9)))
    ship.export(params, tmp_path / "start" / "toy.safetensors", {})
    path = tmp_path / "configs" / "ablations" / "tiny.py"
    path.parent.mkdir(parents=True)
    path.write_text(SET.format(toy=str(TOY), start=str(tmp_path / "start")))
    return tmp_path


def test_a_set_of_arms_makes_rows_a_table_and_a_plot_and_goes_on(
    folder: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["--ablate", "tiny", "--out", "out", "--steps", "2"]
    real, made = ablation.add_row, []

    def interrupted(out: Path, row: ablation.Row) -> None:
        real(out, row)
        made.append(row["arm"])
        if len(made) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(ablation, "add_row", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train.main(command)
    monkeypatch.setattr(ablation, "add_row", real)
    assert train.main(command) == 0
    rows = [json.loads(line) for line in (folder / "out" / "rows.jsonl").read_text().splitlines()]
    arms = ["control", "fast", "wider", "again", "from nothing"]
    assert [(row["arm"], row["seed"]) for row in rows] == [(arm, seed) for seed in (0, 1) for arm in arms]
    found = {(row["arm"], row["seed"]): row for row in rows}
    assert all(row["steps"] == 2 and row["scores"]["error"] > 0 for row in rows)
    assert found["again", 0]["scores"] == found["control", 0]["scores"] != found["fast", 0]["scores"]
    assert found["control", 0]["fresh_arrays"] == 0 and found["wider", 0]["fresh_arrays"] == 3
    assert found["from nothing", 1]["fresh_arrays"] == 4
    table = (folder / "out" / "table.md").read_text().splitlines()
    assert len(table) == 7 and table[3].startswith("| rate | fast | ")
    assert (folder / "out" / "plot.png").stat().st_size > 2000
    capsys.readouterr()
    assert train.main(command) == 0 and "seed" not in capsys.readouterr().out, "everything was done"


def test_seeds_apart_in_one_folder(folder: Path, capsys: pytest.CaptureFixture) -> None:
    """What two processes with a seed each leave, one of them killed within a line; nobody's rows are lost."""
    command = ["--ablate", "tiny", "--steps", "2", "--out"]
    assert train.main([*command, "whole"]) == 0
    assert train.main([*command, "apart", "--seeds", "1"]) == 0
    rows = folder / "apart" / "rows.jsonl"
    assert {row["seed"] for row in ablation.read_rows(folder / "apart")} == {1}
    rows.write_bytes(rows.read_bytes()[:-20])
    assert train.main([*command, "apart", "--seeds", "0"]) == 0 and train.main([*command, "apart"]) == 0
    scores = [
        {(row["arm"], row["seed"]): row["scores"] for row in ablation.read_rows(folder / name)}
        for name in ("whole", "apart")
    ]
    assert scores[0] == scores[1] and len(scores[0]) == 10
    assert (folder / "apart" / "table.md").read_text().count("| 2 |") == 5
    capsys.readouterr()
    assert train.main([*command, "apart", "--seeds", "1,7"]) == 2 and "wrong --seeds" in capsys.readouterr().err
    assert train.main(["--config", str(TOY), "--out", "x", "--seeds", "1"]) == 2


def test_arms_are_compared_seed_by_seed_with_the_arm_beside_them() -> None:
    arms = (Arm("control", "all"), Arm("other", "x"), Arm("base", "y"), Arm("far", "y", beside="base"))
    scores = {"control": (0.5, 0.7), "other": (0.6, 0.75), "base": (0.1, 0.2), "far": (0.3, 0.3)}
    rows = [
        {"arm": name, "seed": seed, "scores": {"error": value}, "cpu_seconds": 7.0}
        for name, values in scores.items()
        for seed, value in enumerate(values)
    ]
    told = ablation.table(Ablation("c", "toy", arms, ("error",)), rows).splitlines()[2:]
    assert told == [
        "| all | control | 0.600 (0.500, 0.700) | 2 | 7 |",
        "| x | other | 0.675 (+0.100, +0.050) | 2 | 7 |",
        "| y | base | 0.150 (0.100, 0.200) | 2 | 7 |",
        "| y | far | 0.300 (+0.200, +0.100) | 2 | 7 |",
    ]
    alone = ablation.table(Ablation("c", "toy", arms, ("error",)), rows[2:])
    assert "| x | other | 0.675 | 2 | 7 |" in alone, "nothing to compare with"
    with pytest.raises(ValueError, match="compared"):
        Ablation("c", "toy", (Arm("control", "all", beside="nobody"),), ("error",))


def test_mistakes_are_told_before_anything_is_trained(folder: Path, capsys: pytest.CaptureFixture) -> None:
    assert train.main(["--ablate", "tyni", "--out", "out"]) == 2
    assert "did you mean tiny?" in capsys.readouterr().err
    path = folder / "configs" / "ablations" / "tiny.py"
    path.write_text(path.read_text().replace("--toy.width=20", "--toy.widht=20"))
    assert train.main(["--ablate", "tiny", "--out", "out"]) == 2
    assert "did you mean --toy.width" in capsys.readouterr().err and not (folder / "out").exists()


def test_the_set_of_the_embedded_model_is_sound() -> None:
    study = configs.load("configs/ablations/embedded.py")
    for arm in study.arms:
        configs.override(configs.load(study.config), [*study.common, *arm.changes])
    topics = {topic for arm in study.arms for topic in arm.topic.split(", ")}
    assert topics == {
        "all", "mouth weighting", "sliding window", "frozen text", "empty padding", "director adapter", "audio fusion",
        "last frame", "negative frame", "audio scale", "portrait",
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"sound_channels": 0},
        {"sound_channels": 0, "whole_sound": True},
        {"dit": replace(MODEL.dit, audio_width=None)},
        {"dit": replace(MODEL.dit, storyline=True)},
        {"portrait_channels": 0},
    ],
    ids=["attention alone", "whole sound", "patches alone", "director adapter", "portrait unseen"],
)
def test_the_models_of_the_embedded_set_train(changes: dict, tmp_path: Path) -> None:
    """The sizes that its arms take away or add, on a tiny model: two steps with Muon, then scores."""
    optim = OptimConfig(steps=2, frozen=("text",))
    config = replace(STAGE.config, model=replace(MODEL, **changes), optimiser=optim, padding=0.3, last_frame="soft")
    stage = replace(STAGE, config=replace(config, eval_known=True, eval_gain=1.5))
    state = run(stage, tmp_path, make_mesh(), LoopConfig())
    assert all(bool(np.isfinite(x).all()) for x in jax.tree.leaves(state.params))
    scores = stage.evaluate(state.ema)
    assert {"mouth", "ends_mouth", "first_mouth"} <= scores.keys() and all(np.isfinite(v) for v in scores.values())
