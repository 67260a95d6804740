"""UniPC for flows (Zhao et al. 2023, B2(h), order 2, predicting data): the solver of Wan's and EchoMimicV3's recipes.

Every step corrects where the last one led, now that the velocity there is known, and then predicts the next point.
Both are weighted sums of the last corrected point and of the last three predictions of the data; the weights depend on
the noise levels alone, so they are found once, on the host, in float64.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from avatar_jax.diffusion.solver import Solver


class Weights(NamedTuple):
    """Of one step, or of all on a leading axis."""

    sigma: np.ndarray
    corrector: np.ndarray
    """[5]: of the predicted point, the last corrected point, and the data predicted two steps ago, one ago and now."""
    predictor: np.ndarray
    """[3]: of the corrected point, and the data predicted one step ago and now."""


class State(NamedTuple):
    """x comes first, as in every solver's state."""

    x: jax.Array
    corrected: jax.Array
    data_2: jax.Array
    data_1: jax.Array


def weights(levels: np.ndarray) -> Weights:
    """For n + 1 falling noise levels, the first below 1 (schedule.wan_unipc_sigmas). First and last step have order 1.

    Raises:
        ValueError: if the first level is 1, where the log of the signal-to-noise ratio is infinite.
    """
    if levels[0] >= 1:
        raise ValueError(
            f"UniPC: got {levels[0]} as the first noise level\nrule: it is below 1\nfix: use wan_unipc_sigmas"
        )
    # The released solver keeps levels in float32, and near 1 the last bits of a level decide its logarithm.
    sigma = np.asarray(levels, np.float32).astype(np.float64)
    steps = len(sigma) - 1
    order = [2 if 0 < i < steps - 1 else 1 for i in range(steps)]
    corrector, predictor = np.zeros((steps, 5)), np.zeros((steps, 3))
    corrector[0, 0] = 1
    for i in range(steps):
        keep, gain, _, ratio = _step(sigma, i)
        predictor[i] = keep, 0, gain
        if order[i] == 2:
            predictor[i, 1:] += gain * 0.5 / ratio * np.array([1, -1])
        if i > 0:
            keep, gain, h, ratio = _step(sigma, i - 1)
            corrector[i, 1], corrector[i, 3] = keep, gain
            if order[i - 1] == 1:
                corrector[i, 3:] += gain * 0.5 * np.array([-1, 1])
            else:
                old, new = _corrector_of_order_2(h, ratio)
                corrector[i, 2:] += gain * np.array([old / ratio, -old / ratio - new, new])
    return Weights(*(np.asarray(w, np.float32) for w in (sigma[:-1], corrector, predictor)))


def _step(sigma: np.ndarray, i: int) -> tuple[float, float, float, float]:
    """From level i to i + 1: weight of x, weight of the data, -h, and the step before this one in units of this one."""
    with np.errstate(divide="ignore"):
        rise = np.log1p(-sigma[: i + 2]) - np.log(sigma[: i + 2])
    minus_h = rise[i] - rise[i + 1]
    ratio = (rise[i - 1] - rise[i]) / -minus_h if i > 0 else np.nan
    return sigma[i + 1] / sigma[i], -(1 - sigma[i + 1]) * np.expm1(minus_h), minus_h, ratio


def _corrector_of_order_2(minus_h: float, ratio: float) -> tuple[float, float]:
    """Weights of the difference to the older data, and of that to the newest (the paper's equation for a_p)."""
    phi = np.expm1(minus_h)
    first = phi / minus_h - 1
    second = first / minus_h - 0.5
    old, new = np.linalg.solve([[1, 1], [ratio, 1]], [first / phi, 2 * second / phi])
    return float(old), float(new)


def start(x: jax.Array) -> State:
    return State(x, x, jnp.zeros_like(x), jnp.zeros_like(x))


def step(state: State, w: Weights, velocity: jax.Array) -> State:
    """One correction and one prediction; `velocity` is noise - data at `state.x`."""
    data = state.x - w.sigma * velocity
    parts = (state.x, state.corrected, state.data_2, state.data_1, data)
    corrected = sum((w.corrector[k] * part for k, part in enumerate(parts)), jnp.zeros_like(data))
    x = w.predictor[0] * corrected + w.predictor[1] * state.data_1 + w.predictor[2] * data
    return State(x, corrected, state.data_1, data)


UNIPC = Solver(weights, start, step)
"""For `solver.integrate`: `integrate(stages, noise, wan_unipc_sigmas(8, 5.0), UNIPC, wan_unipc_times(8, 5.0))`."""
