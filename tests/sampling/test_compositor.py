"""The compositor on the host and the codec's own `compose` show the same picture."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from avatar_jax.models import avatar_codec as ac
from avatar_jax.models.portrait_layers import HAND_DENSITY, SIZE, PortraitLayers
from avatar_jax.sampling.compositor import Compositor
from data_pipeline.synthetic.identity import make_identity
from data_pipeline.synthetic.layers import face_layers, hand_poses, hand_sprite, portrait_layers
from data_pipeline.synthetic.render import render
from data_pipeline.synthetic.state import COLUMN, POSE_COLUMNS
from data_pipeline.synthetic.stills import random_state


@pytest.mark.parametrize("source", [256, 320])
def test_same_picture_as_compose_and_as_the_renderer(source: int) -> None:
    rng = np.random.default_rng(source)
    who = make_identity(10_000_000 + source)
    drawn = {name: x.astype(np.float32) / 255 for name, x in portrait_layers(who, source).items()}
    drawn["background"] = drawn["background"][..., :3]
    layers = PortraitLayers(hand=hand_sprite(who, HAND_DENSITY).astype(np.float32) / 255, **drawn)
    states = np.stack([random_state(rng)[0] for _ in range(3)])
    states[:, COLUMN["log_zoom"]] = np.abs(states[:, COLUMN["log_zoom"]])
    states[0, COLUMN["hand"]] = 1.0
    pose = np.concatenate([states[:, POSE_COLUMNS], hand_poses(who, states)], axis=-1)
    paint = face_layers(who, states, SIZE).astype(np.float32) / 255
    mask, shift = np.zeros((3, ac.WINDOW, ac.WINDOW, 1)), np.zeros((3, ac.WINDOW, ac.WINDOW, 2))
    mask[1], shift[1] = 0.5, rng.normal(0, 0.01, 2)

    fields = ac.FaceFields(*(jnp.asarray(x, jnp.float32)[None] for x in (paint, mask, shift)))
    on_device = ac.compose(fields, pose[None], jax.tree.map(lambda x: jnp.asarray(x)[None], layers), size=256)[0]
    compositor = Compositor(layers, 256)
    on_host = np.stack([compositor.frame(paint[i], mask[i], shift[i], pose[i]) for i in range(3)]).astype(float)
    assert np.abs(on_host - 127.5 * (np.asarray(on_device) + 1)).mean() < 0.3
    truth = render(who, states, 256)
    assert np.abs(on_host[[0, 2]] - truth[[0, 2]]).mean() < 4
