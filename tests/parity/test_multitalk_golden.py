"""Our block is the Wan block: outputs of the released MultiTalk code on random weights, reproduced."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file

from avatar_jax.models.dit import DiT, DiTConfig
from avatar_jax.nn.patch import grid_positions, patchify, unpatchify
from avatar_jax.nn.rope import halves_from_pairs

DATA = Path(__file__).parent / "data"

BLOCK = {
    **{f"{a}/{p}": f"{a}.{p}" for a in ("self_attn", "cross_attn") for p in ("q", "k", "v", "o", "norm_q", "norm_k")},
    **{f"cross_attn/{p}": f"cross_attn.{p}" for p in ("k_img", "v_img", "norm_k_img")},
    **{f"audio_cross_attn/{p}": f"audio_cross_attn.{p}" for p in ("q_linear", "kv_linear", "proj")},
    "norm3": "norm3",
    "norm_x": "norm_x",
    "ffn/up": "ffn.0",
    "ffn/down": "ffn.2",
}
OUTSIDE = {
    **{f"text_embedding/{i}": f"text_embedding.{i}" for i in (0, 2)},
    **{f"time_embedding/{i}": f"time_embedding.{i}" for i in (0, 2)},
    **{f"img_emb/{i}": f"img_emb.proj.{i}" for i in (0, 1, 3, 4)},
    "time_embedding/projection": "time_projection.1",
    "head/head": "head.head",
}


def put(tree: dict, path: str, value: np.ndarray) -> None:
    *parents, leaf = path.split("/")
    for name in parents:
        tree = tree.setdefault(name, {})
    tree[leaf] = value


def converted(weights: dict[str, np.ndarray], heads: int, depth: int) -> dict:
    """Released MultiTalk keys -> parameters of DiT; every key but the audio projector's is used."""
    left = {k: v.astype(np.float32) for k, v in weights.items() if not k.startswith("audio_proj.")}
    params: dict = {}

    def take(key: str) -> dict[str, np.ndarray]:
        found = {}
        if (w := left.pop(f"{key}.weight")).ndim == 1:
            found["scale"] = w
        else:
            found["kernel"] = w.reshape(w.shape[0], -1).T
        if f"{key}.bias" in left:
            found["bias"] = left.pop(f"{key}.bias")
        return found

    for ours, theirs in OUTSIDE.items():
        put(params, ours, take(theirs))
    params["patch_embedding"] = take("patch_embedding")
    params["head"]["modulation"] = left.pop("head.modulation")[0]

    layers: list[dict] = []
    for n in range(depth):
        layer: dict = {"modulation": left.pop(f"blocks.{n}.modulation")[0]}
        for ours, theirs in BLOCK.items():
            leaves = take(f"blocks.{n}.{theirs}")
            if ours in ("self_attn/q", "self_attn/k", "self_attn/norm_q", "self_attn/norm_k"):
                leaves = {name: halves_from_pairs(v, heads) for name, v in leaves.items()}
            put(layer, ours, leaves)
        layers.append(layer)
    params["blocks"] = {"layers": jax.tree.map(lambda *xs: np.stack(xs), *layers)}
    assert not left, f"keys without a place: {sorted(left)}"
    return params


@pytest.fixture(scope="module")
def golden() -> tuple[dict, dict, dict]:
    config = json.loads((DATA / "multitalk_dit_tiny.json").read_text())
    with np.load(DATA / "multitalk_dit_tiny.npz") as arrays:
        return config, dict(arrays), load_file(DATA / "multitalk_dit_tiny.safetensors")


def test_velocity_equals_the_released_code(golden) -> None:
    config, arrays, weights = golden
    cfg = DiTConfig(
        width=config["dim"],
        heads=config["num_heads"],
        depth=config["num_layers"],
        ffn=config["ffn_dim"],
        in_channels=config["in_dim"] * 4,
        out_channels=config["out_dim"] * 4,
        text_width=config["text_dim"],
        audio_width=config["audio_output_dim"],
        image_width=config["clip_dim"],
    )
    params = converted(weights, cfg.heads, cfg.depth)
    video = np.concatenate([arrays["latents"], arrays["y"]], axis=1).transpose(0, 2, 3, 4, 1)
    _, T, H, W, _ = video.shape
    positions = grid_positions(jnp.arange(T, dtype=jnp.float32)[None], H // 2, W // 2)
    text = np.zeros((1, 1, config["text_len"], config["text_dim"]), np.float32)
    text[:, 0, : arrays["text"].shape[1]] = arrays["text"]

    with jax.default_matmul_precision("highest"):
        patches = DiT(cfg).apply(
            {"params": params},
            patchify(jnp.asarray(video)),
            jnp.asarray(arrays["timestep"]) / 1000,
            positions,
            jnp.asarray(text),
            jnp.ones((1, T, 1)),
            jnp.asarray(arrays["audio_context"]),
            jnp.asarray(arrays["clip"]),
        )
    ours = np.asarray(unpatchify(patches, H // 2)).transpose(0, 4, 1, 2, 3)
    scale = np.abs(arrays["velocity"]).max()
    assert np.abs(ours - arrays["velocity"]).max() <= 2e-5 * scale
    assert np.abs(ours - arrays["velocity_zero_audio"]).max() > 1e-2 * scale
