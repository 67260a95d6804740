"""Where a recording says nothing, told from its loudness alone: what stands in for labels that nobody has."""

import numpy as np
from jaxtyping import Bool, Float

WINDOW_S = 0.05
BELOW_DB = 35.0
"""Decibels under the loud parts from which a stretch counts as silent."""
MARGIN_S = 0.2
"""Seconds from any voice at which a mouth has come to rest."""


def quiet(mono: Float[np.ndarray, " n"], rate: int, times_T: Float[np.ndarray, " T"]) -> Bool[np.ndarray, " T"]:
    """Whether nothing is heard within MARGIN_S of each instant (seconds); true everywhere in a silent recording."""
    hop = round(WINDOW_S * rate)
    windows = np.pad(np.asarray(mono, np.float64), (0, -len(mono) % hop)).reshape(-1, hop)
    loud = np.sqrt((windows**2).mean(axis=1))
    heard = np.flatnonzero(loud > max(1e-4, np.quantile(loud, 0.95) * 10 ** (-BELOW_DB / 20)))
    if not len(heard):
        return np.ones(len(times_T), bool)
    start, stop = heard * WINDOW_S - MARGIN_S, (heard + 1) * WINDOW_S + MARGIN_S
    # Starts and stops both rise: an instant is covered where more stretches have started than have stopped.
    return np.searchsorted(start, times_T, "right") == np.searchsorted(stop, times_T, "right")
