"""Independent frames of many characters: what the gate's reader is trained on."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from data_pipeline.synthetic.identity import make_identity
from data_pipeline.synthetic.render import landmarks, occlusion, portrait, render
from data_pipeline.synthetic.state import COLUMN, EMOTIONS, STATE, bound, emotion_face, neutral


class Stills(NamedTuple):
    """One character. ref: neutral portrait, uint8 [h, w, 3]; frames: uint8 [n, h, w, 3]; states: float32 [n, S];
    landmarks: see `render.landmarks`; emotions: indices into EMOTIONS, int [n]; identity: seed of the character."""

    ref: np.ndarray
    frames: np.ndarray
    states: np.ndarray
    landmarks: dict[str, tuple[float, ...]]
    emotions: np.ndarray
    identity: int


def random_state(rng: np.random.Generator) -> tuple[np.ndarray, int]:
    """A state and its emotion: all parts independent, wide enough to cover what clips contain."""
    state = neutral()

    def put(**values: float) -> None:
        for name, value in values.items():
            state[COLUMN[name]] += value

    emotion = int(rng.integers(len(EMOTIONS)))
    put(**emotion_face(EMOTIONS[emotion], float(rng.choice([0.0, 1.0, 1.0, rng.uniform()]))))
    if rng.uniform() > 0.2:
        put(open=rng.uniform(0, 1.1), teeth=rng.uniform() * (rng.uniform() < 0.6))
        put(tongue=rng.uniform() * (rng.uniform() < 0.4))
    put(spread=rng.uniform(-1, 1) * (rng.uniform() < 0.8), smile=rng.normal(0, 0.12), brow=rng.normal(0, 0.15))
    put(blink=rng.choice([1.0, rng.uniform()]) * (rng.uniform() < 0.14))
    put(gaze_x=rng.normal(0, 0.45) * (rng.uniform() < 0.6), gaze_y=rng.normal(0, 0.3) * (rng.uniform() < 0.6))
    put(head_x=rng.normal(0, 0.02), head_y=rng.normal(0, 0.015), roll=rng.normal(0, 0.06))
    put(yaw=rng.normal(0, 0.5), pitch=rng.normal(0, 0.42))
    camera = rng.uniform()
    if camera < 0.4:
        put(log_zoom=np.log(rng.uniform(1, 1.65)))
    elif camera < 0.52:
        put(log_zoom=np.log(rng.uniform(0.73, 1)))
    if rng.uniform() < 0.2:
        put(pan_x=rng.uniform(-0.175, 0.175), pan_y=rng.uniform(-0.175, 0.175))
    if rng.uniform() < 0.25:
        put(hand=rng.choice([1.0, rng.uniform(0.5, 1)]))
        if rng.uniform() < 0.5:
            put(hand_x=rng.normal(0, 0.07), hand_y=rng.normal(0, 0.06))
        else:
            put(hand_x=rng.choice([-1, 1]) * rng.uniform(0.12, 0.36), hand_y=rng.uniform(-0.22, 0.2))
    return bound(state), emotion


def stills(
    seed: int,
    count: int,
    per_identity: int = 7,
    size: int = 128,
    first: int = 0,
) -> Iterator[Stills]:
    """Characters number first .. first + count - 1 of a seed, each with its portrait and per_identity - 1 frames.

    Item i depends on (seed, i) alone.
    """
    for index in range(first, first + count):
        rng = np.random.default_rng([seed, index, 73])
        identity = make_identity(int(rng.integers(1 << 31)))
        drawn = [random_state(rng) for _ in range(per_identity - 1)]
        states = np.stack([state for state, _ in drawn]) if drawn else np.zeros((0, len(STATE)), np.float32)
        states[:, COLUMN["occlude"]] = occlusion(identity, states)
        frames = render(identity, states, size)
        emotions = np.array([emotion for _, emotion in drawn], np.int32)
        yield Stills(portrait(identity, size), frames, states, landmarks(identity), emotions, identity.seed)
