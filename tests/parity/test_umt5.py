"""Our UMT5 encoder against the one of `transformers` on random weights, through the public key names."""

from pathlib import Path
from shutil import copy2

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from avatar_jax.mesh import make_mesh
from avatar_jax.models.umt5 import distance_buckets, encode_ids
from avatar_jax.weights.encoder_keys import umt5_config
from avatar_jax.weights.load import Request, load, prepare

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> tuple:
    sizes = {"vocab_size": 96, "d_model": 48, "d_kv": 8, "d_ff": 80, "num_layers": 3, "num_heads": 4}
    config = transformers.UMT5Config(**sizes, feed_forward_proj="gated-gelu")
    torch.manual_seed(0)
    model = transformers.UMT5EncoderModel(config).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "norm" in name:
                weight.normal_(1.0, 0.2)
            elif "relative" in name or "shared" in name:
                weight.normal_()
            else:
                weight.normal_(std=0.5 * weight.shape[1] ** -0.5)
    folder = tmp_path_factory.mktemp("umt5")
    model.save_pretrained(folder)
    return model, folder


def test_states_equal_the_released_model(released: tuple) -> None:
    model, folder = released
    rng = np.random.default_rng(0)
    ids_BL = rng.integers(2, 96, (2, 160)).astype(np.int32)
    real_BL = np.arange(160) < np.array([[160], [23]])
    with torch.no_grad():
        theirs = model(torch.tensor(ids_BL, dtype=torch.long), torch.tensor(real_BL).long()).last_hidden_state.numpy()
    loaded = load(Request("umt5_xxl", str(folder)), make_mesh(), np.float32)
    config, params = umt5_config(loaded.configs[""]), loaded.params
    with jax.default_matmul_precision("highest"):
        ours = np.asarray(encode_ids(config, params, jnp.asarray(ids_BL), jnp.asarray(real_BL)))
    assert np.abs(theirs[0]).max() > 1
    np.testing.assert_allclose(ours[real_BL], theirs[real_BL], atol=1e-4)
    assert not ours[~real_BL].any()


def test_buckets_equal_the_released_model(released: tuple) -> None:
    attention = released[0].encoder.block[0].layer[0].SelfAttention
    later = torch.arange(512)[None] - torch.arange(512)[:, None]
    theirs = attention._relative_position_bucket(later).numpy()
    np.testing.assert_array_equal(distance_buckets(512, 32, 128), theirs)


def test_the_tables_other_name_may_stand_in_its_place(released: tuple, tmp_path: Path) -> None:
    folder = released[1]
    tensors = load_file(folder / "model.safetensors")
    tensors["encoder.embed_tokens.weight"] = tensors.pop("shared.weight")
    save_file(tensors, tmp_path / "model.safetensors")
    copy2(folder / "config.json", tmp_path)
    plans = [prepare(Request("umt5_xxl", str(where)))[0].plan for where in (folder, tmp_path)]
    theirs, ours = ({(step.place.path, step.place.layer) for step in plan.steps} for plan in plans)
    assert ours == theirs
