"""What is compiled: full sizes without a byte of weights, the work it stands for, and the seconds of a video."""

from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from avatar_jax import config as configs
from avatar_jax.media.errors import BadInput
from avatar_jax.mesh import make_mesh
from avatar_jax.models.dit import DiTConfig
from avatar_jax.sampling.public.config import PublicConfig
from tpu.layouts import candidates, default_mesh, weight_gib, weights_over
from tpu.minute import Costs, seam_frames, video
from tpu.programs import (
    RELEASED,
    Shape,
    Variant,
    denoise,
    encode_text,
    flops_of,
    given_to,
    model_of,
    passes,
    require,
    vae_of,
)
from tpu.topology import parse_topology
from tpu.training import recipe_of, stage_of, state_weight, train
from tpu.work import denoiser_flops, traced_flops

ROOT = Path(__file__).resolve().parents[2]
V6E = parse_topology("v6e:2x4")


def config(name: str) -> PublicConfig:
    return configs.load(ROOT / "configs" / f"{name}.py").sample


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("wan_t2v_1_3b", 2),
        ("wan_flf2v_14b", 2),
        ("infinitetalk_14b", 3),
        ("skyreels_a2v_19b", 1),
        ("echomimic_v3_flash", 2),
    ],
)
def test_rows_of_guidance(name: str, rows: int) -> None:
    assert passes(model_of(config(name)), config(name).clips.solve) == rows


def test_published_work_of_a_step() -> None:
    dit = model_of(config("wan_flf2v_14b")).dit
    # 4 N^2 D for scores and values in each of 40 layers, twice for guidance.
    attention = 2 * 40 * 4 * 75600**2 * 5120
    whole = denoiser_flops(replace(dit, image_width=None, image_tokens=None), 75600, 2, 21, 512)
    assert whole == pytest.approx(13.05e15, rel=0.01)
    assert attention / whole == pytest.approx(0.718, abs=0.01)
    small = model_of(config("wan_t2v_1_3b")).dit
    assert denoiser_flops(small, 32760, 2, 21, 512) == pytest.approx(0.566e15, rel=0.01)


def test_work_of_a_small_denoiser_is_what_jax_traces() -> None:
    from avatar_jax.models.dit import DiT

    dit = DiTConfig(width=64, heads=2, depth=3, ffn=96, in_channels=16, out_channels=16)
    dit = replace(dit, text_width=32, audio_width=24, image_width=20)
    B, T, P, L = 2, 3, 4, 8
    shapes = [(B, T, P, 16), (B,), (B, T * P, 3), (B, 1, L, 32), (B, T, 1), (B, T, 5, 24), (B, 7, 20)]
    inputs = [jax.ShapeDtypeStruct(s, jnp.float32) for s in shapes]
    params = jax.eval_shape(DiT(dit).init, jax.random.key(0), *inputs)
    traced = traced_flops(DiT(dit).apply, params, *inputs)
    # The embeddings of time, text and pictures are left out of the count, and 257 image tokens are assumed there.
    ours = denoiser_flops(dit, T * P, B, T, L, 1, 5)
    image = B * 3 * (2 * 2 * 64 * 64 + 4 * T * P * 64) * (257 - 7)
    assert 0.6 < (ours - image) / traced <= 1.0


def test_traced_loops_count_their_trips() -> None:
    w = jnp.ones((4, 4))
    scanned = traced_flops(lambda x: jax.lax.scan(lambda c, _: (c @ w, None), x, None, length=5)[0], w)
    assert scanned == 5 * 2 * 4**3
    conv = lambda x, k: jax.lax.conv(x, k, (1, 1), "SAME")  # noqa: E731
    assert traced_flops(conv, jnp.ones((1, 3, 8, 8)), jnp.ones((5, 3, 3, 3))) == 2 * 8 * 8 * 5 * 27


def test_the_flagship_step_is_75600_tokens_in_two_rows() -> None:
    mesh = make_mesh("fsdp=2,seq=4")
    ready = denoise(config("wan_flf2v_14b"), Shape(720, 1280, 81), mesh)
    assert (ready.rows, ready.tokens, ready.layers) == (2, 75600, 40)
    assert ready.steps == config("wan_flf2v_14b").clips.solve.steps


def test_arguments_are_abstract_and_split_where_the_mesh_divides_them() -> None:
    cfg, mesh = config("infinitetalk_14b"), make_mesh("data=2,seq=4")
    model = model_of(cfg)
    for windows, axis in ((1, None), (2, ("data", "fsdp"))):
        noise, given = given_to(model, cfg.clips.solve, Shape(480, 832, 81, windows), vae_of(model, cfg).cell, mesh)
        assert noise.shape == (windows, 21, 60, 104, 16)
        assert given.heard_BFLC is not None and given.known_BTHWC is not None
        assert given.heard_BFLC.shape == (windows, 85, 12, 768) and given.known_BTHWC.shape[-1] == 20
        assert noise.sharding.spec[0] == axis
    assert all(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in jax.tree.leaves(given))


def test_other_programs_are_made_without_weights() -> None:
    mesh = make_mesh("fsdp=8")
    text = encode_text(config("wan_t2v_1_3b"), mesh)
    # 5.68 B parameters less a table of 256384 x 4096, two operations for each parameter and token, and attention.
    assert text.flops == pytest.approx(2 * 4 * 512 * (5.68e9 - 1.05e9), rel=0.05)


def test_training_steps_count_what_they_keep_and_what_they_learn() -> None:
    mesh, shape = make_mesh("fsdp=8"), Shape(480, 832, 81, 8)
    silent, hearing = config("wan_flf2v_14b"), config("skyreels_a2v_19b")
    adapters, whole = (recipe_of(None, cfg, [], []) for cfg in (hearing, silent))
    step = train(hearing, shape, mesh, RELEASED, adapters)
    assert (step.steps, step.rows, step.tokens) == (1, 8, 32760)
    model = model_of(hearing, Variant(storyline="shared"))
    forward = flops_of(model, shape, 8, 8)
    # Weights of a fifth are trained: less than twice forward's products backwards, twice its attention.
    assert 2.5 * forward < step.flops < 3 * forward
    # Frozen: 2 bytes a parameter. Trained: parameter, gradient, average and two moments, 20 bytes.
    assert 1 < state_weight(stage_of(hearing, adapters, RELEASED)) < 4
    full = [recipe_of(None, silent, more, []) for more in ([], ["--video.optimiser.offload=true"])]
    everything, offloaded = (state_weight(stage_of(silent, recipe, RELEASED)) for recipe in full)
    assert whole.kept == ("text",) and 7 < everything < 9 and everything - offloaded == pytest.approx(3.0, abs=0.1)


@pytest.mark.parametrize(
    ("shape", "name"),
    [(Shape(481, 832, 81), "--height"), (Shape(480, 8, 81), "--width"), (Shape(480, 832, 80), "--frames")],
)
def test_shapes_off_the_grid_are_refused(shape: Shape, name: str) -> None:
    with pytest.raises(BadInput, match=name):
        require(shape, 8)


def test_default_meshes_leave_room_and_divide_heads() -> None:
    small, large = model_of(config("wan_t2v_1_3b")), model_of(config("wan_flf2v_14b"))
    assert default_mesh(small, V6E) == "data=2,seq=4"
    assert default_mesh(large, V6E) == "data=2,seq=4"
    for model in (small, large):
        for name in ("v5e:2x4", "v5e:4x4", "v6e:4x4", "v5p:2x2x2", "v5p:4x4x4"):
            slice_ = parse_topology(name)
            mesh = default_mesh(model, slice_)
            sizes = dict(part.split("=") for part in mesh.split(","))
            assert model.dit.heads % int(sizes.get("seq", 1)) == 0
            assert weight_gib(model) / weights_over(mesh) < 0.6 * slice_.chip.hbm_gib
            assert mesh in candidates(model, slice_)


def test_a_minute_by_hand() -> None:
    cfg = config("infinitetalk_14b")
    # 25 frames a second, key frames 64 apart: 24 segments; 40 steps in every stage; seams of 9+7+8+9 frames.
    costs = Costs(step_s=2.0, decoder_s=5.0, windows=2, passes=3, draft_passes=3, seam_passes=3, seam_share=0.25)
    found = video(cfg, costs)
    assert (found.segments, found.waves) == (24, 12)
    assert found.clips_s == 12 * 40 * 2.0 and found.blueprint_s == 40 * 2.0
    assert found.seams_s == 12 * 40 * 2.0 * 0.25 and found.decoder_s == 12 * 5.0
    assert found.seconds == sum((found.clips_s, found.blueprint_s, found.seams_s, found.decoder_s))
    assert seam_frames(cfg) == 2 * 9 + 12 - 5 + 8


def test_slices_share_segments() -> None:
    cfg = config("wan_flf2v_14b")
    costs = Costs(step_s=1.0, decoder_s=1.0, windows=1, passes=2, draft_passes=2, seam_passes=2, seam_share=1.0)
    one, many = video(cfg, costs, 60, 1), video(cfg, costs, 60 * 8, 8)
    assert many.waves == one.waves == 15
    # Eight minutes on eight slices: only the blueprint, one call whatever the length, is not repeated.
    assert many.clips_s == one.clips_s and many.seams_s == 0
