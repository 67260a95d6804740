"""Our UniPC against UniPCMultistepScheduler of diffusers, step by step."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from avatar_jax.diffusion.schedule import wan_unipc_sigmas, wan_unipc_times
from avatar_jax.diffusion.solver import Stage, forgetful, integrate
from avatar_jax.diffusion.unipc import UNIPC

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")

SHAPE = (2, 3, 4)


def released(steps: int, shift: float):
    scheduler = diffusers.UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=shift, num_train_timesteps=1000
    )
    scheduler.set_timesteps(steps)
    return scheduler


LENGTHS = pytest.mark.parametrize("steps", [1, 2, 3, 8, 25, 50])
SHIFTS = pytest.mark.parametrize("shift", [3.0, 5.0])


@LENGTHS
@SHIFTS
def test_levels_and_times_are_the_released_ones(steps: int, shift: float) -> None:
    scheduler = released(steps, shift)
    np.testing.assert_array_equal(wan_unipc_sigmas(steps, shift), scheduler.sigmas.numpy())
    np.testing.assert_allclose(wan_unipc_times(steps, shift) * 1000, scheduler.timesteps.numpy(), atol=1e-3)


@LENGTHS
@SHIFTS
def test_each_step_equals_the_released_one(steps: int, shift: float) -> None:
    """On velocities that have nothing to do with each other, so that every weight matters."""
    rng = np.random.default_rng(steps)
    scheduler = released(steps, shift)
    plan = UNIPC.plan(wan_unipc_sigmas(steps, shift))
    x = rng.normal(size=SHAPE).astype(np.float32)
    state, theirs = UNIPC.start(jnp.asarray(x)), torch.tensor(x)
    for i, t in enumerate(scheduler.timesteps):
        velocity = rng.normal(size=SHAPE).astype(np.float32)
        theirs = scheduler.step(torch.tensor(velocity), t, theirs, return_dict=False)[0]
        state = UNIPC.step(state, jax.tree.map(lambda a, i=i: a[i], plan), jnp.asarray(velocity))
        np.testing.assert_allclose(state.x, theirs.numpy(), atol=1e-5, err_msg=f"step {i}")


@pytest.mark.parametrize("steps", [8, 50])
@SHIFTS
def test_the_scan_equals_the_released_loop(steps: int, shift: float) -> None:
    """On a velocity that depends on x and on the time that the model is told."""
    x = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    scheduler = released(steps, shift)
    theirs = torch.tensor(x)
    for t in scheduler.timesteps:
        velocity = torch.tanh(2 * theirs) * (t / 1000 + 0.5)
        theirs = scheduler.step(velocity, t, theirs, return_dict=False)[0]
    stage = Stage(forgetful(lambda x, t: jnp.tanh(2 * x) * (t + 0.5)), 0, steps)
    levels, times = wan_unipc_sigmas(steps, shift), wan_unipc_times(steps, shift)
    ours = jax.jit(lambda x: integrate([stage], x, levels, UNIPC, times))(x)
    np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-5)
