"""Public names of DINOv2 as `transformers` saves it: the models of one feed-forward map, ViT-S, B and L."""

from typing import Any

import jax
import jax.numpy as jnp

from avatar_jax.models.dinov2 import DINOv2, DINOv2Config
from avatar_jax.weights.encoder_keys import PATCH_CONVOLUTION, encoder_layer, expect, norm, prefixed
from avatar_jax.weights.mapping import Layout, Rule, Target, flat_shapes, mapping

CLASS = Layout(lambda x: x[0, 0], lambda x: x[None, None])
"""[1, 1, D] -> [D]."""
PLACES = Layout(lambda x: x[0], lambda x: x[None])
"""[1, N, D] -> [N, D]."""
_LAYER = "encoder.layer.{n}"
RULES = [
    Rule("class_embedding", "embeddings.cls_token", CLASS),
    Rule("position_embedding", "embeddings.position_embeddings", PLACES),
    Rule("patch_embedding/kernel", "embeddings.patch_embeddings.projection.weight", PATCH_CONVOLUTION),
    Rule("patch_embedding/bias", "embeddings.patch_embeddings.projection.bias"),
    *encoder_layer(
        _LAYER,
        "attention",
        ("attention.query", "attention.key", "attention.value", "output.dense"),
        ("norm1", "norm2"),
        ("mlp.fc1", "mlp.fc2"),
    ),
    *(Rule(f"blocks/layers/scale{i}", f"{_LAYER}.layer_scale{i}.lambda1") for i in (1, 2)),
    *norm("norm", "layernorm"),
]
DEFAULTS = {
    "hidden_size": 384,
    "num_attention_heads": 6,
    "num_hidden_layers": 12,
    "mlp_ratio": 4,
    "image_size": 518,
    "patch_size": 14,
    "layer_norm_eps": 1e-6,
    "use_swiglu_ffn": False,
    "hidden_act": "gelu",
}
"""ViT-S/14 where a config.json is silent."""


def dinov2_config(config: dict[str, Any]) -> DINOv2Config:
    """Sizes from config.json."""
    config = DEFAULTS | config
    expect(config, "DINOv2 with one feed-forward map and exact GELU", use_swiglu_ffn=False, hidden_act="gelu")
    return DINOv2Config(
        width=config["hidden_size"],
        heads=config["num_attention_heads"],
        layers=config["num_hidden_layers"],
        ffn=int(config["hidden_size"] * config["mlp_ratio"]),
        side=config["image_size"],
        patch=config["patch_size"],
        eps=config["layer_norm_eps"],
    )


def dinov2_target(config: dict[str, Any]) -> Target:
    cfg = dinov2_config(config)
    pixels = jax.ShapeDtypeStruct((1, cfg.side, cfg.side, 3), jnp.float32)
    abstract = jax.eval_shape(DINOv2(cfg).init, jax.random.key(0), pixels)["params"]
    shapes = flat_shapes(abstract)
    ignored = (r".*mask_token", r"classifier\..*")
    return Target(
        abstract,
        tuple(mapping(f"transformers {p}", prefixed(RULES, p), shapes, ignored=ignored) for p in ("", "dinov2.")),
        float32=r".*",
    )
