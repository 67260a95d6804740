"""Recipes for public models: adapters, all weights, LoRA: what each trick changes, and the command line."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict

import train
from avatar_jax import config as configs
from avatar_jax.mesh import make_mesh
from avatar_jax.models.video_model import audio_tokens, velocity
from avatar_jax.training.loop import LoopConfig, run
from avatar_jax.training.optim import OptimConfig
from avatar_jax.training.stage import CannotTrain
from avatar_jax.training.video_stage import RegionLoss, VideoConfig, VideoStage, region_weights
from avatar_jax.weights.load import Request, load
from tests.training.tiny_video import COLUMNS, ROWS, batch_of, begun, opened, write_records, write_weights

TALKS, SILENT = "skyreels_a2v_19b", "wan_i2v_14b"
TINY = VideoConfig(family=TALKS, numbers="fp32", batch=2, remat="none", optimiser=OptimConfig(3, 1e-2, "adamw"))
RECIPES = ("train_adapters", "train_full", "train_lora")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("weights")
    return {family: write_weights(folder / family, family) for family in (TALKS, SILENT)}


@pytest.fixture(scope="module")
def adapters(weights: dict[str, Path]) -> VideoStage:
    return opened(TINY, weights[TALKS])


def of_recipe(name: str) -> VideoConfig:
    recipe = configs.load(f"configs/{name}.py").video
    return replace(recipe, numbers="fp32", batch=2, optimiser=replace(TINY.optimiser, frozen=recipe.optimiser.frozen))


def test_what_the_recipes_train() -> None:
    def trained(name: str, path: str) -> bool:
        stage = VideoStage(of_recipe(name), *([None] * 3))  # pyright: ignore[reportArgumentType]
        return stage.trains(path)

    layers = "dit/blocks/layers"
    paths = (f"{layers}/cross_attn/k/kernel", f"{layers}/self_attn/q/kernel", f"{layers}/audio_cross_attn/proj/bias")
    more = (f"{layers}/cross_attn/storyline_attn/k/kernel", f"{layers}/ffn/up/lora_up", "audio_projector/proj1/kernel")
    found = {name: [trained(name, path) for path in (*paths, *more)] for name in RECIPES}
    assert found["train_adapters"] == [False, False, True, True, False, True]
    assert found["train_full"] == [False, True, True, True, True, True]
    assert found["train_lora"] == [False, False, False, False, True, False]


@pytest.mark.parametrize("recipe", ["train_adapters", *(pytest.param(r, marks=pytest.mark.slow) for r in RECIPES[1:])])
def test_a_recipe_begins_as_the_public_model(recipe: str, weights: dict[str, Path]) -> None:
    family = SILENT if recipe == "train_full" else TALKS
    config = replace(of_recipe(recipe), family=family)
    stage = opened(config, weights[family])
    params, fixed = begun(stage)
    whole = stage.whole(params, fixed)
    plain = opened(replace(config, storyline=False, hear=False, lora_rank=0), weights[family])
    base, batch = unflatten_dict(plain.public(make_mesh()), sep="/"), batch_of(stage)
    x = jax.random.normal(jax.random.key(0), batch["latents_BTHWC"].shape)

    def made(stage: VideoStage, params: Any) -> jax.Array:
        return velocity(stage.model, params, x, jnp.full(2, 0.7), stage.given(params, batch, jax.random.key(1)))

    np.testing.assert_allclose(made(stage, whole), made(plain, base), rtol=0, atol=2e-5)


def trained_steps(stage: VideoStage, folder: Path, mesh: str = "") -> Any:
    return run(stage, folder, make_mesh(mesh), LoopConfig())


def test_frozen_weights_are_read_from_the_files_and_in_no_checkpoint(
    adapters: VideoStage, weights: dict[str, Path], tmp_path: Path
) -> None:
    state = trained_steps(opened(TINY, weights[TALKS]), tmp_path / "run")
    trained = flatten_dict(state.params, sep="/")
    assert trained and all(adapters.trains(path) for path in trained)
    assert {x.dtype for x in trained.values()} == {jnp.dtype(jnp.float32)}
    start = flatten_dict(begun(opened(TINY, weights[TALKS]))[0], sep="/")
    moved = [path for path, x in trained.items() if not np.array_equal(x, start[path])]
    assert any("storyline_attn/v" in path for path in moved) and any("audio_projector" in path for path in moved)
    longer = replace(TINY, optimiser=replace(TINY.optimiser, steps=5))
    assert int(trained_steps(opened(longer, weights[TALKS]), tmp_path / "run").step) == 5


@pytest.mark.slow
def test_the_files_that_training_leaves_load_over_the_same_weights(weights: dict[str, Path], tmp_path: Path) -> None:
    from avatar_jax.weights import trained as written

    low = replace(of_recipe("train_lora"), family=TALKS, lora_rank=2, optimiser=replace(TINY.optimiser, ema=0.0))
    for config in (replace(TINY, storyline=False, optimiser=replace(TINY.optimiser, ema=0.0)), low):
        stage = opened(config, weights[TALKS])
        state = trained_steps(stage, tmp_path / str(config.lora_rank))
        files = written.files(TALKS, stage.model, jax.device_get(state.params))
        (name, arrays), *others = files.items()
        assert not others and written.write(tmp_path / name, arrays) > 0
        what = {"loras" if "lora" in name else "overlays": (str(tmp_path / name),)}
        loaded = load(Request(TALKS, str(weights[TALKS] / "transformer"), **what), make_mesh(), np.float32).params
        whole = stage.whole(state.params, stage.fixed(make_mesh()))
        batch = batch_of(stage)
        x = jax.random.normal(jax.random.key(0), batch["latents_BTHWC"].shape)
        ours, public = (
            velocity(stage.model, params, x, jnp.full(2, 0.7), stage.given(params, batch, jax.random.key(1)))
            for params in (whole, loaded)
        )
        np.testing.assert_allclose(ours, public, atol=1e-4)


def test_a_latent_hears_its_own_frames_and_two_on_either_side(adapters: VideoStage) -> None:
    params, fixed = begun(adapters)
    whole, heard = adapters.whole(params, fixed), batch_of(adapters)["heard_BFLC"].astype(jnp.float32)

    def of(latent: int) -> np.ndarray:
        felt = jax.grad(lambda x: jnp.sum(jnp.sin(audio_tokens(adapters.model, whole, x)[:, latent])))(heard)
        return np.flatnonzero(np.abs(np.asarray(felt)).max((0, 2, 3)) > 0)

    # Feature i belongs to frame i - 2; latent 1 stands for frames 1 to 4.
    np.testing.assert_array_equal(of(0), np.arange(0, 5))
    np.testing.assert_array_equal(of(1), np.arange(1, 9))
    np.testing.assert_array_equal(of(2), np.arange(5, 13))


def test_the_loss_of_regions_weighs_face_and_mouth() -> None:
    face, mouth = np.zeros((4, 1, 2, 2), np.float32), np.zeros((4, 1, 2, 2), np.float32)
    face[:3, :, 0], mouth[:3, :, 0, 0] = 1, 1
    key = jax.random.key(0)
    everywhere = region_weights(RegionLoss(1, 0, 0, face_gain=1, mouth_gain=4), face, mouth, key)
    np.testing.assert_array_equal(everywhere[0, 0], [[6, 2], [1, 1]])
    lips = region_weights(RegionLoss(0, 0, 1), face, mouth, key)
    np.testing.assert_array_equal(lips[0, 0], [[1, 0], [0, 0]])
    np.testing.assert_array_equal(lips[3, 0], 1, "no mouth is shown: everywhere")
    ways = region_weights(RegionLoss(), np.repeat(face[:1], 4000, 0), np.repeat(mouth[:1], 4000, 0), key)
    shares = [float(np.mean(ways.sum((1, 2, 3)) == total)) for total in (7, 2, 1)]
    np.testing.assert_allclose(shares, [0.4, 0.1, 0.5], atol=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("remat", ["full", "attention"])
def test_remat_changes_memory_alone_and_half_precision_keeps_the_gradient(
    adapters: VideoStage, weights: dict[str, Path], remat: Any
) -> None:
    other = opened(replace(TINY, remat=remat), weights[TALKS])
    params, fixed = begun(adapters)
    batch = batch_of(adapters)

    def gradient(stage: VideoStage) -> tuple[str, Any]:
        def loss(p: Any) -> jax.Array:
            return stage.loss(stage.whole(p, fixed), batch, jax.random.key(0))[0]

        return str(jax.make_jaxpr(jax.grad(loss))(params)), jax.jit(jax.grad(loss))(params)

    (plain, one), (again, two) = gradient(adapters), gradient(other)
    assert "remat" in again and "remat" not in plain
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    half = replace(adapters.model, dit=replace(adapters.model.dit, dtype=jnp.bfloat16))
    low = gradient(replace(adapters, model=half))[1]
    assert {x.dtype for x in jax.tree.leaves(low)} == {jnp.dtype(jnp.float32)}, "masters are float32"
    angle = sum(float(jnp.vdot(a, b)) for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(low), strict=True))
    sizes = [float(np.sqrt(sum(np.sum(np.square(x)) for x in jax.tree.leaves(g)))) for g in (one, low)]
    assert angle / (sizes[0] * sizes[1]) > 0.99


@pytest.mark.parametrize("kind", [pytest.param("soft", marks=pytest.mark.slow), "shifted"])
def test_the_last_frame_as_a_picture_trains(kind: Any, weights: dict[str, Path]) -> None:
    stage = opened(replace(TINY, last_frame=kind), weights[TALKS])
    params, fixed = begun(stage)
    whole, batch = stage.whole(params, fixed), batch_of(stage)
    batch |= {"last_B": jnp.ones(2), "last_BHWC": jnp.ones((2, ROWS, COLUMNS, 16))}
    loss = jax.jit(lambda last: stage.loss(whole, batch | {"last_BHWC": last}, jax.random.key(0))[0])
    seen, other = loss(batch["last_BHWC"]), loss(-batch["last_BHWC"])
    assert np.isfinite(seen) and seen != other, "the picture is looked at"
    none = loss(jnp.zeros_like(batch["last_BHWC"]))
    assert none != seen


def test_what_the_weights_lack_must_be_trained(weights: dict[str, Path]) -> None:
    stage = opened(replace(TINY, trained=("audio",)), weights[TALKS])
    with pytest.raises(CannotTrain, match="storyline_attn"):
        stage.fixed(make_mesh())
    with pytest.raises(CannotTrain, match="hears already"):
        opened(replace(TINY, hear=True), weights[TALKS])


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES)
def test_recipes_from_the_command_line(recipe: str, weights: dict[str, Path], tmp_path: Path) -> None:
    command(recipe, weights, tmp_path)


def command(recipe: str, weights: dict[str, Path], tmp_path: Path, *more: str) -> int:
    family = SILENT if recipe == "train_full" else TALKS
    config = replace(of_recipe(recipe), family=family)
    data = write_records(tmp_path / "data", opened(config, weights[family]).model)
    flags = (f"--video.family={family}", f"--video.weights={weights[family]}", f"--video.data={data}")
    arguments = ["--config", f"configs/{recipe}.py", "--out", str(tmp_path / "out"), "--steps", "2", *flags]
    status = train.main([*arguments, "--video.batch=2", "--mesh", "data=2", *more])
    if not more:
        assert status == 0
        folder = "lora" if recipe == "train_lora" else "overlay"
        assert (tmp_path / "out" / folder / "video.safetensors").is_file()
    return status


def test_adapters_from_the_command_line(weights: dict[str, Path], tmp_path: Path) -> None:
    command("train_adapters", weights, tmp_path)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("--video.famly=x", "did you mean --video.family"),
        ("--video.family=wan_t2v_1_3b", "does not fit wan_t2v_1_3b"),
        ("--video.family=nobody", "no such family"),
        ("--video.weights=nowhere", "nowhere/transformer"),
        ("--video.data=nowhere", "no data for video"),
        ("--video.batch=3", "does not divide"),
        ("--video.trained=audoi", "no trained parameters"),
        ("--video.canvas=2,2", "too large"),
    ],
)
def test_mistakes_are_told(
    wrong: str, told: str, weights: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert command("train_adapters", weights, tmp_path, wrong) == 2
    lines = capsys.readouterr().err.splitlines()
    assert told in "\n".join(lines) and "Traceback" not in "\n".join(lines)
    assert len([line for line in lines if line.startswith(("rule:", "fix:"))]) == 2
