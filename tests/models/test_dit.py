"""The denoiser: published sizes, shots, adapters, locality of sound, and the same numbers on any mesh."""

import gzip
import json
from dataclasses import replace
from functools import partial
from math import prod
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict

from avatar_jax.mesh import batch_sharding, init_sharded, make_mesh
from avatar_jax.models.director_adapter import Queries, TextAttention
from avatar_jax.models.dit import Block, Context, DiT, DiTConfig
from avatar_jax.nn.attention import attend
from avatar_jax.nn.norm import rms_norm
from avatar_jax.nn.patch import grid_positions
from avatar_jax.nn.rope import rope_tables

SMALL = DiTConfig(width=48, heads=4, depth=2, ffn=64, in_channels=20, out_channels=12, text_width=16, audio_width=24)
WAN_1B = DiTConfig(
    width=1536, heads=12, depth=30, ffn=8960, in_channels=64, out_channels=64, text_width=4096, audio_width=None
)
WAN_14B = replace(WAN_1B, width=5120, heads=40, depth=40, ffn=13824)
I2V_14B = replace(WAN_14B, in_channels=144, image_width=1280)
SIZES = {
    "wan2_1_t2v_1_3b": (WAN_1B, 1_418_996_800),
    "wan2_1_t2v_14b": (WAN_14B, 14_288_491_584),
    "wan2_1_i2v_14b": (I2V_14B, None),
    "wan2_1_flf2v_14b": (replace(I2V_14B, image_tokens=514), None),
    "multitalk_i2v_14b": (replace(I2V_14B, audio_width=768), None),
}
KEYS = Path(__file__).resolve().parents[3] / "shared" / "fixtures" / "checkpoint_keys.json.gz"


def arguments(cfg: DiTConfig, B: int = 2, T: int = 4, P: int = 6, S: int = 1) -> tuple:
    keys = jax.random.split(jax.random.key(7), 5)
    image = (
        None if cfg.image_width is None else jax.random.normal(keys[4], (B, cfg.image_tokens or 257, cfg.image_width))
    )
    return (
        jax.random.normal(keys[0], (B, T, P, cfg.in_channels)),
        jnp.linspace(0.2, 0.9, B),
        grid_positions(jnp.tile(jnp.arange(T, dtype=jnp.float32), (B, 1)), 2, P // 2),
        jax.random.normal(keys[1], (B, S, 5, cfg.text_width)),
        jnp.full((B, T, S), 1 / S),
        None if cfg.audio_width is None else jax.random.normal(keys[2], (B, T, 3, cfg.audio_width)),
        image,
    )


@partial(jax.jit, static_argnums=0)
def start(cfg: DiTConfig, *args: jax.Array) -> dict:
    return nn.unbox(DiT(cfg).init(jax.random.key(0), *args))


@partial(jax.jit, static_argnums=0)
def run(cfg: DiTConfig, params: dict, *args: jax.Array, audio_gain: float = 1.0) -> jax.Array:
    return DiT(cfg).apply(params, *args, audio_gain=audio_gain)


def random_parameters(cfg: DiTConfig, *args: jax.Array) -> dict:
    """No parameter at zero, so that every path shows."""
    leaves, tree = jax.tree.flatten(start(cfg, *args))
    rng = np.random.default_rng(1)
    return jax.tree.unflatten(tree, [p + 0.1 * rng.normal(size=p.shape).astype(np.float32) for p in leaves])


@pytest.mark.parametrize("name", SIZES)
def test_full_sizes_have_the_published_number_of_parameters(name: str) -> None:
    cfg, published = SIZES[name]
    if published is None:
        if not KEYS.exists():
            pytest.skip("needs ../shared/fixtures")
        shapes = json.loads(gzip.decompress(KEYS.read_bytes()))[name]
        # The audio projector stands before the denoiser; released FLF and I2V keys hold a norm that is never read.
        published = sum(
            prod(shape)
            for key, shape in shapes.items()
            if not key.startswith("audio_proj.") and "norm_added_q" not in key
        )
    shapes = jax.eval_shape(DiT(cfg).init, jax.random.key(0), *jax.eval_shape(lambda: arguments(cfg, B=1, T=2)))
    assert sum(prod(leaf.shape) for leaf in jax.tree.leaves(shapes)) == published


def test_output_starts_at_zero() -> None:
    args = arguments(SMALL)
    params = start(SMALL, *args)
    assert jnp.abs(run(SMALL, params, *args)).max() == 0


def test_one_time_per_frame_equals_one_per_window() -> None:
    args = arguments(SMALL)
    params = random_parameters(SMALL, *args)
    one = run(SMALL, params, *args)
    each = run(SMALL, params, args[0], jnp.repeat(args[1][:, None], 4, axis=1), *args[2:])
    np.testing.assert_allclose(each, one, atol=1e-5)


def test_one_shot_is_the_base_text_attention_bit_for_bit() -> None:
    x, text = jax.random.normal(jax.random.key(0), (2, 12, 48)), jax.random.normal(jax.random.key(1), (2, 5, 48))
    module = TextAttention(heads=4)
    params = nn.unbox(module.init(jax.random.key(2), x, text[:, None], jnp.ones((2, 4, 1))))
    p = params["params"]

    q, k, v = (y @ p[n]["kernel"] + p[n]["bias"] for n, y in (("q", x), ("k", text), ("v", text)))
    q, k = rms_norm(q) * p["norm_q"]["scale"], rms_norm(k) * p["norm_k"]["scale"]
    y = attend(*(y.reshape(2, -1, 4, 12) for y in (q, k, v))).reshape(2, 12, 48)
    expected = y @ p["o"]["kernel"] + p["o"]["bias"]
    np.testing.assert_array_equal(module.apply(params, x, text[:, None], jnp.ones((2, 4, 1))), expected)


def test_a_second_shot_without_share_changes_nothing() -> None:
    args = arguments(SMALL)
    params = random_parameters(SMALL, *args)
    text = jnp.concatenate([args[3], 9 * jnp.ones_like(args[3])], axis=1)
    shares = jnp.stack([jnp.ones((2, 4)), jnp.zeros((2, 4))], axis=-1)
    two = run(SMALL, params, *args[:3], text, shares, *args[5:])
    np.testing.assert_allclose(two, run(SMALL, params, *args), atol=5e-6)


def test_a_shot_speaks_to_its_own_frames_in_text_attention() -> None:
    module, x = TextAttention(heads=4), jax.random.normal(jax.random.key(0), (1, 4 * 3, 48))
    text = jax.random.normal(jax.random.key(1), (1, 2, 5, 48))
    shares = jnp.array([[[1, 0], [1, 0], [0.25, 0.75], [0, 1.0]]])
    params = nn.unbox(module.init(jax.random.key(2), x, text, shares))
    both = module.apply(params, x, text, shares).reshape(4, 3, 48)
    alone = [module.apply(params, x, text[:, s : s + 1], jnp.ones((1, 4, 1))).reshape(4, 3, 48) for s in (0, 1)]
    np.testing.assert_allclose(both[:2], alone[0][:2], atol=1e-5)
    np.testing.assert_allclose(both[2], 0.25 * alone[0][2] + 0.75 * alone[1][2], atol=1e-5)
    np.testing.assert_allclose(both[3], alone[1][3], atol=1e-5)


@pytest.mark.parametrize("queries, zero", [("own", "o"), ("shared", "v")])
def test_the_added_adapter_starts_as_the_base_bit_for_bit(queries: Queries, zero: str) -> None:
    args, with_story = arguments(SMALL, S=2), replace(SMALL, storyline=True, storyline_queries=queries)
    base = random_parameters(SMALL, *args)
    grown = start(with_story, *args)
    grown = unflatten_dict({**flatten_dict(grown), **flatten_dict(base)})
    np.testing.assert_array_equal(run(with_story, grown, *args), run(SMALL, base, *args))

    def reading(params: dict) -> jax.Array:
        return (run(with_story, params, *args) ** 2).sum()

    gradient = flatten_dict(jax.grad(reading)(grown), sep="/")
    learns = [name for name in gradient if name.endswith(f"storyline_attn/{zero}/kernel")]
    assert len(learns) == 1 and jnp.abs(gradient[learns[0]]).max() > 1e-4, "the adapter must be able to learn"


def test_sound_of_another_frame_reaches_a_block_only_through_self_attention() -> None:
    x_BTPC, _, positions, text, shares, audio, _ = arguments(SMALL, B=1)
    x = jnp.tile(x_BTPC.reshape(1, 24, -1), (1, 1, 3))[..., :48]

    def context(audio_BTUM: jax.Array) -> Context:
        return Context(
            modulation_BT6D=jnp.zeros((1, 1, 6, 48)),
            rope=rope_tables(positions, 12),
            times_BT=jnp.arange(4.0)[None],
            text_BSLD=jnp.tile(text, (1, 1, 1, 3)),
            shares_BTS=shares,
            image_BID=None,
            audio_BTUM=audio_BTUM,
            audio_gain=jnp.ones(()),
        )

    block = Block(SMALL)
    params = nn.unbox(jax.jit(block.init)(jax.random.key(0), x, context(audio)))

    @jax.jit
    @jax.grad
    def gradient_of(audio_BTUM: jax.Array) -> jax.Array:
        return block.apply(params, x, context(audio_BTUM)).reshape(4, 6, 48)[2].sum()

    gradient = gradient_of(audio)[0]
    assert jnp.abs(gradient[2]).max() > 1e-4
    assert jnp.abs(jnp.delete(gradient, 2, axis=0)).max() == 0


def test_audio_gain_scales_what_the_sound_adds() -> None:
    args = arguments(SMALL)
    params = random_parameters(SMALL, *args)
    silent = run(SMALL, params, *args, audio_gain=0.0)
    other = run(SMALL, params, *args[:5], args[5] * 2 + 1, *args[6:], audio_gain=0.0)
    np.testing.assert_array_equal(silent, other)
    np.testing.assert_array_equal(run(SMALL, params, *args, audio_gain=1.0), run(SMALL, params, *args))


def test_the_image_branch_is_read() -> None:
    cfg = replace(SMALL, image_width=10, image_tokens=7)
    args = arguments(cfg)
    params = random_parameters(cfg, *args)
    changed = run(cfg, params, *args[:6], args[6] + 1.5 * jnp.arange(10))
    assert jnp.abs(changed - run(cfg, params, *args)).max() > 1e-3


@pytest.mark.parametrize("spec", ["data=8", "data=2,seq=2,tensor=2", "fsdp=4,tensor=2"])
def test_sharded_equals_one_device(spec: str) -> None:
    args = tuple(a for a in arguments(SMALL, B=8) if a is not None)
    params = random_parameters(SMALL, *args)
    expected = run(SMALL, params, *args)
    mesh = make_mesh(spec)
    with jax.set_mesh(mesh):
        _, shardings = init_sharded(DiT(SMALL).init, mesh, jax.random.key(0), *args)
        placed = jax.device_put(args, jax.tree.map(lambda _: batch_sharding(mesh), args))
        found = run(SMALL, jax.device_put(params, shardings), *placed)
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), atol=2e-5)
    assert len(found.sharding.device_set) == 8


def test_bfloat16_activations_stay_near_float32() -> None:
    args = arguments(SMALL)
    params = random_parameters(SMALL, *args)
    exact = run(SMALL, params, *args)
    rough = run(replace(SMALL, dtype=jnp.bfloat16), params, *args)
    assert rough.dtype == jnp.float32
    assert jnp.abs(rough - exact).mean() < 0.05 * jnp.abs(exact).mean()
