"""The avatar codec: geometry that needs no training, the latent layout, and what training relies on."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from avatar_jax.models import avatar_codec as ac
from avatar_jax.models import pose as poses
from avatar_jax.models.portrait_layers import LayersConfig
from avatar_jax.models.warp import depth_to_space, grid, sample, space_to_depth, upsample
from avatar_jax.training import codec_lids, codec_stage
from data_pipeline.synthetic.faces import face_batch, shut_batch

TINY = ac.CodecConfig(shallow=8, middle=8, deep=16, sharp=24)
TINY_LAYERS = LayersConfig(8, 8, 8, 8, 8)
POSE = jnp.array([0.2, 0.05, -0.04, 0.02, 0.01, 0.08, 0.4, -0.3, 0.9, -0.1, 1.0])


def picture(key: int, batch: int = 1, size: int = 256) -> jax.Array:
    """Smooth random pictures, so that resampling them loses little."""
    small = jax.random.uniform(jax.random.key(key), (batch, 8, 8, 3), minval=-1, maxval=1)
    return jax.image.resize(small, (batch, size, size, 3), "cubic").clip(-1, 1)


@pytest.fixture(scope="module")
def params() -> dict:
    codec = ac.AvatarCodec(TINY, TINY_LAYERS)

    def whole(module: ac.AvatarCodec, latents: jax.Array, portrait: jax.Array) -> jax.Array:
        return module.decode(latents, portrait, size=32)

    latents = jnp.zeros((1, 1, ac.PATCHES, ac.PATCH_CHANNELS))
    return jax.jit(lambda key: codec.init(key, latents, picture(0), method=whole)["params"])(jax.random.key(0))


def apply(params: dict, method: str, *args: jax.Array, **kwargs: int) -> jax.Array:
    codec = ac.AvatarCodec(TINY, TINY_LAYERS)
    return jax.jit(lambda p, *a: codec.apply({"params": p}, *a, method=method, **kwargs))(params, *args)


def test_sample_at_pixel_centres_is_the_picture_and_between_them_the_mean() -> None:
    image = jax.random.uniform(jax.random.key(0), (4, 4, 3))
    np.testing.assert_allclose(sample(image, grid(4)), image, rtol=1e-5)
    between = sample(image, jnp.array([[0.25, 0.125]]))[0]
    np.testing.assert_allclose(between, (image[0, 0] + image[0, 1]) / 2, rtol=1e-5)
    np.testing.assert_allclose(sample(image, jnp.array([[-3.0, 9.0]]))[0], image[3, 0], rtol=1e-5)


def test_chain_applies_the_inner_similarity_first() -> None:
    outer, inner = jnp.array([0.9, 0.2, 0.1, -0.3]), jnp.array([1.1, -0.1, 0.4, 0.2])
    point = jnp.array([0.3, 0.7])
    both = poses.apply(poses.chain(outer, inner), point)
    np.testing.assert_allclose(both, poses.apply(outer, poses.apply(inner, point)), rtol=1e-5)


def test_depth_to_space_undoes_space_to_depth_and_upsample_keeps_constants() -> None:
    x = jax.random.normal(jax.random.key(1), (2, 10, 10, 3))
    np.testing.assert_array_equal(depth_to_space(space_to_depth(x, 5), 5), x)
    np.testing.assert_allclose(upsample(jnp.full((1, 2, 2, 1), 3.0), 4), 3.0, rtol=1e-5)


def test_pack_layout_is_the_documented_one() -> None:
    cells = jnp.arange(8 * 8 * 32, dtype=jnp.float32).reshape(8, 8, 32)
    latents = ac.pack(cells, POSE)
    assert latents.shape == (17, 139)
    # Patch 6 is row 1, column 2 of 4 x 4; within it: (row, column, channel).
    np.testing.assert_array_equal(latents[6, :128].reshape(2, 2, 32), cells[2:4, 4:6])
    assert not latents[:16, 128:].any() and not latents[16, :128].any()
    np.testing.assert_allclose(latents[16, 128:] * jnp.array(ac.POSE_SCALE), POSE, rtol=1e-6)
    back, pose = ac.unpack(latents)
    np.testing.assert_array_equal(back, cells)
    np.testing.assert_allclose(pose, POSE, rtol=1e-6)


def test_portrait_is_all_zeros(params: dict) -> None:
    portrait = picture(0)
    latents = apply(params, "encode", portrait[:, None], jnp.zeros((1, 1, 11)), portrait)
    np.testing.assert_allclose(latents, 0, atol=2e-4)


def test_unwarping_at_rest_cuts_the_face_out_and_follows_the_face_layer() -> None:
    portrait = picture(1)
    np.testing.assert_allclose(ac.unwarped(portrait, jnp.zeros((1, 8))), ac.face_of(portrait), atol=1e-4)
    moved = ac.unwarped(portrait, jnp.zeros((1, 8)).at[0, 3].set(0.125))
    np.testing.assert_allclose(moved[:, :, :96], ac.face_of(portrait)[:, :, 32:], atol=1e-4)


def test_decode_has_the_codecs_shapes_and_depends_on_mouth_latents(params: dict) -> None:
    portrait = picture(4, 2)
    latents = ac.pack(jnp.zeros((2, 3, 8, 8, 32)), jnp.zeros((2, 3, 11)))
    frames = apply(params, "decode", latents, portrait, size=64)
    assert frames.shape == (2, 3, 64, 64, 3)
    moved = apply(params, "decode", latents.at[:, 1, 9, :128].add(3.0), portrait, size=64)
    assert float(jnp.abs(moved - frames)[:, 1].max()) > 1e-3
    np.testing.assert_array_equal(moved[:, 0], frames[:, 0])


def test_a_hand_is_shown_where_the_pose_says_and_mirrored_for_the_left() -> None:
    """A hand's picture that is white on its left half only."""
    from avatar_jax.models.portrait_layers import PortraitLayers

    dark = jnp.zeros((1, 64, 64, 4))
    hand = jnp.zeros((1, 128, 64, 4)).at[:, :, 2:32].set(1.0)
    layers = PortraitLayers(dark[..., :3], dark, dark, dark, dark, hand)
    fields = ac.FaceFields(*(jnp.zeros((1, 3, 128, 128, c)) for c in (4, 1, 2)))
    raised = jnp.zeros((3, 11)).at[:, 8].set(jnp.array([0.0, 0.8, 0.8])).at[1, 10].set(1.0).at[2, 10].set(-1.0)
    frames = np.asarray(ac.compose(fields, raised[None], layers, size=64))[0]
    assert frames[0].max() == -1
    # Right and left hands lean to opposite sides, and are mirror images of each other.
    assert frames[1].max() > 0.9
    np.testing.assert_allclose(frames[1], frames[2][:, ::-1], atol=1e-4)


def batch(seed: int) -> dict:
    return codec_stage.trimmed(face_batch(np.random.default_rng(seed), 2, 2))


def test_faces_depend_on_the_generator_alone() -> None:
    first, again, other = batch(3), batch(3), batch(4)
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["frame"], other["frame"])


def test_loss_falls_and_reaches_every_weight_but_what_is_measured() -> None:
    codec = ac.AvatarCodec(TINY)
    params, data = jax.jit(lambda k: codec_stage.init_codec(codec, k))(jax.random.key(0)), batch(0)
    step = jax.jit(jax.value_and_grad(lambda p: codec_stage.codec_loss(codec, p, data, jax.random.key(0))[0]))
    loss, grads = step(params)
    silent = [jax.tree_util.keystr(p) for p, g in jax.tree_util.tree_leaves_with_path(grads) if not g.any()]
    assert silent == ["['deviation_scale']", "['lids_bias']", "['lids_kernel']"]
    lower, _ = step(jax.tree.map(lambda p, g: p - 0.02 * g, params, grads))
    assert lower < loss


def test_measured_scale_makes_unit_latents(params: dict) -> None:
    codec = ac.AvatarCodec(TINY)
    data = batch(1)
    scaled = codec_stage.measure_scale(codec, params, [data])
    found = codec_stage.unit(data)
    raw = codec.apply({"params": params}, found, method=codec_stage.deviation)
    np.testing.assert_allclose(jnp.mean((raw / scaled["deviation_scale"]) ** 2, axis=(0, 1, 2)), 1, rtol=1e-3)


def test_closed_eyes_are_foretold_from_the_portrait(params: dict) -> None:
    """Better than by the mean of the characters they were measured from; and packed as latents are."""
    codec = ac.AvatarCodec(TINY)
    known, unknown = shut_batch(np.random.default_rng(0), 200), shut_batch(np.random.default_rng(1), 24, True)
    measured = codec_lids.measure_lids(codec, params, known)
    of_mean = measured | {
        "lids_kernel": 0 * measured["lids_kernel"],
        "lids_bias": jnp.asarray(codec_lids.latents_of(codec, params, known)[1].mean(0)),
    }
    share, mean_share = (codec_lids.explained(codec, p, unknown) for p in (measured, of_mean))
    assert 1 > share > mean_share
    assert codec_lids.explained(codec, measured, known) > share
    portraits = np.random.default_rng(0).uniform(-1, 1, (2, 256, 256, 3)).astype(np.float32)
    closed = codec.apply({"params": measured}, portraits, method="closed_eyes")
    deviation, pose = ac.unpack(closed)
    grid = codec.apply({"params": measured}, portraits, method="portrait_grid")
    wanted = np.einsum("nyxc,yxcd->nyxd", grid, measured["lids_kernel"]) + measured["lids_bias"]
    np.testing.assert_allclose(deviation * measured["deviation_scale"], wanted, atol=1e-4)
    assert not np.asarray(pose).any()
