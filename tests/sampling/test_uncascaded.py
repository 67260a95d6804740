"""Videos without the cascade: what is handed from window to window, and what is not."""

import numpy as np

from avatar_jax.diffusion.guidance import Guidance
from avatar_jax.sampling.segments import SegmentConfig
from avatar_jax.sampling.uncascaded import Chain, one_pass
from avatar_jax.sampling.windows import FRAMES, Predict, SolverConfig, Windows
from avatar_jax.sampling.work import LATENT

CONFIG = SegmentConfig(solver=SolverConfig(steps=2))


def noise(stage: str, index: int, attempt: int) -> np.ndarray:
    return np.random.default_rng([len(stage), index, attempt]).standard_normal((FRAMES, *LATENT)).astype(np.float32)


class Counting:
    """A denoiser whose frames are one more than what a window is given, 0 where it is given nothing."""

    def __init__(self) -> None:
        self.seen: list[Windows] = []

    def __call__(self, windows: Windows, guidance: Guidance) -> Predict:
        self.seen.append(windows)
        handed_B = windows.known_BT.astype(np.float32).max(axis=1)
        given = windows.known_BTPC.max(axis=(1, 2, 3), keepdims=True) + handed_B.reshape(-1, 1, 1, 1)
        return lambda x, t: np.broadcast_to(given, x.shape).astype(np.float32)


def test_a_chain_hands_its_last_frame_on() -> None:
    """What one sub-clip got wrong the next one starts from: here each adds 1."""
    denoise = Counting()
    track = Chain()(denoise, noise, 40, CONFIG)
    assert track.shape == (40, *LATENT)
    joints = Chain().joints(40)
    assert joints == [15, 30]
    np.testing.assert_allclose(track[:, 0, 0], [0.0] * 16 + [1.0] * 15 + [2.0] * 9)
    assert [len(windows) for windows in denoise.seen] == [1, 1, 1]
    assert [int(windows.known_BT.sum()) for windows in denoise.seen] == [0, 1, 1]
    np.testing.assert_array_equal([windows.times_BT[0, 0] for windows in denoise.seen], [0, 15, 30])


def test_a_chain_of_several_motion_frames() -> None:
    denoise = Counting()
    track = Chain(motion_frames=4)(denoise, noise, 30, CONFIG)
    assert len(track) == 30 and Chain(4).joints(30) == [15, 27]
    assert [int(windows.known_BT.sum()) for windows in denoise.seen] == [0, 4, 4]
    np.testing.assert_array_equal([windows.times_BT[0, 0] for windows in denoise.seen], [0, 12, 24])
    assert Chain().joints(16) == [] and Chain()(Counting(), noise, 3, CONFIG).shape[0] == 3


def test_one_pass_knows_no_frame_and_makes_all_windows_at_once() -> None:
    denoise = Counting()
    track = one_pass(denoise, noise, 40, CONFIG)
    assert track.shape == (40, *LATENT) and not track.any()
    [windows] = denoise.seen
    assert not windows.known_BT.any() and len(windows) > 2
    assert set(np.diff(windows.times_BT).ravel()) == {1.0}, "at the full rate of the model"
    assert one_pass(denoise, noise, 5, CONFIG).shape[0] == 5
