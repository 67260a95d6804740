"""Keys and values of conditions that are made once give what making them at every step gives."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from avatar_jax.models.dit import DiT
from avatar_jax.models.video_model import VideoConditions, VideoModelConfig, read_once, velocity
from avatar_jax.nn.once import READ
from tests.models.test_dit import SMALL, arguments, random_parameters

BRANCHES = {
    "text": replace(SMALL, audio_width=None),
    "sound and pictures": replace(SMALL, image_width=10, image_tokens=7),
    "sound in text": replace(SMALL, audio_in_text=True),
    "storyline": replace(SMALL, storyline=True),
    "storyline in text": replace(SMALL, storyline=True, storyline_queries="shared"),
}


@pytest.mark.parametrize("name", BRANCHES)
def test_reading_once_changes_nothing(name: str) -> None:
    cfg = replace(BRANCHES[name], in_channels=16, out_channels=16)
    args = arguments(cfg, S=2)
    params = {"dit": random_parameters(cfg, *args)["params"]}
    model = VideoModelConfig(cfg)
    x_BTHWC = jax.random.normal(jax.random.key(4), (2, 4, 4, 6, 4))
    cond = VideoConditions(args[3], args[4], None, args[6], args[5])
    run = jax.jit(lambda cond: velocity(model, params, x_BTHWC, jnp.full(2, 0.4), cond))
    read = jax.jit(lambda cond: read_once(model, params, cond))(cond)
    assert all(leaf.shape[:2] == (2, cfg.depth) for leaf in jax.tree.leaves(read.read))
    np.testing.assert_allclose(run(read), run(cond), atol=1e-5)
    # What was read is what counts: other words no longer matter.
    np.testing.assert_allclose(run(read.replace(text_BSLE=cond.text_BSLE + 1)), run(cond), atol=1e-5)


def test_parameters_hold_nothing_that_was_read() -> None:
    args = arguments(SMALL)
    assert READ not in jax.eval_shape(DiT(SMALL).init, jax.random.key(0), *args)
