"""Portraits taken apart: stacking, copying the portrait's own pixels, and the drawn truth that the network learns."""

import jax
import jax.numpy as jnp
import numpy as np

from avatar_jax.models import portrait_layers as pl
from avatar_jax.models import pose as poses
from avatar_jax.training import layers_stage
from data_pipeline.synthetic.faces import portrait_batch
from data_pipeline.synthetic.identity import make_identity
from data_pipeline.synthetic.layers import hand_poses, portrait_layers
from data_pipeline.synthetic.render import portrait
from data_pipeline.synthetic.state import COLUMN, neutral

TINY = pl.LayersConfig(8, 8, 8, 8, 8)


def test_visible_shares_sum_to_one_and_the_front_hides_the_rest() -> None:
    alpha = jnp.zeros((1, 2, 2, 4)).at[0, 0, 0].set(jnp.array([0.25, 1.0, 1.0, 0.0]))
    shares = pl.visible(alpha)
    np.testing.assert_allclose(shares.sum(-1), 1, rtol=1e-6)
    np.testing.assert_allclose(shares[0, 0, 0], [0.25, 0.75, 0, 0, 0], atol=1e-6)
    np.testing.assert_allclose(shares[0, 1, 1], [0, 0, 0, 0, 1], atol=1e-6)


def test_what_is_seen_keeps_the_portraits_own_pixels_at_any_size() -> None:
    parts = pl.Parts(jnp.full((1, 256, 256, 4), -30.0), jnp.full((1, 256, 256, 12), 0.5), jnp.zeros((1, 128, 64, 4)))
    large = jax.random.uniform(jax.random.key(0), (1, 512, 512, 3), minval=-1)
    layers = pl.assemble(parts, large)
    np.testing.assert_allclose(layers.background, (large + 1) / 2, atol=1e-6)
    hidden = pl.assemble(parts._replace(logits=parts.logits.at[..., 0].set(30.0)), large)
    np.testing.assert_allclose(hidden.face[..., :3], (large + 1) / 2, atol=1e-6)
    np.testing.assert_allclose(pl.assemble(parts, large).body, 0, atol=1e-6)


def test_what_is_hidden_is_filled_in_from_around() -> None:
    """A background of one colour stays so behind a body, whatever colour that has."""
    picture = jnp.full((1, 256, 256, 3), 0.2).at[:, 100:, 80:180].set(-1.0)
    parts = pl.Parts(jnp.full((1, 256, 256, 4), -30.0), jnp.zeros((1, 256, 256, 12)), jnp.zeros((1, 128, 64, 4)))
    layers = pl.assemble(parts._replace(logits=parts.logits.at[:, 100:, 80:180, 2].set(30.0)), picture)
    np.testing.assert_allclose(layers.background, 0.6, atol=1e-5)
    np.testing.assert_allclose(layers.body[0, 200, 100], [0, 0, 0, 1], atol=1e-5)


def test_what_stands_before_a_layer_leaves_no_rim_on_it() -> None:
    """Skin about the features is painted, farther away it is the portrait's own."""
    logits = jnp.full((1, 256, 256, 4), -30.0).at[..., 1].set(30.0).at[:, 100:120, 100:120, 0].set(30.0)
    parts = pl.Parts(logits, jnp.full((1, 256, 256, 12), 0.25), jnp.zeros((1, 128, 64, 4)))
    head = np.asarray(pl.assemble(parts, jnp.ones((1, 256, 256, 3))).head[0, ..., 0])
    np.testing.assert_allclose(head[100:120, 100:120], 0.25, atol=1e-5)
    np.testing.assert_allclose(head[:90], 1, atol=1e-5)


def test_drawn_layers_stack_to_the_drawn_portrait() -> None:
    """The truth is consistent: what training compares with is the picture that the network sees."""
    for seed in (10_000_001, 10_000_004, 10_000_021):
        who = make_identity(seed)
        layers = {name: layer.astype(np.float32) / 255 for name, layer in portrait_layers(who, 128).items()}
        layers["background"] = layers["background"][..., :3]
        made = pl.stacked(pl.PortraitLayers(hand=jnp.zeros((1, 1, 4)), **layers))
        wrong = np.abs(np.asarray(made) * 255 - portrait(who, 128))
        # A hat is drawn before the face here and after it there: only translucent edges may differ.
        assert wrong.mean() < 0.5 and np.percentile(wrong, 99) < 12, seed


def test_a_hand_that_is_down_has_no_pose() -> None:
    who, states = make_identity(3), np.stack([neutral(), neutral()])
    states[1, COLUMN["hand"]] = 1.0
    down, up = hand_poses(who, states)
    assert not down.any() and abs(up[0] - 1) < 1e-6 and up[2] == who.handed


def test_stage_learns_and_depends_on_seed_and_step_alone() -> None:
    stage = layers_stage.LayersStage(layers_stage.LayersStageConfig(model=TINY, batch=2), portrait_batch)
    data, again = next(stage.batches(5)), next(stage.batches(5))
    assert all(np.array_equal(data[name], again[name]) for name in data)
    params = jax.jit(stage.init)(jax.random.key(0))
    step = jax.jit(jax.value_and_grad(lambda p: stage.loss(p, data, jax.random.key(0))[0]))
    loss, grads = step(params)
    assert all(g.any() for g in jax.tree.leaves(grads))
    lower, _ = step(jax.tree.map(lambda p, g: p - 0.02 * g, params, grads))
    assert lower < loss


def test_a_hand_that_guidance_overshoots_is_where_it_was_meant() -> None:
    pose, hand = np.zeros(8), np.array([0.9, 0.27, 1.0])
    for side in (1.0, -1.0):
        meant = poses.screen_to_hand(pose, hand * [1, 1, side])
        beyond = poses.screen_to_hand(pose, 1.3 * hand * [1, 1, side])
        np.testing.assert_allclose(beyond[0], meant[0], atol=1e-12)
        assert meant[1] == beyond[1] == side
