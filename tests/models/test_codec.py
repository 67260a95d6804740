"""The avatar codec: geometry that needs no training, the latent layout, and what training relies on."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from avatar_jax.models import avatar_codec as ac
from avatar_jax.models import pose as poses
from avatar_jax.models.warp import chain, depth_to_space, grid, sample, space_to_depth, upsample
from avatar_jax.training import codec_stage
from avatar_jax.training.stills import Stills, mirror, tint

TINY = ac.CodecConfig(shallow=8, middle=8, deep=16, sharp=24)
POSE = jnp.array([0.2, 0.05, -0.04, 0.02, 0.01, 0.08, 0.4, -0.3])


def picture(key: int, batch: int = 1) -> jax.Array:
    """Smooth random pictures, so that resampling them loses little."""
    small = jax.random.uniform(jax.random.key(key), (batch, 8, 8, 3), minval=-1, maxval=1)
    return jax.image.resize(small, (batch, 128, 128, 3), "cubic").clip(-1, 1)


@pytest.fixture(scope="module")
def params() -> dict:
    return jax.jit(lambda key: codec_stage.init_codec(ac.AvatarCodec(TINY), key))(jax.random.key(0))


def apply(params: dict, method: str, *args: jax.Array, **kwargs: int) -> jax.Array:
    return jax.jit(lambda p, *a: ac.AvatarCodec(TINY).apply({"params": p}, *a, method=method, **kwargs))(params, *args)


def test_sample_at_pixel_centres_is_the_picture_and_between_them_the_mean() -> None:
    image = jax.random.uniform(jax.random.key(0), (4, 4, 3))
    np.testing.assert_allclose(sample(image, grid(4)), image, rtol=1e-5)
    between = sample(image, jnp.array([[0.25, 0.125]]))[0]
    np.testing.assert_allclose(between, (image[0, 0] + image[0, 1]) / 2, rtol=1e-5)
    np.testing.assert_allclose(sample(image, jnp.array([[-3.0, 9.0]]))[0], image[3, 0], rtol=1e-5)


def test_chain_applies_the_inner_similarity_first() -> None:
    outer, inner = jnp.array([0.9, 0.2, 0.1, -0.3]), jnp.array([1.1, -0.1, 0.4, 0.2])
    point = jnp.array([0.3, 0.7])
    both = poses.apply(chain(outer, inner), point)
    np.testing.assert_allclose(both, poses.apply(outer, poses.apply(inner, point)), rtol=1e-5)


def test_depth_to_space_undoes_space_to_depth_and_upsample_keeps_constants() -> None:
    x = jax.random.normal(jax.random.key(1), (2, 10, 10, 3))
    np.testing.assert_array_equal(depth_to_space(space_to_depth(x, 5), 5), x)
    np.testing.assert_allclose(upsample(jnp.full((1, 2, 2, 1), 3.0), 4), 3.0, rtol=1e-5)


def test_pack_layout_is_the_documented_one() -> None:
    cells = jnp.arange(8 * 8 * 32, dtype=jnp.float32).reshape(8, 8, 32)
    latents = ac.pack(cells, POSE)
    assert latents.shape == (17, 136)
    # Patch 6 is row 1, column 2 of 4 x 4; within it: (row, column, channel).
    np.testing.assert_array_equal(latents[6, :128].reshape(2, 2, 32), cells[2:4, 4:6])
    assert not latents[:16, 128:].any() and not latents[16, :128].any()
    np.testing.assert_allclose(latents[16, 128:] * jnp.array(ac.POSE_SCALE), POSE, rtol=1e-6)
    back, pose = ac.unpack(latents)
    np.testing.assert_array_equal(back, cells)
    np.testing.assert_allclose(pose, POSE, rtol=1e-6)


def test_portrait_is_all_zeros(params: dict) -> None:
    portrait = picture(0)
    latents = apply(params, "encode", portrait[:, None], jnp.zeros((1, 1, 8)), portrait)
    np.testing.assert_allclose(latents, 0, atol=1e-4)


def test_canonical_at_rest_is_the_portrait_on_the_canvas() -> None:
    portrait = picture(1)
    canonical, seen = ac.to_canonical(portrait, jnp.zeros((1, 8)), portrait)
    np.testing.assert_allclose(canonical, ac.on_canvas(portrait), atol=1e-4)
    assert float(seen.sum()) == 128 * 128


def test_compose_inverts_the_unwarping() -> None:
    """A frame un-warped to the canvas and painted back with mask 0 is the frame again."""
    frame = picture(2)
    canonical, _ = ac.to_canonical(frame, POSE[None], frame)
    fields = ac.Fields(canonical[:, None], jnp.zeros((1, 1, 160, 160, 1)), jnp.zeros((1, 1, 160, 160, 2)))
    back = ac.compose(fields, POSE[None, None], frame, size=128)[:, 0]
    inner = np.abs(np.asarray(back - frame))[:, 8:-8, 8:-8]
    assert inner.mean() < 0.02


@pytest.mark.parametrize(("source_size", "size"), [(128, 64), (300, 256)])
def test_compose_shows_the_portraits_own_pixels_at_any_size(source_size: int, size: int) -> None:
    """Mask 1 without flow at pose zero is the portrait, resized."""
    source = jax.image.resize(picture(3), (1, source_size, source_size, 3), "linear")
    fields = ac.Fields(*(jnp.full((1, 2, 160, 160, c), v) for c, v in ((3, -1.0), (1, 1.0), (2, 0.0))))
    frames = ac.compose(fields, jnp.zeros((1, 2, 8)), source, size=size)
    assert frames.shape == (1, 2, size, size, 3)
    expected = sample(source[0], grid(size))
    np.testing.assert_allclose(frames[0, 1], expected, atol=1e-4)


def test_layers_meet_the_screen_transforms() -> None:
    """Canonical point -> screen -> layer's portrait point equals `canonical_to_portrait`."""
    point = jnp.array([0.4, 0.6])
    screen = poses.apply(poses.portrait_to_screen(POSE)[3], point)
    expected = poses.apply(poses.screen_to_portrait(POSE), screen)
    np.testing.assert_allclose(poses.apply(ac.canonical_to_portrait(POSE[None])[0], point), expected, atol=1e-5)
    np.testing.assert_allclose(expected[3], point, atol=1e-5)


def test_decode_has_the_codecs_shapes_and_depends_on_mouth_latents(params: dict) -> None:
    portrait = picture(4, 2)
    latents = ac.pack(jnp.zeros((2, 3, 8, 8, 32)), jnp.zeros((2, 3, 8)))
    frames = apply(params, "decode", latents, portrait, size=64)
    assert frames.shape == (2, 3, 64, 64, 3)
    moved = apply(params, "decode", latents.at[:, 1, 9, :128].add(3.0), portrait, size=64)
    assert float(jnp.abs(moved - frames)[:, 1].max()) > 1e-3
    np.testing.assert_array_equal(moved[:, 0], frames[:, 0])


def test_window_equals_that_part_of_the_whole(params: dict) -> None:
    """Training on a window is training on the canvas: inside, both give the same fields."""
    portrait = picture(5)
    z = jax.random.normal(jax.random.key(6), (1, 8, 8, 32))
    layers, canvas = ac.canonical_to_portrait(POSE[None]), ac.on_canvas(portrait)
    decoder, start = ac.Decoder(TINY), jnp.array([[2, 4]])
    window = ac.Window(start, 10)
    run = jax.jit(
        lambda s, cells: decoder.apply(
            {"params": params["decoder"]}, z, z, canvas, portrait, layers, ac.Window(s, cells)
        ),
        static_argnums=1,
    )
    for part, all_of_it in zip(run(start, 10), run(jnp.zeros((1, 2), jnp.int32), 16), strict=True):
        cut = window.cut(all_of_it, 10)
        np.testing.assert_allclose(part[:, 25:-25, 25:-25], cut[:, 25:-25, 25:-25], atol=2e-4)


@pytest.fixture
def stills() -> Stills:
    rng = np.random.default_rng(0)
    columns = (*poses.POSE, "hand")
    states = rng.normal(0, 0.05, (10, 3, len(columns))).astype(np.float32)
    marks = np.tile(np.float32([0.5, 0.62, 0.1, 0.4, 0.45, 0.6, 0.44, 0.3, 0.2, 0.7, 0.7]), (10, 1))
    pictures = rng.integers(0, 255, (10, 4, 128, 128, 3), dtype=np.uint8)
    return Stills(pictures[:, 0], pictures[:, 1:], states, marks, columns, held_out=2)


def test_batch_depends_on_seed_and_step_alone(stills: Stills) -> None:
    first, again = (codec_stage.training_batch(stills, 3, 7, 2, 2) for _ in range(2))
    other = codec_stage.training_batch(stills, 3, 8, 2, 2)
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["frame"], other["frame"])


def test_mirrored_pose_matches_the_mirrored_picture(stills: Stills) -> None:
    """A point and its mirror image go to mirrored places."""
    batch = codec_stage.training_batch(stills, 0, 0, 1, 2)
    other = mirror(batch, np.array([True, True]))
    point, layer = np.array([0.3, 0.6]), 3
    here = poses.apply(poses.portrait_to_screen(batch["pose"])[:, layer], point)
    there = poses.apply(poses.portrait_to_screen(other["pose"])[:, layer], np.array([0.7, 0.6]))
    np.testing.assert_allclose(here[:, 0], 1 - there[:, 0], atol=1e-6)
    np.testing.assert_allclose(here[:, 1], there[:, 1], atol=1e-6)
    assert other["landmarks"][0, 3] < other["landmarks"][0, 5] and other["landmarks"][0, 7] < other["landmarks"][0, 9]


def test_tint_is_the_same_for_all_pictures_of_an_identity() -> None:
    x = np.tile(np.linspace(-1, 1, 12, dtype=np.float32).reshape(1, 2, 2, 3), (4, 1, 1, 1))
    one, two = tint(np.random.default_rng(5), [x, x], np.array([0, 0, 1, 1]))
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(one[0], one[1])


def test_loss_falls_and_reaches_every_weight_but_the_scale(params: dict, stills: Stills) -> None:
    batch = {k: jnp.asarray(v) for k, v in codec_stage.training_batch(stills, 0, 0, 1, 2).items()}
    codec = ac.AvatarCodec(TINY)
    step = jax.jit(jax.value_and_grad(lambda p: codec_stage.codec_loss(codec, p, batch, jax.random.key(0))[0]))
    loss, grads = step(params)
    silent = [jax.tree_util.keystr(p) for p, g in jax.tree_util.tree_leaves_with_path(grads) if not g.any()]
    assert silent == ["['deviation_scale']"]
    lower, _ = step(jax.tree.map(lambda p, g: p - 0.02 * g, params, grads))
    assert lower < loss


def test_measured_scale_makes_unit_latents(params: dict, stills: Stills) -> None:
    codec = ac.AvatarCodec(TINY)
    batches = stills.training_batches(8, 2, identities=4)
    scaled = codec_stage.measure_scale(codec, params, batches)
    b = codec_stage.arrays(batches[0])
    latents = apply(scaled, "encode", b["frame"][:, None], b["pose"][:, None], b["portrait"])
    deviation, _ = ac.unpack(latents)
    np.testing.assert_allclose(jnp.mean(deviation**2, axis=(0, 1, 2, 3)), 1, rtol=1e-3)
