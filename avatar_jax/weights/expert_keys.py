"""Public names of the networks with which the data pipeline judges clips: SyncNet, CLIP's picture embedding and the
aesthetic heads on it.

SyncNet's released names come from torch `Sequential`s: the numbers count norms, ReLUs and poolings too.
"""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp

from avatar_jax.models.aesthetics import AestheticHead, CLIPEmbedding
from avatar_jax.models.clip_vision import CLIPVisionConfig, quick_gelu
from avatar_jax.models.syncnet import FRAMES, PUBLISHED, STEPS, SyncNet, SyncNetConfig
from avatar_jax.nn.encoder import exact_gelu
from avatar_jax.weights.encoder_keys import CLIP_RULES, expect, linear, norm, prefixed
from avatar_jax.weights.mapping import TRANSPOSED, Layout, Rule, Target, flat_shapes, mapping, permuted
from avatar_jax.weights.ship import WeightsError

CONV_PLACES = (0, 4, 8, 11, 14, 18)
"""Where the convolutions stand in both towers; each one's norm is next."""
TOWERS = (("video_tower", "netcnnlip", "netfclip"), ("sound_tower", "netcnnaud", "netfcaud"))
PLANE = permuted(2, 3, 1, 0)
"""[out, in, rows, columns] -> [rows, columns, in, out]."""
ONE_FRAME = Layout(lambda x: x[:, :, 0].transpose(2, 3, 1, 0), lambda x: x.transpose(3, 2, 0, 1)[:, :, None])
"""A convolution of single maps, [out, in, 1, rows, columns]."""


def all_frames(colours: int) -> Layout:
    """The first convolution, [out, colours, 5, rows, columns] -> [rows, columns, 5 * colours, out]."""

    def ours(x: Any) -> Any:
        rows, columns = x.shape[3:]
        return x.transpose(3, 4, 2, 1, 0).reshape(rows, columns, FRAMES * colours, x.shape[0])

    def theirs(x: Any) -> Any:
        rows, columns, _, out = x.shape
        return x.reshape(rows, columns, FRAMES, colours, out).transpose(4, 3, 2, 0, 1)

    return Layout(ours, theirs)


def stored_norm(ours: str, theirs: str) -> list[Rule]:
    pairs = (("scale", "weight"), ("bias", "bias"), ("mean", "running_mean"), ("var", "running_var"))
    return [Rule(f"{ours}/{our}", f"{theirs}.{their}") for our, their in pairs]


def syncnet_rules(colours: int) -> list[Rule]:
    rules: list[Rule] = []
    for ours, layers, head in TOWERS:
        video = ours == "video_tower"
        for i, place in enumerate(CONV_PLACES):
            layout = (all_frames(colours) if i == 0 else ONE_FRAME) if video else PLANE
            rules.append(Rule(f"{ours}/conv_{i}/kernel", f"{layers}.{place}.weight", layout))
            rules.append(Rule(f"{ours}/conv_{i}/bias", f"{layers}.{place}.bias"))
            rules += stored_norm(f"{ours}/norm_{i}", f"{layers}.{place + 1}")
        rules += linear(f"{ours}/head", f"{head}.0")
        rules += stored_norm(f"{ours}/head_norm", f"{head}.1")
        rules += linear(f"{ours}/embed", f"{head}.3")
    return rules


def syncnet_target(config: dict[str, Any], sizes: SyncNetConfig = PUBLISHED) -> Target:
    """The released network; `config` is not read, since there is none beside it."""
    del config
    seen = jax.ShapeDtypeStruct((1, FRAMES, sizes.side, sizes.side, sizes.colours), jnp.float32)
    heard = jax.ShapeDtypeStruct((1, STEPS, 13), jnp.float32)
    abstract = jax.eval_shape(SyncNet(sizes).init, jax.random.key(0), seen, heard)["params"]
    # How many batches a norm has seen is of no use once it has been trained.
    counted = (r".*\.num_batches_tracked",)
    table = mapping("syncnet", syncnet_rules(sizes.colours), flat_shapes(abstract), ignored=counted)
    return Target(abstract, (table,), float32=r".*")


CLIP_L14 = {
    "hidden_size": 1024,
    "num_attention_heads": 16,
    "num_hidden_layers": 24,
    "intermediate_size": 4096,
    "image_size": 224,
    "patch_size": 14,
    "layer_norm_eps": 1e-5,
    "hidden_act": "quick_gelu",
    "projection_dim": 768,
}
"""ViT-L/14, on whose embedding the public heads were trained; what a config.json leaves out."""
ACTIVATIONS = {"quick_gelu": quick_gelu, "gelu": exact_gelu}


def clip_embedding(config: dict[str, Any]) -> CLIPEmbedding:
    """The module of a config.json, of the tower alone or of a whole CLIP."""
    inner = config.get("vision_config", {})
    values = CLIP_L14 | inner | {key: config[key] for key in CLIP_L14 if key in config and key not in inner}
    if values["hidden_act"] not in ACTIVATIONS:
        expect(values, "the activation is one that CLIP was released with", hidden_act="quick_gelu")
    sizes = CLIPVisionConfig(
        width=values["hidden_size"],
        heads=values["num_attention_heads"],
        layers=values["num_hidden_layers"] + 1,  # one fewer than this is built
        ffn=values["intermediate_size"],
        side=values["image_size"],
        patch=values["patch_size"],
        eps=values["layer_norm_eps"],
        activation=ACTIVATIONS[values["hidden_act"]],
    )
    return CLIPEmbedding(sizes, config.get("projection_dim", values["projection_dim"]))


def clip_embedding_target(config: dict[str, Any]) -> Target:
    module = clip_embedding(config)
    side = module.config.side
    pixels = jax.ShapeDtypeStruct((1, side, side, 3), jnp.float32)
    abstract = jax.eval_shape(module.init, jax.random.key(0), pixels)["params"]
    rules = [replace(rule, path=f"tower/{rule.path}") for rule in prefixed(CLIP_RULES, "vision_model.")]
    rules += norm("post_norm", "vision_model.post_layernorm")
    rules.append(Rule("projection/kernel", "visual_projection.weight", TRANSPOSED))
    ignored = (r".*position_ids", r"text_model\..*", r"text_projection\.weight", "logit_scale")
    return Target(abstract, (mapping("transformers", rules, flat_shapes(abstract), ignored=ignored),))


HEADS = {
    (1024, 128, 64, 16): tuple(f"layers.{i}" for i in (0, 2, 4, 6, 7)),
    (): ("",),
}
"""Hidden widths of the public heads, with the names of their layers: dropout takes numbers too."""


def aesthetic_head_target(embed: int, names: set[str]) -> tuple[AestheticHead, Target]:
    """The public head that has these tensors: five linear maps, or one.

    Raises:
        WeightsError: if it is neither.
    """
    widths = next((w for w, places in HEADS.items() if f"{places[-1]}.weight".lstrip(".") in names), None)
    if widths is None:
        got, fix = ", ".join(sorted(names)[:4]), "give the head's own file, converted to safetensors"
        raise WeightsError("not an aesthetic head", got, "layers.0 to layers.7, or one weight and bias", fix)
    head = AestheticHead(widths)
    abstract = jax.eval_shape(head.init, jax.random.key(0), jax.ShapeDtypeStruct((1, embed), jnp.float32))["params"]
    rules: list[Rule] = []
    for i, place in enumerate(HEADS[widths]):
        dot = f"{place}." if place else ""
        rules += [Rule(f"map_{i}/kernel", f"{dot}weight", TRANSPOSED), Rule(f"map_{i}/bias", f"{dot}bias")]
    return head, Target(abstract, (mapping("aesthetic head", rules, flat_shapes(abstract)),), float32=r".*")
