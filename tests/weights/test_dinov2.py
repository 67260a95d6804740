"""DINOv2 from a folder as `transformers` saves it: the released module's numbers, at its own and at another size."""

from pathlib import Path

import jax
import numpy as np
import pytest
from safetensors import safe_open

from avatar_jax.evaluation.scoring.readers import weights_extractor
from avatar_jax.mesh import make_mesh
from avatar_jax.models.dinov2 import DINOv2, DINOv2Config, dinov2_pixels
from avatar_jax.weights.dinov2_keys import dinov2_config
from avatar_jax.weights.load import Request, load

PICTURE = np.random.default_rng(0).integers(0, 256, (2, 60, 80, 3), np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> tuple:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    config = transformers.Dinov2Config(
        hidden_size=24, num_hidden_layers=2, num_attention_heads=3, mlp_ratio=2, image_size=56, patch_size=14
    )
    torch.manual_seed(0)
    model = transformers.Dinov2Model(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(1.0, 0.2) if weight.ndim == 1 else weight.normal_(std=0.3)
    path = tmp_path_factory.mktemp("dinov2")
    model.save_pretrained(path)
    return model, path


@pytest.mark.parametrize("side", [56, 84])
def test_embedding_equals_the_released_one(folder: tuple, side: int) -> None:
    torch = pytest.importorskip("torch")
    model, path = folder
    pixels = dinov2_pixels(PICTURE, side)
    with torch.no_grad():
        theirs = model(torch.tensor(pixels.transpose(0, 3, 1, 2))).pooler_output.numpy()
    loaded = load(Request("dinov2", str(path)), make_mesh(), np.float32)
    with jax.default_matmul_precision("highest"):
        ours = np.asarray(DINOv2(dinov2_config(loaded.configs[""])).apply({"params": loaded.params}, pixels))
    np.testing.assert_allclose(ours, theirs, atol=2e-4)


def test_the_file_has_published_names(folder: tuple) -> None:
    """What the key table reads is what the hub's files are called."""
    with safe_open(str(Path(folder[1]) / "model.safetensors"), "numpy") as file:
        assert "encoder.layer.0.attention.attention.query.weight" in file.keys()  # noqa: SIM118


def test_it_is_an_extractor(folder: tuple) -> None:
    found = weights_extractor(folder[1])(PICTURE)
    assert found.shape == (2, 24) and np.isfinite(found).all()


def test_size_of_the_released_small_model() -> None:
    shapes = jax.eval_shape(DINOv2(DINOv2Config()).init, jax.random.key(0), np.zeros((1, 224, 224, 3), np.float32))
    assert sum(x.size for x in jax.tree.leaves(shapes)) == 22_056_192
