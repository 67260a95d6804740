"""Public names of the video DiT and of its audio projector, in both key layouts.

One row per module: ours, Wan's original name, the name that diffusers gives it. The original norm3, which stands before
the text attention, is norm2 in diffusers (norm1 and the other one have no parameters in either).
Matching whole names leaves no room for the usual accident: `audio_cross_attn` contains `cross_attn`.
"""

from functools import cache

import numpy as np

from avatar_jax.nn.rope import halves_from_pairs, pairs_from_halves
from avatar_jax.weights.mapping import LEADING_ONE, SAME, TRANSPOSED, Layout, Rule

ORIGINAL, DIFFUSERS = "original", "diffusers"

_EMBEDDER = "condition_embedder"
OUTSIDE = (
    ("time_embedding/0", "time_embedding.0", f"{_EMBEDDER}.time_embedder.linear_1"),
    ("time_embedding/2", "time_embedding.2", f"{_EMBEDDER}.time_embedder.linear_2"),
    ("time_embedding/projection", "time_projection.1", f"{_EMBEDDER}.time_proj"),
    ("text_embedding/0", "text_embedding.0", f"{_EMBEDDER}.text_embedder.linear_1"),
    ("text_embedding/2", "text_embedding.2", f"{_EMBEDDER}.text_embedder.linear_2"),
    ("img_emb/0", "img_emb.proj.0", f"{_EMBEDDER}.image_embedder.norm1"),
    ("img_emb/1", "img_emb.proj.1", f"{_EMBEDDER}.image_embedder.ff.net.0.proj"),
    ("img_emb/3", "img_emb.proj.3", f"{_EMBEDDER}.image_embedder.ff.net.2"),
    ("img_emb/4", "img_emb.proj.4", f"{_EMBEDDER}.image_embedder.norm2"),
    ("head/head", "head.head", "proj_out"),
)
ROTATED = (
    ("self_attn/q", "self_attn.q", "attn1.to_q"),
    ("self_attn/k", "self_attn.k", "attn1.to_k"),
    ("self_attn/norm_q", "self_attn.norm_q", "attn1.norm_q"),
    ("self_attn/norm_k", "self_attn.norm_k", "attn1.norm_k"),
)
"""Modules whose output is rotated by rotary positions: Wan pairs neighbours, we pair halves (nn/rope.py)."""
BLOCK = (
    ("self_attn/v", "self_attn.v", "attn1.to_v"),
    ("self_attn/o", "self_attn.o", "attn1.to_out.0"),
    ("cross_attn/q", "cross_attn.q", "attn2.to_q"),
    ("cross_attn/k", "cross_attn.k", "attn2.to_k"),
    ("cross_attn/v", "cross_attn.v", "attn2.to_v"),
    ("cross_attn/o", "cross_attn.o", "attn2.to_out.0"),
    ("cross_attn/norm_q", "cross_attn.norm_q", "attn2.norm_q"),
    ("cross_attn/norm_k", "cross_attn.norm_k", "attn2.norm_k"),
    ("cross_attn/k_img", "cross_attn.k_img", "attn2.add_k_proj"),
    ("cross_attn/v_img", "cross_attn.v_img", "attn2.add_v_proj"),
    ("cross_attn/norm_k_img", "cross_attn.norm_k_img", "attn2.norm_added_k"),
    ("cross_attn/k_audio", "cross_attn.k_audio", "attn2.k_audio"),
    ("cross_attn/v_audio", "cross_attn.v_audio", "attn2.v_audio"),
    ("cross_attn/norm_k_audio", "cross_attn.norm_k_audio", "attn2.norm_k_audio"),
    ("audio_cross_attn/q_linear", "audio_cross_attn.q_linear", "audio_cross_attn.q_linear"),
    ("audio_cross_attn/kv_linear", "audio_cross_attn.kv_linear", "audio_cross_attn.kv_linear"),
    ("audio_cross_attn/proj", "audio_cross_attn.proj", "audio_cross_attn.proj"),
    ("norm3", "norm3", "norm2"),
    ("norm_x", "norm_x", "norm_x"),
    ("ffn/up", "ffn.0", "ffn.net.0.proj"),
    ("ffn/down", "ffn.2", "ffn.net.2"),
)
TABLES = (
    ("dit/head/modulation", "head.modulation", "scale_shift_table"),
    ("dit/blocks/layers/modulation", "blocks.{n}.modulation", "blocks.{n}.scale_shift_table"),
    ("dit/img_emb/emb_pos", "img_emb.emb_pos", f"{_EMBEDDER}.image_embedder.pos_embed"),
)
"""Bare parameters, kept with a leading axis of one."""
PROJECTOR = ("proj1", "proj1_vf", "proj2", "proj3", "norm")

PATCH_CONVOLUTION = Layout(
    lambda x: x.reshape(len(x), -1).T,
    lambda x: x.T.reshape(x.shape[1], x.shape[0] // 4, 1, 2, 2),
)
"""A convolution [D, C, 1, 2, 2] as a linear map [4 C, D] of patches."""


@cache
def rotated(heads: int) -> tuple[Layout, Layout]:
    """Layouts of (kernels, vectors) of modules whose output is rotated."""
    # Equal to halves_from_pairs(x.T), but whole rows move, which is several times faster than columns.
    kernel = Layout(
        lambda x: np.moveaxis(x.reshape(heads, -1, 2, x.shape[1]), 2, 1).reshape(x.shape).T,
        lambda x: pairs_from_halves(x, heads).T,
    )
    return kernel, Layout(lambda x: halves_from_pairs(x, heads), lambda x: pairs_from_halves(x, heads))


def module(ours: str, public: str, kernel: Layout = TRANSPOSED, vector: Layout = SAME) -> list[Rule]:
    """A linear map or a norm, whichever it turns out to be: torch calls kernel and scale alike `weight`."""
    return [
        Rule(f"{ours}/kernel", f"{public}.weight", kernel),
        Rule(f"{ours}/scale", f"{public}.weight", vector),
        Rule(f"{ours}/bias", f"{public}.bias", vector),
    ]


def dit_rules(layout: str, heads: int, projector: str = "audio_proj") -> list[Rule]:
    """Every rule of one key layout for {"dit": ..., "audio_projector": ...}; the latter is publicly `projector`."""
    column = {ORIGINAL: 1, DIFFUSERS: 2}[layout]
    rules = module("dit/patch_embedding", "patch_embedding", PATCH_CONVOLUTION)
    for row in OUTSIDE:
        rules += module(f"dit/{row[0]}", row[column])
    for row in BLOCK:
        rules += module(f"dit/blocks/layers/{row[0]}", f"blocks.{{n}}.{row[column]}")
    for row in ROTATED:
        rules += module(f"dit/blocks/layers/{row[0]}", f"blocks.{{n}}.{row[column]}", *rotated(heads))
    rules += [Rule(row[0], row[column], LEADING_ONE) for row in TABLES]
    for name in PROJECTOR:
        rules += module(f"audio_projector/{name}", f"{projector}.{name}")
    return rules
