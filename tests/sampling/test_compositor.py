"""The compositor on the host and the codec's own `compose` show the same picture."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from avatar_jax.metrics.sharpness import sharpness
from avatar_jax.models import avatar_codec as ac
from avatar_jax.models.portrait_layers import HAND_DENSITY, SIZE, PortraitLayers
from avatar_jax.sampling.compositor import Compositor
from data_pipeline.synthetic.identity import Identity, make_identity
from data_pipeline.synthetic.layers import face_layers, hand_poses, hand_sprite, portrait_layers
from data_pipeline.synthetic.render import render
from data_pipeline.synthetic.state import COLUMN, POSE_COLUMNS, neutral
from data_pipeline.synthetic.stills import random_state


def drawn_layers(who: Identity, side: int) -> PortraitLayers:
    drawn = {name: x.astype(np.float32) / 255 for name, x in portrait_layers(who, side).items()}
    drawn["background"] = drawn["background"][..., :3]
    return PortraitLayers(hand=hand_sprite(who, HAND_DENSITY).astype(np.float32) / 255, **drawn)


@pytest.mark.parametrize("source", [256, 320])
def test_same_picture_as_compose_and_as_the_renderer(source: int) -> None:
    rng = np.random.default_rng(source)
    who = make_identity(10_000_000 + source)
    layers = drawn_layers(who, source)
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


def test_frames_for_the_eye_are_sharper_and_nearer_to_the_truth() -> None:
    """A head between pixels, its face as in the portrait."""
    who = make_identity(10_000_000)
    state = neutral()
    for name, value in (("yaw", 0.21), ("head_x", 0.013), ("roll", 0.03)):
        state[COLUMN[name]] = value
    truth, layers = render(who, state[None], 256)[0], drawn_layers(who, 256)
    pose = np.concatenate([state[None, POSE_COLUMNS], hand_poses(who, state[None])], axis=-1)[0]
    side = (ac.WINDOW, ac.WINDOW)
    fields = np.zeros((*side, 4)), np.ones((*side, 1)), np.zeros((*side, 2))
    plain, fine = (Compositor(layers, 256, fine=fine).frame(*fields, pose) for fine in (False, True))
    error = [((x.astype(float) - truth) ** 2).mean() for x in (plain, fine)]
    assert error[1] < 0.9 * error[0]
    assert 1.4 * sharpness(plain) < sharpness(fine) < 1.1 * sharpness(truth)
