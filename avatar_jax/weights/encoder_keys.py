"""Key tables of the encoders: UMT5, CLIP's picture tower and wav2vec2, as `transformers` saves them.

Each `*_target` takes the repository's config.json. CLIP and wav2vec2 files may hold the encoder inside a larger model,
under a prefix and beside parts that we do not read; the last layer of CLIP is one of these.
"""

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp

from avatar_jax.models.clip_vision import CLIPVision, CLIPVisionConfig
from avatar_jax.models.umt5 import UMT5Config, UMT5Encoder
from avatar_jax.models.wav2vec2 import Wav2Vec2, Wav2Vec2Config
from avatar_jax.weights.mapping import TRANSPOSED, Layout, Mapping, Rule, Target, flat_shapes, mapping, permuted
from avatar_jax.weights.ship import WeightsError


def linear(ours: str, theirs: str, bias: bool = True) -> list[Rule]:
    """A linear map, with its bias if it has one."""
    kernel = Rule(f"{ours}/kernel", f"{theirs}.weight", TRANSPOSED)
    return [kernel, Rule(f"{ours}/bias", f"{theirs}.bias")] if bias else [kernel]


def norm(ours: str, theirs: str) -> list[Rule]:
    return [Rule(f"{ours}/scale", f"{theirs}.weight"), Rule(f"{ours}/bias", f"{theirs}.bias")]


def prefixed(rules: Iterable[Rule], prefix: str) -> list[Rule]:
    """The rules for the same model inside a larger one."""
    return [replace(rule, public=prefix + rule.public) for rule in rules]


_T5_LAYER, _T5_BLOCK = "blocks/layers", "encoder.block.{n}.layer"
UMT5_RULES = [
    Rule("shared", "shared.weight"),
    Rule("final_norm/scale", "encoder.final_layer_norm.weight"),
    Rule(f"{_T5_LAYER}/attention_norm/scale", f"{_T5_BLOCK}.0.layer_norm.weight"),
    Rule(f"{_T5_LAYER}/ffn_norm/scale", f"{_T5_BLOCK}.1.layer_norm.weight"),
    Rule(f"{_T5_LAYER}/attention/distance_bias", f"{_T5_BLOCK}.0.SelfAttention.relative_attention_bias.weight"),
    *(
        Rule(f"{_T5_LAYER}/attention/{name}/kernel", f"{_T5_BLOCK}.0.SelfAttention.{name}.weight", TRANSPOSED)
        for name in "qkvo"
    ),
    *(
        Rule(f"{_T5_LAYER}/{ours}/kernel", f"{_T5_BLOCK}.1.DenseReluDense.{theirs}.weight", TRANSPOSED)
        for ours, theirs in (("gate", "wi_0"), ("up", "wi_1"), ("down", "wo"))
    ),
]


def encoder_layer(
    theirs: str, attention: str, names: tuple[str, ...], norms: tuple[str, str], ffn: tuple[str, str]
) -> list[Rule]:
    """A layer of CLIP or wav2vec2, which differ in names alone."""
    ours = "blocks/layers"
    return [
        *(
            r
            for our, name in zip("qkvo", names, strict=True)
            for r in linear(f"{ours}/attention/{our}", f"{theirs}.{attention}.{name}")
        ),
        *norm(f"{ours}/norm1", f"{theirs}.{norms[0]}"),
        *norm(f"{ours}/norm2", f"{theirs}.{norms[1]}"),
        *linear(f"{ours}/ffn/up", f"{theirs}.{ffn[0]}"),
        *linear(f"{ours}/ffn/down", f"{theirs}.{ffn[1]}"),
    ]


_PROJECTIONS = ("q_proj", "k_proj", "v_proj", "out_proj")
PATCH_CONVOLUTION = Layout(
    lambda x: x.reshape(len(x), -1).T,
    lambda x: x.T.reshape(x.shape[1], 3, *(2 * (math.isqrt(x.shape[0] // 3),))),
)
"""[D, 3, patch, patch] -> [3 * patch * patch, D]."""
CLIP_RULES = [
    Rule("class_embedding", "embeddings.class_embedding"),
    Rule("position_embedding", "embeddings.position_embedding.weight"),
    Rule("patch_embedding/kernel", "embeddings.patch_embedding.weight", PATCH_CONVOLUTION),
    *norm("pre_norm", "pre_layrnorm"),
    *encoder_layer(
        "encoder.layers.{n}", "self_attn", _PROJECTIONS, ("layer_norm1", "layer_norm2"), ("mlp.fc1", "mlp.fc2")
    ),
]

CONVOLUTION = permuted(2, 1, 0)
"""[out, in, taps] -> [taps, in, out]."""
GAIN = Layout(lambda x: x[0, 0], lambda x: x[None, None])
"""[1, 1, taps] -> [taps]."""
WAV2VEC2_RULES = [
    *(Rule(f"conv_{i}/kernel", f"feature_extractor.conv_layers.{i}.conv.weight", CONVOLUTION) for i in range(7)),
    *norm("conv_norm", "feature_extractor.conv_layers.0.layer_norm"),
    *norm("feature_norm", "feature_projection.layer_norm"),
    *linear("feature_projection", "feature_projection.projection"),
    Rule("position/bias", "encoder.pos_conv_embed.conv.bias"),
    *norm("norm", "encoder.layer_norm"),
    *encoder_layer(
        "encoder.layers.{n}",
        "attention",
        _PROJECTIONS,
        ("layer_norm", "final_layer_norm"),
        ("feed_forward.intermediate_dense", "feed_forward.output_dense"),
    ),
]
UMT5_DEFAULTS = {
    "vocab_size": 250112,
    "d_model": 512,
    "d_kv": 64,
    "d_ff": 1024,
    "num_layers": 8,
    "num_heads": 6,
    "feed_forward_proj": "gated-gelu",
    "relative_attention_num_buckets": 32,
    "relative_attention_max_distance": 128,
}
"""What `transformers` means where a config.json is silent; older versions leave such keys out."""
CLIP_DEFAULTS = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "image_size": 224,
    "patch_size": 32,
    "hidden_act": "quick_gelu",
    "layer_norm_eps": 1e-5,
}
WAV2VEC2_DEFAULTS = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "conv_dim": [512] * 7,
    "conv_kernel": [10, 3, 3, 3, 3, 2, 2],
    "conv_stride": [5, 2, 2, 2, 2, 2, 2],
    "conv_bias": False,
    "num_conv_pos_embeddings": 128,
    "num_conv_pos_embedding_groups": 16,
    "feat_extract_norm": "group",
    "feat_extract_activation": "gelu",
    "do_stable_layer_norm": False,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-5,
}

WEIGHT_NORMS = {
    "parametrizations": ("parametrizations.weight.original0", "parametrizations.weight.original1"),
    "weight_g": ("weight_g", "weight_v"),
}
"""Names of gain and direction as torch saves them since 2.0, and before."""


def umt5_config(config: dict[str, Any]) -> UMT5Config:
    """Sizes from config.json."""
    config = UMT5_DEFAULTS | config
    expect(config, "the text encoder is UMT5 with a gated tanh GELU", feed_forward_proj="gated-gelu")
    return UMT5Config(
        vocabulary=config["vocab_size"],
        width=config["d_model"],
        heads=config["num_heads"],
        head_width=config["d_kv"],
        ffn=config["d_ff"],
        depth=config["num_layers"],
        buckets=config["relative_attention_num_buckets"],
        farthest=config["relative_attention_max_distance"],
    )


def umt5_target(config: dict[str, Any]) -> Target:
    ids = jax.ShapeDtypeStruct((1, 8), jnp.int32)
    real = jax.ShapeDtypeStruct((1, 8), jnp.bool_)
    abstract = jax.eval_shape(UMT5Encoder(umt5_config(config)).init, jax.random.key(0), ids, real)["params"]
    shapes = flat_shapes(abstract)
    twin = "encoder.embed_tokens.weight"
    renamed = [replace(rule, public=twin) if rule.path == "shared" else rule for rule in UMT5_RULES]
    # The encoder's own name of the shared table may stand beside it or in its place; of a whole UMT5 we read one half.
    others = (r"decoder\..*", r"lm_head\.weight")
    mappings = (
        mapping("transformers", UMT5_RULES, shapes, ignored=(*others, twin.replace(".", r"\."))),
        mapping("transformers, embed_tokens", renamed, shapes, ignored=others),
    )
    return Target(abstract, mappings)


def clip_config(config: dict[str, Any]) -> CLIPVisionConfig:
    """Sizes from config.json, of the tower alone or of a whole CLIP."""
    config = CLIP_DEFAULTS | config.get("vision_config", config)
    expect(config, "the image encoder is a CLIP picture tower with exact GELU, as ViT-H/14", hidden_act="gelu")
    return CLIPVisionConfig(
        width=config["hidden_size"],
        heads=config["num_attention_heads"],
        layers=config["num_hidden_layers"],
        ffn=config["intermediate_size"],
        side=config["image_size"],
        patch=config["patch_size"],
        eps=config["layer_norm_eps"],
    )


def clip_target(config: dict[str, Any]) -> Target:
    cfg = clip_config(config)
    pixels = jax.ShapeDtypeStruct((1, cfg.side, cfg.side, 3), jnp.float32)
    abstract = jax.eval_shape(CLIPVision(cfg).init, jax.random.key(0), pixels)["params"]
    shapes = flat_shapes(abstract)

    def under(prefix: str) -> Mapping:
        rules = prefixed(CLIP_RULES, prefix)
        unread = {f"{prefix}post_layernorm.{name}": (cfg.width,) for name in ("weight", "bias")}
        built = mapping("", rules, shapes).places
        last = f"{prefix}encoder.layers.{cfg.layers - 1}."
        first = f"{prefix}encoder.layers.0."
        unread |= {
            last + name.removeprefix(first): place.public_shape
            for name, place in built.items()
            if name.startswith(first)
        }
        ignored = (r".*position_ids", r"text_model\..*", r"(text|visual)_projection\.weight", "logit_scale")
        return mapping(f"transformers, {prefix or 'no prefix'}", rules, shapes, unread, ignored)

    return Target(abstract, (under(""), under("vision_model.")))


def wav2vec2_config(config: dict[str, Any]) -> Wav2Vec2Config:
    """Sizes from config.json."""
    config = WAV2VEC2_DEFAULTS | config
    expect(
        config,
        "the speech encoder is a wav2vec2 of the base kind: group norm, no conv bias, norms after the sums",
        feat_extract_norm="group",
        conv_bias=False,
        do_stable_layer_norm=False,
        hidden_act="gelu",
        feat_extract_activation="gelu",
    )
    expect(config, "seven convolutions of one width", conv_dim=[config["conv_dim"][0]] * 7)
    return Wav2Vec2Config(
        width=config["hidden_size"],
        heads=config["num_attention_heads"],
        depth=config["num_hidden_layers"],
        ffn=config["intermediate_size"],
        conv_width=config["conv_dim"][0],
        kernels=tuple(config["conv_kernel"]),
        strides=tuple(config["conv_stride"]),
        position_kernel=config["num_conv_pos_embeddings"],
        position_groups=config["num_conv_pos_embedding_groups"],
        eps=config["layer_norm_eps"],
    )


def wav2vec2_target(config: dict[str, Any]) -> Target:
    cfg = wav2vec2_config(config)
    wave = jax.ShapeDtypeStruct((1, 4000), jnp.float32)
    abstract = jax.eval_shape(Wav2Vec2(cfg).init, jax.random.key(0), wave)["params"]
    shapes = flat_shapes(abstract)

    def under(prefix: str, kind: str) -> Mapping:
        gain, direction = (f"encoder.pos_conv_embed.conv.{name}" for name in WEIGHT_NORMS[kind])
        rules = [*WAV2VEC2_RULES, Rule("position/gain", gain, GAIN), Rule("position/direction", direction, CONVOLUTION)]
        unread = {f"{prefix}masked_spec_embed": (cfg.width,)}
        # Heads of the models that wav2vec2 is trained in: its own objective, or letters.
        ignored = (r"quantizer\..*", r"project_(q|hid)\..*", r"lm_head\..*")
        name = f"transformers, {prefix or 'no prefix'}, {kind}"
        return mapping(name, prefixed(rules, prefix), shapes, unread, ignored)

    return Target(abstract, tuple(under(prefix, kind) for prefix in ("", "wav2vec2.") for kind in WEIGHT_NORMS))


def expect(config: dict[str, Any], rule: str, **values: Any) -> None:
    """A config.json that says something else than these values describes a model that we do not have.

    Raises:
        WeightsError: naming the first such key.
    """
    for key, value in values.items():
        if config[key] != value:
            fix = "take the encoder that the video model's repository names"
            raise WeightsError("config.json of another encoder", f"{key} = {config[key]!r}", rule, fix)
