"""A batch of windows from noise to latents: one compiled loop, on a mesh if there is one, in the noise's own memory."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float

from avatar_jax.diffusion.guidance import Guidance, branches, guided
from avatar_jax.diffusion.guidance_apg import adaptive, pushes
from avatar_jax.diffusion.solver import Remembering, Stage, forgetful, integrate
from avatar_jax.diffusion.stages import guidance_within, runs, stages
from avatar_jax.models.video_model import VideoConditions, VideoModelConfig, audio_tokens, read_once, velocity
from avatar_jax.sampling.public.config import SolveConfig


class Given(struct.PyTreeNode):
    """Everything that B windows are made from; None where the model has no such input."""

    text_BSLE: Float[Array, "B S L E"]
    unwanted_BSLE: Float[Array, "B S L E"]
    """Negative prompts of the same shots."""
    shares_BTS: Float[Array, "B T S"]
    known_BTHWC: Float[Array, "B T H W C"] | None
    image_BIE: Float[Array, "B I E"] | None
    heard_BFLC: Float[Array, "B F L C"] | None
    """Speech features of every frame and of half a window on either side."""
    spoilt_BTHWC: Float[Array, "B T H W C"] | None
    """The known frames with a corrupted first one, and `spoilt_BIE` its tokens: the negative branch."""
    spoilt_BIE: Float[Array, "B I E"] | None
    latents_BTHWC: Float[Array, "B T H W C"]
    """Of the known frames; read where `hold_BT` or `pull_BT` says so."""
    hold_BT: Float[Array, "B T"]
    """1 for latents that go straight from their noise to their known value."""
    pull_BT: Float[Array, "B T"]
    """Share by which the predicted latents are drawn to the known ones, fading with the noise."""


@partial(jax.jit, static_argnums=(0, 1), donate_argnums=3)
def solve_windows(
    model: VideoModelConfig, solve: SolveConfig, params: Any, noise_BTHWC: Float[Array, "B T H W C"], given: Given
) -> Float[Array, "B T H W C"]:
    """Latents of the windows; held ones come back exactly."""
    tokens = silence = None
    if given.heard_BFLC is not None:
        tokens = audio_tokens(model, params, given.heard_BFLC)
        silence = audio_tokens(model, params, jnp.zeros_like(given.heard_BFLC))
    full = VideoConditions(given.text_BSLE, given.shares_BTS, given.known_BTHWC, given.image_BIE, tokens)
    spoilt = None
    if given.spoilt_BTHWC is not None:
        spoilt = full.replace(known_BTHWC=given.spoilt_BTHWC, image_BIE=given.spoilt_BIE)

    def predict(x: jax.Array, t: jax.Array, cond: VideoConditions) -> jax.Array:
        return velocity(model, params, x, jnp.broadcast_to(t, x.shape[:1]), cond, solve.audio_gain)

    def stage_of(scales: Guidance) -> Stage:
        scales = scales if tokens is not None else Guidance(scales.text, 1.0, scales.negative)
        parts: Any = (
            scales,
            full,
            lambda c: c.replace(text_BSLE=given.unwanted_BSLE),
            lambda c: c.replace(audio_BTUM=silence),
            spoilt,
        )
        if solve.adaptive:
            conditions, found = pushes(*parts)
            conditions = [read_once(model, params, cond) for cond in conditions]
            remembering, memory = adaptive(predict, conditions, found, solve.projection)
        else:
            weighted = [(weight, read_once(model, params, cond)) for weight, cond in branches(*parts)]
            remembering, memory = forgetful(guided(predict, weighted)), lambda x: ()
        return Stage(steered(remembering, noise_BTHWC, given), 0, 0, memory)

    recipe = solve.recipe
    levels = recipe.levels(solve.steps, solve.shift)
    times = None if recipe.times is None else recipe.times(solve.steps, solve.shift)
    steps = runs(levels.tolist(), guidance_within(solve.guidance, solve.within))
    x_BTHWC = integrate(stages(steps, stage_of), noise_BTHWC, levels, recipe.solver, times)
    return jnp.where(spread(given.hold_BT) > 0, given.latents_BTHWC, x_BTHWC)


def steered(velocity: Remembering, noise_BTHWC: jax.Array, given: Given) -> Remembering:
    """The velocity, but held latents follow the straight line to their value (so at every step they are that value
    with the step's noise, as in MultiTalk), and pulled ones lean towards theirs by pull * noise level."""

    def run(x: jax.Array, t: jax.Array, memory: Any) -> tuple[jax.Array, Any]:
        v, memory = velocity(x, t, memory)
        # The data behind x is x - t v; moving it by pull * t of the way changes v by pull times the way.
        v -= spread(given.pull_BT) * (given.latents_BTHWC - (x - t * v))
        return jnp.where(spread(given.hold_BT) > 0, noise_BTHWC - given.latents_BTHWC, v), memory

    return run


def spread(values_BT: jax.Array) -> jax.Array:
    return values_BT[:, :, None, None, None]
