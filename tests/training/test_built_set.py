"""From raw video to steps of training: sets that `data_pipeline build` made are what train.py reads."""

import json
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import train
from avatar_jax import config as configs
from avatar_jax.director.plan import shots_at
from avatar_jax.director.storyline import parse
from avatar_jax.media import BadInput
from avatar_jax.mesh import make_mesh
from avatar_jax.training.loop import LoopConfig as Loop
from avatar_jax.training.loop import run
from avatar_jax.training.optim import OptimConfig
from avatar_jax.training.stage import CannotTrain
from avatar_jax.training.state import TrainState
from avatar_jax.weights.ship import WeightsError
from configs.stages import dit_stage, set_feed, video_stage
from data_pipeline import throughput
from data_pipeline.dataset.reader import SetSource
from data_pipeline.dataset.shard import read_index, set_folder
from data_pipeline.loader import LoaderConfig
from data_pipeline.set_windows import LabelledClips, video_window
from data_pipeline.settings import Encode
from data_pipeline.stages.public_encoder import instants, public_encoder, window_starts
from data_pipeline.transforms import coverage, per_latent
from tests.e2e.public_weights import write_family
from tests.training.built_set import FRAMES, build, public, write_raw

pytest.importorskip("skia")
FAMILY = "skyreels_a2v_19b"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    write_family(folder / "weights", FAMILY)
    write_raw(folder / "raw")
    build(folder / "raw", folder / "out", public(folder / "weights", FAMILY))
    return folder


@pytest.fixture(scope="module")
def latents(place: Path) -> Path:
    return set_folder(place / "out", "latents")


def test_windows_hold_what_sampling_shows_the_model(place: Path, latents: Path) -> None:
    clip = SetSource(latents)[0]
    assert clip["size"].tolist() == [32, 32] and clip["grid"].tolist() == [4, 4] and len(clip["starts"]) == 4
    encoder = public_encoder(public(place / "weights", FAMILY))
    rng = np.random.default_rng(0)
    record = video_window(clip, rng)
    number = int(np.random.default_rng(0).integers(4))
    first = round(float(clip["starts"][number]) * 25)
    assert record["latents_THWC"].shape == record["shown_ends_THWC"].shape == (3, 4, 4, 16)
    # A causal codec: what follows does not change the first latent; a grey future changes the others.
    np.testing.assert_allclose(record["shown_first_THWC"][0], record["latents_THWC"][0], atol=1e-3)
    assert np.abs(record["shown_first_THWC"][1:] - record["latents_THWC"][1:]).max() > 0.05
    story = parse(clip["storyline"])
    shares = shots_at(story, (first + np.array([0, 2.5, 6.5])) / 25)
    np.testing.assert_allclose(record["shares_TS"][:, : shares.shape[1]], shares[:, :3], atol=1e-6)
    assert record["text_SLE"].shape == (3, 512, 16) and np.abs(record["text_SLE"][0]).max() > 0
    np.testing.assert_allclose(encoder.texts(clip["storyline"]), clip["texts_SLE"], atol=1e-3)
    assert record["heard_FLC"].shape == (FRAMES + 4, 2, 16) and record["picture_IE"].shape == (5, 20)
    last = clip["audio_FM"].reshape(-1, 2, 16)
    np.testing.assert_array_equal(record["heard_FLC"][2], last[first])
    mouth = per_latent(coverage(clip["mouths_T4"][first : first + FRAMES], 4, 4), 4)
    np.testing.assert_array_equal(record["mouth_THW"], mouth)
    assert 0 < mouth.max() <= 1 and 1 <= record["mid_frame"] <= FRAMES - 2


def test_other_rates_and_shapes() -> None:
    assert instants(50, 25).tolist() == list(range(50))
    np.testing.assert_array_equal(instants(25, 16)[:5], [0, 2, 3, 5, 6])
    assert len(instants(250, 16)) == 160 and instants(250, 16)[-1] < 250
    assert window_starts(250, 81).tolist() == [0, 84, 169] and window_starts(81, 81).tolist() == [0]


def config_of(recipe: str, place: Path, **more: Any) -> Any:
    """The recipe at the tiny family's size, over the built set."""
    config = configs.load(f"configs/{recipe}.py")
    frozen = config.video.optimiser.frozen
    video = replace(
        config.video, family=FAMILY, weights=str(place / "weights"), numbers="fp32", batch=2, remat="none", hear=False,
        optimiser=OptimConfig(3, 1e-2, "adamw", frozen=frozen), **more,
    )  # fmt: skip
    return replace(config, video=video, data=str(place / "out"), loop=Loop(save_seconds=0.0))


def test_batches_depend_on_seed_and_number_alone(place: Path, tmp_path: Path) -> None:
    stage = video_stage(config_of("train_adapters", place), tmp_path)
    whole = list(islice(stage.batches(0), 4))
    later = list(islice(stage.batches(2), 2))
    halves = [list(islice(stage.share(2, host, 2), 2)) for host in (0, 1)]
    for number, batch in enumerate(later):
        assert batch.keys() == whole[2 + number].keys()
        for name, x in batch.items():
            np.testing.assert_array_equal(x, whole[2 + number][name], err_msg=name)
            both = np.concatenate([half[number][name] for half in halves])
            np.testing.assert_array_equal(both, x, err_msg=name)
    measured = next(iter(throughput.finished(set_folder(place / "out", "latents"), FRAMES, 1024, LoaderConfig(2))))
    assert measured["shown_mid_THWC"].shape == (2, 3, 4, 4, 16)
    shown = [int(n) for batch in whole for n in batch["example_B"]]
    assert sorted(shown[:2]) == sorted(shown[2:4]) == [0, 1]
    assert not np.array_equal(whole[0]["latents_BTHWC"], whole[2]["latents_BTHWC"])


class Stopped(BaseException):
    pass


def stop_after(steps: int) -> Any:
    def hook(step: int, state: TrainState) -> None:
        if step > steps:
            raise Stopped

    return hook


@pytest.mark.slow
def test_a_run_that_was_stopped_ends_as_one_that_was_not(place: Path, tmp_path: Path) -> None:
    config = config_of("train_adapters", place)

    def trained(name: str, *hooks: Any) -> Any:
        stage = video_stage(config, tmp_path / name)
        return run(stage, tmp_path / name / "video", make_mesh(), config.loop, hooks=hooks)

    whole = trained("whole")
    with pytest.raises(Stopped):
        trained("stopped", stop_after(1))
    resumed = trained("stopped")
    assert int(resumed.step) == 3
    for a, b in zip(*(train.jax.tree.leaves(state.params) for state in (whole, resumed)), strict=True):
        np.testing.assert_array_equal(a, b)
    rows = [json.loads(line) for line in (tmp_path / "whole" / "video" / "metrics.jsonl").read_text().splitlines()]
    assert all(np.isfinite(row["loss"]) for row in rows if "loss" in row)


def test_a_run_does_not_go_on_over_another_set(place: Path, latents: Path, tmp_path: Path) -> None:
    config = config_of("train_adapters", place).video
    note = tmp_path / "video" / "data.json"
    next(set_feed(config, latents, note)(0))
    with pytest.raises(BadInput, match="another batch"):
        set_feed(replace(config, batch=1), latents, note)(1)
    next(set_feed(replace(config, batch=1), latents, None)(1))


@pytest.mark.parametrize(
    "recipe", ["train_adapters", *(pytest.param(r, marks=pytest.mark.slow) for r in ("train_full", "train_lora"))]
)
def test_recipes_from_the_command_line(recipe: str, place: Path, latents: Path, tmp_path: Path) -> None:
    arguments = ["--config", f"configs/{recipe}.py", "--out", str(tmp_path), "--steps", "2", f"--data={latents}"]
    flags = (
        "--video.batch=2",
        f"--video.family={FAMILY}",
        f"--video.weights={place / 'weights'}",
        "--video.hear=false",
    )
    assert train.main([*arguments, *flags]) == 0
    folder = "lora" if recipe == "train_lora" else "overlay"
    assert (tmp_path / folder / "video.safetensors").is_file()


def test_what_a_set_lacks_is_told_in_three_lines(place: Path, latents: Path, tmp_path: Path, capsys: Any) -> None:
    embedded = configs.load("configs/embedded.py")
    with pytest.raises(CannotTrain, match="labels_TK and face_points_32"):
        dit_stage(replace(embedded, data=str(latents)), tmp_path)
    arguments = ["--config", "configs/embedded.py", "--stage", "dit", "--out", str(tmp_path), f"--data={latents}"]
    assert train.main(arguments) == 2
    assert len(capsys.readouterr().err.splitlines()) == 3
    assert {line["windows"] for line in read_index(latents)} == {4}


def test_wrong_encoders_are_told(place: Path, tmp_path: Path) -> None:
    for wrong, error, said in (
        (public(tmp_path, FAMILY), WeightsError, "a part is missing"),
        (public(tmp_path / "none", FAMILY), WeightsError, "no folder of weights"),
        (public(place / "weights", "nobody"), WeightsError, "no such family"),
        (replace(public(place / "weights", FAMILY), frames=10), BadInput, "4 n"),
        (replace(public(place / "weights", FAMILY), fps=30), BadInput, "no more"),
    ):
        with pytest.raises(error, match=said):
            public_encoder(wrong)


def test_the_embedded_generator_reads_clips_with_true_labels(place: Path, tmp_path: Path) -> None:
    report = build(place / "raw", tmp_path / "out", Encode())
    folder = set_folder(tmp_path / "out", "latents")
    clips = LabelledClips(folder)
    assert len(clips) == len(report.shards and report.records) == 2 and clips.left_out == 0
    assert clips[0]["states_TS"].shape == (40, 23) and clips[0]["face_points_32"].min() > 0
    config = replace(configs.load("configs/embedded.py"), data=str(tmp_path / "out"))
    small = replace(config.dit, batch=2, model=replace(config.dit.model, frames=4))
    stage = dit_stage(replace(config, dit=small), tmp_path)
    batch = next(stage.batches(0))
    assert batch["latents_BTPC"].shape == (2, 4, 17, 139) and np.isfinite(batch["latents_BTPC"]).all()
    assert stage.heldout is None and stage.train(np.random.default_rng(0), 1.0, 4)["labels_TK"].shape == (4, 8)
    with pytest.raises(BadInput, match=r"encode\.encoder=public"):
        set_feed(config_of("train_adapters", place).video, folder, None)
