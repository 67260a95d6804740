"""A folder of public weights opened as the networks of a family: overlays, conversion, a model for the blueprint."""

import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from avatar_jax.mesh import make_mesh
from avatar_jax.weights.load import Request, convert
from avatar_jax.weights.mapping import by_path
from avatar_jax.weights.ship import WeightsError
from avatar_jax.weights.suite import open_suite
from tests.e2e.public_weights import TRANSFORMER, transformer, write_family
from tests.weights.tiny import write

TALKING = "infinitetalk_14b"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_family(tmp_path / "weights", TALKING)


def test_parts_are_read_when_used_and_can_be_let_go(folder: Path) -> None:
    suite = open_suite(TALKING, folder, make_mesh("fsdp=2,tensor=4"), jnp.bfloat16)
    assert suite.draft is suite.denoiser and suite.denoiser.held is None
    kernel = suite.denoiser.params["dit"]["blocks"]["layers"]["ffn"]["up"]["kernel"]
    assert kernel.dtype == jnp.bfloat16 and kernel.sharding.shard_shape(kernel.shape) == (2, 24, 16)
    assert suite.denoiser.params is suite.denoiser.held
    suite.denoiser.free()
    assert suite.denoiser.held is None and suite.denoiser.params is not None
    assert suite.speech is not None and suite.speech.config.dtype == suite.vae.config.dtype == jnp.float32
    assert set(suite.files) == {"transformer", "vae", "text_encoder", "image_encoder", "wav2vec2"}


def test_an_overlay_and_a_conversion_give_the_same_model(folder: Path) -> None:
    tensors, _ = transformer(TALKING)
    sound = {name: 2 * x for name, x in tensors.items() if "audio" in name or "norm_x" in name}
    shutil.rmtree(folder / "transformer")
    write(folder / "transformer", {name: x for name, x in tensors.items() if name not in sound}, TRANSFORMER)
    write(folder / "overlay", sound)
    mesh = make_mesh()
    laid_over = open_suite(TALKING, folder, mesh, jnp.float32).denoiser.params
    convert(
        Request(TALKING, str(folder / "transformer"), (str(folder / "overlay"),)),
        folder / "converted",
        mesh,
        jnp.float32,
    )
    shutil.rmtree(folder / "transformer")
    (folder / "converted").rename(folder / "transformer")
    with pytest.raises(WeightsError, match="weights are final"):
        open_suite(TALKING, folder, mesh, jnp.float32)
    shutil.rmtree(folder / "overlay")
    again = by_path(open_suite(TALKING, folder, mesh, jnp.float32).denoiser.params)
    for path, x in by_path(jax.device_get(laid_over)).items():
        np.testing.assert_array_equal(again[path], x, err_msg=path)


def test_another_model_may_make_the_blueprint(tmp_path: Path) -> None:
    folder = write_family(tmp_path / "weights", "wan_flf2v_14b")
    write(folder / "blueprint", *transformer("wan_i2v_14b"))
    suite = open_suite("wan_flf2v_14b", folder, make_mesh(), jnp.float32, draft_family="wan_i2v_14b")
    assert (suite.denoiser.config.pictures, suite.draft.config.pictures) == (2, 1)
    assert suite.speech is None and suite.denoiser.config.audio is None


def test_encoders_of_another_width_are_refused(folder: Path, tmp_path: Path) -> None:
    other = write_family(tmp_path / "other", "wan_t2v_1_3b")
    assert open_suite("wan_t2v_1_3b", other, make_mesh(), jnp.float32).denoiser.config.pictures == 0
    with pytest.raises(WeightsError, match="does not fit infinitetalk_14b"):
        open_suite(TALKING, other, make_mesh(), jnp.float32)
    shutil.rmtree(folder / "transformer")
    wide = {**TRANSFORMER, "text_dim": 32}
    tensors, _ = transformer(TALKING)
    name = "text_embedding.0.weight"
    write(folder / "transformer", tensors | {name: np.tile(tensors[name], (1, 2))}, wide)
    with pytest.raises(WeightsError, match="text_encoder has 16"):
        open_suite(TALKING, folder, make_mesh(), jnp.float32)
