"""Key frames chosen from drawn frames by the shipped gate reader: planted bad frames are passed over."""

import cv2
import numpy as np

from avatar_jax.models.avatar_codec import AvatarCodec, CodecConfig
from avatar_jax.models.reader import Reader
from avatar_jax.sampling.gate import score_frames
from avatar_jax.sampling.keyframes import KeyframeConfig, select_keyframes, split_points
from avatar_jax.sampling.pictures import Pictures
from avatar_jax.weights import ship
from data_pipeline.synthetic.identity import make_identity
from data_pipeline.synthetic.render import portrait, render
from data_pipeline.synthetic.state import STATE, neutral

FRAMES, STRIDE = 25, 3
FLAWS = ("occluded", "blurred", "blinking", "swapped")
UNSEEN = 10_000_000


def talking(seed: int) -> np.ndarray:
    """States of a head that talks, turns and smiles."""
    rng = np.random.default_rng(seed)
    states = np.tile(neutral(), (FRAMES, 1)).astype(np.float32)
    states[:, STATE.index("open")] = rng.uniform(0, 0.9, FRAMES)
    for name, size in (("yaw", 0.3), ("roll", 0.04), ("smile", 0.3), ("head_x", 0.02)):
        states[:, STATE.index(name)] = np.convolve(rng.normal(0, size, FRAMES), np.ones(3) / 2, "same")
    return states


def planted(flaw: str, seed: int, states: np.ndarray, at: list[int]) -> np.ndarray:
    """The blueprint with this flaw at these frames."""
    me = make_identity(UNSEEN + seed)
    frames = np.array(render(me, states))
    for i in at:
        if flaw == "occluded":
            cv2.ellipse(frames[i], (64, 74), (24, 18), 20, 0, 360, (150, 110, 90), -1)
        elif flaw == "blurred":
            frames[i] = cv2.GaussianBlur(frames[i], (0, 0), 3)
        elif flaw == "blinking":
            shut = states[i : i + 1].copy()
            shut[:, STATE.index("blink")] = 1
            frames[i] = render(me, shut)[0]
        else:
            frames[i] = render(make_identity(UNSEEN + 500 + seed), states[i : i + 1])[0]
    return frames


def test_planted_frames_are_never_chosen() -> None:
    params, _ = ship.load(ship.shipped("gate"))
    blank = np.zeros((128, 128, 3), np.uint8)
    pictures = Pictures(AvatarCodec(CodecConfig()), {}, Reader(), params, blank, 128)
    config = KeyframeConfig()
    bad = split_points(FRAMES, STRIDE, config)[1:-1]
    caught = []
    for seed in range(20):
        flaw = FLAWS[seed % len(FLAWS)]
        frames = planted(flaw, seed, talking(seed), bad)
        seen = pictures.read(frames)
        own = pictures.read([portrait(make_identity(UNSEEN + seed), 128)])
        keys = select_keyframes(score_frames(seen, own), STRIDE, config)
        caught.append(not set(keys.chosen) & set(bad))
    assert sum(caught) >= 19, [(FLAWS[i % 4], i) for i, ok in enumerate(caught) if not ok]
