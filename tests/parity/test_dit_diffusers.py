"""diffusers' WanTransformer3DModel with random weights, saved by itself, loaded by our converter: the same outputs."""

from pathlib import Path

import numpy as np
import pytest

from avatar_jax.mesh import make_mesh
from avatar_jax.weights.families import FAMILIES, sized
from avatar_jax.weights.load import Request, load
from tests.parity.dit_running import relative_error, velocity

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")

SIZES = {
    "patch_size": (1, 2, 2),
    "num_attention_heads": 3,
    "attention_head_dim": 20,
    "text_dim": 24,
    "freq_dim": 64,
    "ffn_dim": 96,
    "num_layers": 3,
    "cross_attn_norm": True,
    "qk_norm": "rms_norm_across_heads",
    "eps": 1e-6,
    "rope_max_seq_len": 64,
}
TEXT = {"in_channels": 16, "out_channels": 16}
IMAGE = {"in_channels": 36, "out_channels": 16, "image_dim": 28, "added_kv_proj_dim": 60}
VARIANTS = {
    "wan_t2v_1_3b": TEXT,
    "wan_i2v_14b": IMAGE,
    "wan_flf2v_14b": IMAGE | {"pos_embed_seq_len": 14},
    "wan2_2_ti2v_5b": {"in_channels": 48, "out_channels": 48},
}
FRAMES, ROWS, COLUMNS, IMAGE_TOKENS = 3, 4, 6, 7


def reference(name: str) -> "torch.nn.Module":
    """The released class with no parameter at a special value, so that every one of them shows."""
    torch.manual_seed(0)
    model = diffusers.WanTransformer3DModel(**SIZES, **VARIANTS[name]).float().eval()
    with torch.no_grad():
        for key, p in model.named_parameters():
            if p.ndim > 1 and "table" not in key and "pos_embed" not in key:
                p.normal_(std=0.5 / p[0].numel() ** 0.5)
            else:
                p.normal_(mean=float("norm" in key and key.endswith("weight")), std=0.2)
    return model


@pytest.mark.parametrize("name", VARIANTS)
def test_velocity_equals_diffusers(name: str, tmp_path: Path) -> None:
    model, rng = reference(name), np.random.default_rng(1)
    model.save_pretrained(tmp_path / "transformer", max_shard_size="200KB")
    config = dict(model.config)
    params = load(Request(name, str(tmp_path)), make_mesh(), np.float32).params

    B = 1 if name == "wan_flf2v_14b" else 2
    video = rng.normal(size=(B, config["in_channels"], FRAMES, ROWS, COLUMNS)).astype(np.float32)
    text = np.zeros((B, 512, SIZES["text_dim"]), np.float32)
    text[:, :9] = rng.normal(size=(B, 9, SIZES["text_dim"]))
    timestep = np.linspace(150, 850, B).astype(np.float32)
    if name == "wan2_2_ti2v_5b":
        # The first frame is known: its tokens have time zero.
        timestep = np.repeat(timestep[:, None], FRAMES * ROWS * COLUMNS // 4, axis=1)
        timestep[:, : ROWS * COLUMNS // 4] = 0
    image = None
    if config["image_dim"]:
        pictures = 2 if config["pos_embed_seq_len"] else 1
        image = rng.normal(size=(pictures * B, IMAGE_TOKENS, config["image_dim"])).astype(np.float32)
    with torch.no_grad():
        theirs = model(
            hidden_states=torch.from_numpy(video),
            timestep=torch.from_numpy(timestep),
            encoder_hidden_states=torch.from_numpy(text),
            encoder_hidden_states_image=None if image is None else torch.from_numpy(image),
        ).sample.numpy()
    tokens = None if image is None else image.reshape(B, -1, image.shape[-1])
    ours = velocity(sized(FAMILIES[name], config), params, video, timestep, text, image_BIE=tokens)
    assert relative_error(ours, theirs) <= 2e-5
