"""Our wav2vec2 against the one of `transformers`: all layers, at its own rate and at a video's, both key namings."""

from pathlib import Path
from shutil import copy2

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from avatar_jax.mesh import make_mesh
from avatar_jax.models.wav2vec2 import Wav2Vec2, at_frames, hear, normalised
from avatar_jax.weights.encoder_keys import wav2vec2_config
from avatar_jax.weights.load import Request, load, prepare

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> tuple:
    config = transformers.Wav2Vec2Config(
        hidden_size=48, num_hidden_layers=3, num_attention_heads=4, intermediate_size=64, conv_dim=(24,) * 7,
        num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=4,
    )  # fmt: skip
    torch.manual_seed(0)
    model = transformers.Wav2Vec2Model(config).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "original0" in name:
                weight.copy_(weight * torch.rand_like(weight).add(0.5))
            elif weight.ndim == 1:
                weight.normal_(1.0 if name.endswith("norm.weight") else 0.0, 0.2)
            elif weight.ndim == 2:
                weight.normal_(std=0.5 * weight.shape[1] ** -0.5)
    folder = tmp_path_factory.mktemp("wav2vec2")
    model.save_pretrained(folder)
    return model, folder


@pytest.fixture(scope="module")
def wave() -> np.ndarray:
    rng = np.random.default_rng(0)
    t = np.arange(24_000) / 16_000
    return (0.2 * np.sin(2 * np.pi * 180 * t * (1 + t)) + 0.02 * rng.normal(size=t.size)).astype(np.float32)


def test_normalised_sound_equals_the_released_extractor(wave: np.ndarray) -> None:
    extractor = transformers.Wav2Vec2FeatureExtractor()
    theirs = extractor(wave, sampling_rate=16_000, return_tensors="np").input_values[0]
    np.testing.assert_allclose(normalised(wave), theirs, atol=1e-5)
    np.testing.assert_allclose(normalised(0.1 * wave + 0.3), theirs, atol=1e-3)


def test_every_layer_equals_the_released_model(released: tuple, wave: np.ndarray) -> None:
    model, folder = released
    sound = normalised(wave)[None]
    with torch.no_grad():
        theirs = model(torch.tensor(sound), output_hidden_states=True).hidden_states
    loaded = load(Request("wav2vec2_base", str(folder)), make_mesh(), np.float32)
    config, params = wav2vec2_config(loaded.configs[""]), loaded.params
    with jax.default_matmul_precision("highest"):
        ours = jax.jit(Wav2Vec2(config).apply)({"params": params}, jnp.asarray(sound))
    assert ours.shape == (1, 74, 4, 48)
    np.testing.assert_allclose(ours, np.stack([h.numpy() for h in theirs], axis=2), atol=5e-5)


def test_states_at_video_frames_equal_the_published_order(released: tuple, wave: np.ndarray) -> None:
    """Convolutions, interpolation to 25 fps, then projection and transformer (MultiTalk)."""
    model, folder = released
    sound = normalised(wave)[None]
    states: list[np.ndarray] = []
    with torch.no_grad():
        features = model.feature_extractor(torch.tensor(sound))
        at_25 = torch.nn.functional.interpolate(features, size=37, mode="linear", align_corners=True)
        x = model.feature_projection(at_25.transpose(1, 2))[0]
        x = model.encoder.layer_norm(x + model.encoder.pos_conv_embed(x))
        states.append(x.numpy())
        for layer in model.encoder.layers:
            x = layer(x)
            states.append(x.numpy())
    loaded = load(Request("wav2vec2_base", str(folder)), make_mesh(), np.float32)
    config, params = wav2vec2_config(loaded.configs[""]), loaded.params
    with jax.default_matmul_precision("highest"):
        ours = hear(config, params, jnp.asarray(sound), 37)
    np.testing.assert_allclose(ours, np.stack(states, axis=2), atol=5e-5)


@pytest.mark.parametrize(("have", "want"), [(74, 37), (74, 150), (74, 74), (5, 1), (1, 3)])
def test_interpolation_equals_torch(have: int, want: int) -> None:
    x = np.random.default_rng(0).normal(size=(2, have, 3)).astype(np.float32)
    theirs = torch.nn.functional.interpolate(
        torch.tensor(x).transpose(1, 2), size=want, mode="linear", align_corners=True
    )
    # torch finds the positions in float32, we in float64.
    np.testing.assert_allclose(at_frames(jnp.asarray(x), want), theirs.transpose(1, 2).numpy(), atol=5e-5)


def test_older_names_and_the_training_models_prefix(released: tuple, tmp_path: Path) -> None:
    folder = released[1]
    tensors = {}
    for name, value in load_file(folder / "model.safetensors").items():
        name = name.replace("parametrizations.weight.original0", "weight_g")
        tensors["wav2vec2." + name.replace("parametrizations.weight.original1", "weight_v")] = value
    tensors["project_hid.weight"] = tensors["quantizer.codevectors"] = np.zeros((2, 2), np.float32)
    save_file(tensors, tmp_path / "model.safetensors")
    copy2(folder / "config.json", tmp_path)
    plans = [prepare(Request("wav2vec2_base", str(where)))[0].plan for where in (folder, tmp_path)]
    theirs, ours = ({(step.place.path, step.place.layer) for step in plan.steps} for plan in plans)
    assert ours == theirs
