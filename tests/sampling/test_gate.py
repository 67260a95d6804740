"""The gate: what it measures in a sub-clip, and what it does with one that is not good enough."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from avatar_jax.diffusion.guidance import Guidance
from avatar_jax.sampling.clips import gate_report, mouth_follows, sub_clips
from avatar_jax.sampling.config import SampleConfig
from avatar_jax.sampling.folder import OutputFolder, write_json, write_video
from avatar_jax.sampling.gate import ClipScore, GateConfig, examine
from avatar_jax.sampling.report import FrameWatch, Lifeless
from avatar_jax.sampling.segments import SegmentConfig, plan_segments
from avatar_jax.sampling.windows import FRAMES, Predict, SolverConfig, Windows
from tests.sampling import mouths

GATE = GateConfig()
KEYS = (0, 12, 24, 36)
SIDEWAYS = 9


def score(frames_NHW3: np.ndarray, first: int = 20, silent: bool = False) -> ClipScore:
    seconds = (first + np.arange(len(frames_NHW3))) / mouths.RATE
    return examine(frames_NHW3, mouths.read(frames_NHW3), seconds, mouths.standard(silent=silent), GATE)[0]


def frames(count: int = 13, first: int = 20, **how: Any) -> np.ndarray:
    return np.stack([mouths.picture(x) for x in mouths.latents(first + np.arange(count), **how)])


def inner(change: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Good frames, changed between the key frames."""
    made = frames()
    made[1:-1] = [change(frame) for frame in made[1:-1]]
    return made


def test_a_good_sub_clip_passes() -> None:
    good = score(frames())
    assert good.faults(GATE) == ()
    assert good.offset == 0 and good.lead is not None and good.lead > 0.1
    assert good.identity == pytest.approx(1) and good.mouth < 0.01 and good.sharp == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("late", [-6, -3, 3, 5])
def test_a_wrong_instant_is_seen_and_measured(late: int) -> None:
    found = score(frames(late=late))
    assert found.faults(GATE) == ("lead",)
    assert found.offset == late


@pytest.mark.parametrize(
    ("made", "fault"),
    [
        (np.repeat(frames(1), 13, axis=0), "frozen"),
        (np.repeat(frames(1), 7, axis=0), "frozen"),
        (frames() // 32, "black"),
        (np.full_like(frames(), 90), "flat"),
        (frames(face=-1.0), "identity"),
        (inner(lambda frame: cv2.GaussianBlur(frame, (0, 0), 8)), "sharp"),
        (inner(lambda frame: np.clip(frame.astype(int) + 9, 0, 255).astype(np.uint8)), "colour"),
        (np.concatenate([frames(4), np.repeat(frames(1), 9, axis=0)]), "stops"),
        (inner(lambda frame: frame * (frame.mean() < 0)), "dark"),
    ],
)
def test_a_fault_is_named(made: np.ndarray, fault: str) -> None:
    assert fault in score(made).faults(GATE)


def test_a_jump_is_seen_at_either_end() -> None:
    for place in (1, 12):
        made = frames()
        made[place:] = np.roll(made[place:], SIDEWAYS, axis=2)
        found = score(made)
        assert found.jump is not None and found.jump > 3


def test_a_shut_mouth_is_never_late_but_one_that_does_not_speak_is_at_fault() -> None:
    assert score(frames(), silent=True).lead is None
    still = frames()
    still[:, : mouths.PATCH, : mouths.PATCH] = still[0, : mouths.PATCH, : mouths.PATCH]
    found = score(still)
    assert found.lead == 0 and found.offset == 0 and "lead" in found.faults(GATE)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_the_shortest_sub_clips_can_be_looked_at(count: int) -> None:
    found = score(frames(count))
    assert found.lead is None and found.faults(GATE) == ()


class Wayward:
    """Noise and denoiser in one: how a sub-clip comes out is known for every seed. `plan[index][attempt]` are
    arguments of `mouths.latents`; seeds that are not there come out well."""

    def __init__(self, plan: dict[int, list[dict[str, Any]]]):
        self.plan = plan
        self.asked: list[tuple[int, int]] = []

    def noise(self, stage: str, index: int, attempt: int) -> np.ndarray:
        self.asked.append((index, attempt))
        return np.zeros((FRAMES, *mouths.LATENT), np.float32)

    def denoise(self, windows: Windows, guidance: Guidance) -> Predict:
        made = []
        for times, (index, attempt) in zip(windows.times_BT, self.asked[-len(windows) :], strict=True):
            ways = self.plan.get(index, [])
            made.append(mouths.latents(times, **(ways[attempt] if attempt < len(ways) else {})))
        clean = np.where(windows.known_BT[..., None, None], windows.known_BTPC, np.stack(made))
        return lambda x, t: clean.astype(np.float32)


def work(folder: Path, wayward: Wayward, retries: int, pinned: bool = True) -> Any:
    out = OutputFolder(folder)
    out.open("test")
    write_json(out.segments / "plan.json", {"fingerprint": "test", "redone": [0] * (len(KEYS) - 1)})
    segment = SegmentConfig(wave=2, tail=1.0 if pinned else 0.0, solver=SolverConfig(steps=1))
    return SimpleNamespace(
        config=replace(SampleConfig(), segment=segment, gate=replace(GATE, retries=retries)),
        folder=out,
        denoise=wayward.denoise,
        noise=wayward.noise,
        pictures=mouths.Pictures(),
        standard=mouths.standard(),
        watch=SimpleNamespace(expect=lambda steps: None),
    )


def ran(shared: Any) -> tuple[dict[int, np.ndarray], list[Any], dict[str, Any]]:
    """Latents, their part of report.json, and the gate's."""
    keys = {k: mouths.latents(np.array(k)) for k in KEYS}
    made, clips = sub_clips(shared, plan_segments(KEYS), keys, [0, 0, 0])
    gate = shared.config.gate
    return made, [clip.as_dict(gate) for clip in clips], gate_report(clips, gate)


def test_a_bad_first_seed_is_made_again_once_and_the_good_one_is_kept(tmp_path: Path) -> None:
    wayward = Wayward({1: [{"late": 5}]})
    made, parts, gate = ran(work(tmp_path, wayward, retries=3))
    # Noise is drawn for the whole wave that sub-clip 1 is in, for once.
    assert [ask for ask in wayward.asked if ask[1]] == [(0, 1), (1, 1)]
    np.testing.assert_allclose(made[1], mouths.latents(np.arange(12, 25)), atol=1e-6)
    assert parts[1]["attempt"] == 1 and parts[1]["faults"] == []
    assert [(one["attempt"], one["faults"]) for one in parts[1]["rejected"]] == [(0, ["lead"])]
    assert [part["rejected"] for part in (parts[0], parts[2])] == [[], []]
    assert gate["made_again"] == [1] and gate["below"] == {} and gate["limits"]["retries"] == 3


def test_all_of_it_is_still_known_when_a_run_goes_on(tmp_path: Path) -> None:
    made, parts, gate = ran(work(tmp_path, Wayward({1: [{"late": 5}]}), retries=1))
    again = Wayward({})
    shared = work(tmp_path, again, retries=1)
    assert ran(shared)[1:] == (parts, gate)
    assert again.asked == []
    shared.folder.segment_path(2).unlink()
    np.testing.assert_array_equal(ran(shared)[0][2], made[2])
    assert again.asked == [(2, 0)]


def test_when_the_budget_is_spent_the_best_is_kept_and_said(tmp_path: Path) -> None:
    """Three seeds: late and a stranger, late alone, then black between its key frames."""
    ways = [{"late": 5, "face": -1.0}, {"late": -5}, {"light": 0.0}]
    made, parts, gate = ran(work(tmp_path, Wayward({2: ways}), retries=2))
    assert parts[2]["attempt"] == 1 and parts[2]["faults"] == ["lead"]
    assert [one["attempt"] for one in parts[2]["rejected"]] == [0, 2]
    assert gate["below"] == {"2": ["lead"]} and gate["made_again"] == [2]
    np.testing.assert_allclose(made[2][1:-1], mouths.latents(np.arange(25, 36), late=-5), atol=1e-6)


def test_a_budget_of_nothing_keeps_what_there_is(tmp_path: Path) -> None:
    _, parts, gate = ran(work(tmp_path, Wayward({0: [{"late": 5}]}), retries=0))
    assert parts[0]["attempt"] == 0 and gate["below"] == {"0": ["lead"]} and gate["made_again"] == []


def test_a_redo_begins_a_budget_of_its_own(tmp_path: Path) -> None:
    wayward = Wayward({1: [{"late": 5}]})
    shared = work(tmp_path, wayward, retries=1)
    keys = {k: mouths.latents(np.array(k)) for k in KEYS}
    _, clips = sub_clips(shared, plan_segments(KEYS), keys, [0, 1, 0])
    assert clips[1].kept.attempt == 2 and clips[1].rejected == ()
    assert mouth_follows(clips) == pytest.approx(1, abs=0.02)


def test_a_sub_clip_that_is_dead_in_every_try_ends_the_run(tmp_path: Path) -> None:
    shared = work(tmp_path, Wayward({1: [{"light": 0.0}, {"light": 0.0}]}), retries=1, pinned=False)
    keys = {k: mouths.latents(np.array(k), light=0.0) for k in KEYS}
    with pytest.raises(Lifeless, match="sub-clip 1 came out black in 2 tries"):
        sub_clips(shared, plan_segments(KEYS), keys, [0, 0, 0])
    assert not shared.folder.segment_path(1).exists()


@pytest.mark.parametrize(("fault", "how"), [("black", np.zeros_like), ("frozen", lambda x: np.repeat(x[:1], 30, 0))])
def test_a_black_or_frozen_video_is_no_video(tmp_path: Path, fault: str, how: Callable) -> None:
    stream = iter(how(frames(30)))
    watch = FrameWatch(["sub-clip 0"] * 30)
    with pytest.raises(Lifeless, match=fault):
        write_video(tmp_path / "video.mp4", watch.through(stream), Fraction(25), 30)
    assert list(tmp_path.iterdir()) == []
