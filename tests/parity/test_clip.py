"""Our CLIP picture tower and its preprocessing against `transformers` and torch."""

from pathlib import Path
from shutil import copy2

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from avatar_jax.mesh import make_mesh
from avatar_jax.models.clip_vision import DEVIATION, MEAN, clip_pixels, cropped, encode_pictures
from avatar_jax.weights.encoder_keys import clip_config
from avatar_jax.weights.load import Request, load, prepare

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> tuple:
    config = transformers.CLIPVisionConfig(
        hidden_size=48, intermediate_size=96, num_hidden_layers=4, num_attention_heads=4, image_size=56, patch_size=14,
        hidden_act="gelu",
    )  # fmt: skip
    torch.manual_seed(0)
    model = transformers.CLIPVisionModel(config).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith("norm.weight") or "norm1.weight" in name or "norm2.weight" in name:
                weight.normal_(1.0, 0.2)
            elif weight.ndim == 1:
                weight.normal_(std=0.2)
            else:
                weight.normal_(std=0.5 * weight[0].numel() ** -0.5)
    folder = tmp_path_factory.mktemp("clip")
    model.save_pretrained(folder)
    return model, folder


def test_tokens_equal_the_released_last_layer_but_one(released: tuple) -> None:
    model, folder = released
    pixels = np.random.default_rng(0).normal(size=(2, 56, 56, 3)).astype(np.float32)
    with torch.no_grad():
        out = model(torch.tensor(pixels.transpose(0, 3, 1, 2)), output_hidden_states=True)
    theirs = out.hidden_states[-2].numpy()
    loaded = load(Request("clip_vit_h", str(folder)), make_mesh(), np.float32)
    config, params = clip_config(loaded.configs[""]), loaded.params
    with jax.default_matmul_precision("highest"):
        ours = np.asarray(encode_pictures(config, params, jnp.asarray(pixels)))
    assert ours.shape == (2, 17, 48)
    assert np.abs(theirs - out.hidden_states[-1].numpy()).max() > 0.1
    np.testing.assert_allclose(ours, theirs, atol=2e-5)


def test_weights_under_the_prefix_of_older_files(released: tuple, tmp_path: Path) -> None:
    folder = released[1]
    tensors = {f"vision_model.{name}": value for name, value in load_file(folder / "model.safetensors").items()}
    tensors["vision_model.embeddings.position_ids"] = np.arange(17)
    save_file(tensors, tmp_path / "model.safetensors")
    copy2(folder / "config.json", tmp_path)
    plans = [prepare(Request("clip_vit_h", str(where)))[0].plan for where in (folder, tmp_path)]
    theirs, ours = ({(step.place.path, step.place.layer) for step in plan.steps} for plan in plans)
    assert ours == theirs


@pytest.mark.parametrize("size", [(300, 400), (91, 77), (224, 224)], ids=str)
def test_stretched_pictures_equal_torch_bicubic(size: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    # Wan resizes in [-1, 1], then moves to [0, 1].
    video = torch.tensor(picture.transpose(2, 0, 1)[None] / 127.5 - 1, dtype=torch.float32)
    resized = torch.nn.functional.interpolate(video, (224, 224), mode="bicubic", align_corners=False) * 0.5 + 0.5
    theirs = (resized[0].permute(1, 2, 0).numpy() - np.array(MEAN)) / np.array(DEVIATION)
    # torch finds sample positions in float32, we in float64; a grey level is 0.015 here.
    np.testing.assert_allclose(clip_pixels([picture])[0], theirs, atol=2e-4)


@pytest.mark.parametrize("size", [(300, 400), (401, 301), (91, 77), (224, 224)], ids=str)
def test_cropped_pictures_equal_the_released_processor(size: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    theirs = transformers.CLIPImageProcessorPil()(picture, return_tensors="np")["pixel_values"][0]
    ours = clip_pixels([picture], resize=cropped)[0]
    np.testing.assert_allclose(ours, np.asarray(theirs).transpose(1, 2, 0), atol=1e-5)
