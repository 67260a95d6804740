"""The command: one JSON line, its keys, exit statuses, and mistakes told in three lines. The compiler is a stand-in."""

import json
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jax
import pytest

import tpu.compile
import tpu.request
from tpu.cycles import Moved, Tally
from tpu.proof import Proof

ROOT = Path(__file__).resolve().parents[2]
KEYS = {
    *("height", "width", "frames", "batch", "tokens", "mesh", "fits", "peak_hbm_gib", "hbm_gib", "cycles"),
    *("kernel_cycles", "collectives", "compile_s", "static_s_per_step", "static_mfu", "static_s_per_video_minute"),
}
STEP = Tally()
STEP.cycles.update({"matmul": 1_400_000_000, "copy": 175_000_000})
STEP.kernels.update({"flash": 175_000_000})
STEP.moved["all-to-all"] = Moved(160, 2e9, 0.4, 0.1)
LAYER = STEP.scaled(1 / 30)
FITS = Proof(True, 12.5, 61.0, STEP, LAYER, Tally())
TOO_LARGE = Proof(False, 40.0, 9.0, Tally(), Tally(), Tally())


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, Any, str]]:
    """Run the command with a compiler that says `proof`: (exit status, JSON or None, stderr)."""

    def run(*arguments: str, proof: Callable[..., Proof] = lambda *_: FITS) -> tuple[int, Any, str]:
        monkeypatch.setattr(tpu.compile, "environment", lambda *_: None)
        monkeypatch.setattr(tpu.request, "devices_of", lambda _: jax.devices())
        monkeypatch.setattr(tpu.request, "prove", proof)
        status = tpu.compile.main(list(arguments))
        said = capsys.readouterr()
        lines = said.out.strip().splitlines()
        return status, json.loads(lines[-1]) if lines else None, said.err

    return run


def arguments(config: str = "wan_t2v_1_3b", topology: str = "v6e:2x4", *more: str) -> list[str]:
    return ["--config", str(ROOT / "configs" / f"{config}.py"), "--topology", topology, *more]


def test_record(answer: Callable[..., Any]) -> None:
    status, found, _ = answer(*arguments("wan_t2v_1_3b", "v6e:2x4", "--no-decoder"))
    assert status == 0 and set(found) >= KEYS
    assert (found["height"], found["width"], found["frames"], found["batch"]) == (480, 832, 81, 2)
    assert found["tokens"] == 32760 and found["hbm_gib"] == 32
    assert found["mesh"] == {"data": 2, "fsdp": 1, "seq": 4, "tensor": 1}
    # 1750 million cycles at 1.75 GHz, and 0.1 s of waiting.
    assert found["static_s_per_step"] == pytest.approx(1.1) and found["kernel_cycles"] == 175_000_000
    assert found["static_s_per_step_synchronous"] == pytest.approx(1.4)
    assert found["static_mfu"] == pytest.approx(0.566e15 / (1.1 * 8 * 918e12), rel=0.02)
    assert found["cycles"]["copy"] == 175_000_000
    assert found["cycles"]["per_layer"]["matmul"] == pytest.approx(1.4e9 / 30, rel=1e-6)
    assert found["collectives"]["all-to-all"]["overlapped"] is False
    assert found["static_s_per_video_minute"] > 15 * 50


def test_flagship_defaults(answer: Callable[..., Any]) -> None:
    _, found, _ = answer(*arguments("wan_flf2v_14b", "v6e:2x4", "--no-decoder"))
    assert (found["height"], found["width"], found["batch"], found["tokens"]) == (720, 1280, 2, 75600)
    assert found["decoder_included"] is False


def test_what_does_not_fit_exits_1(answer: Callable[..., Any]) -> None:
    status, found, _ = answer(*arguments(), proof=lambda *_: TOO_LARGE)
    assert status == 1 and set(found) >= KEYS
    assert found["fits"] is False and found["peak_hbm_gib"] == 40.0 and found["static_s_per_step"] is None


def test_what_the_compiler_refuses_exits_1_and_says_why(answer: Callable[..., Any]) -> None:
    refused = Proof(False, None, 9.0, Tally(), Tally(), Tally(), error="scoped vmem exceeded")
    status, found, said = answer(*arguments(), proof=lambda *_: refused)
    assert status == 1 and found["error"] == "scoped vmem exceeded" and "scoped vmem" in said


@pytest.mark.parametrize("what", ["vae", "text", "train"])
def test_other_programs_have_the_same_keys(answer: Callable[..., Any], what: str) -> None:
    status, found, _ = answer(*arguments("wan_t2v_1_3b", "v6e:2x4", "--what", what, "--frames", "5"))
    assert status == 0 and set(found) >= KEYS and found["static_s_per_video_minute"] is None


def test_sweep_takes_the_fastest_row_that_fits(answer: Callable[..., Any]) -> None:
    def proof(_: Any, mesh: Any, *__: Any) -> Proof:
        if mesh.shape["seq"] == 4:
            return TOO_LARGE
        return Proof(True, 5.0, 1.0, STEP.scaled(1.0 if mesh.shape["seq"] == 2 else 4.0), LAYER, Tally())

    status, found, _ = answer(*arguments("wan_t2v_1_3b", "v6e:2x4", "--sweep", "--no-decoder"), proof=proof)
    assert status == 0 and found["mesh"]["seq"] == 2 and len(found["sweep"]) > 3
    assert found["sweep"][0]["mesh"] == found["mesh"] and found["sweep"][-1]["fits"] is False


@pytest.mark.parametrize(
    ("given", "near"),
    [
        (["--topology", "v6e:2x3"], "v6e:2x4"),
        (["--config", str(ROOT / "configs" / "embedded.py")], "wan"),
        (["--config", str(ROOT / "configs" / "wan_flf2v.py")], "wan_flf2v_14b"),
        (["--mesh", "data=2,seq=3"], "8 chips"),
        (["--mesh", "data=2,sequence=4"], "seq"),
        (["--batch", "3"], "--batch 4"),
        (["--height", "480"], "--width"),
        (["--height", "500", "--width", "832"], "--height 496"),
        (["--frames", "80"], "--frames 81"),
        (["--clips.solve.step=4"], "--clips.solve.steps"),
        (["--what", "sing"], "denoise"),
        (["--slices", "0"], "above zero"),
        (["--video.remat=full"], "--what train"),
        (["--what", "train", "--video.remats=full"], "--video.remat"),
        (["--what", "train", "--recipe", str(ROOT / "configs" / "embedded.py")], "train_full"),
    ],
)
def test_mistakes_exit_2_in_three_lines(answer: Callable[..., Any], given: list[str], near: str) -> None:
    status, found, said = answer(*arguments(), *given)
    assert (status, found) == (2, None)
    assert near in said and len(said.strip().splitlines()) <= 3 and "Traceback" not in said


def test_a_shape_can_be_chosen(answer: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tpu.request, "decoder_seconds", lambda *_: 3.0)
    more = ["--height", "64", "--width", "96", "--frames", "5", "--batch", "8", "--mesh", "data=8", "--seconds", "16"]
    _, found, _ = answer(*arguments("wan_t2v_1_3b", "v6e:2x4", *more, "--clips.solve.steps=4"))
    assert (found["tokens"], found["batch"], found["windows"]) == (2 * 4 * 6, 8, 4)
    # 16 s at 16 frames a second, key frames 64 apart: four segments, one wave of four windows.
    asked = found["static_s_per_video"]
    assert found["decoder_included"] and (asked["segments"], asked["waves"]) == (4, 1)
    assert asked["clips_s"] == pytest.approx(4 * 1.1) and asked["decoder_s"] == 3.0


@pytest.mark.slow
@pytest.mark.skipif(find_spec("libtpu") is None, reason="the TPU compiler is not installed")
@pytest.mark.parametrize("topology", ["v5e:2x4", "v6e:2x4"])
def test_a_small_window_for_a_real_slice(topology: str) -> None:
    """1.3B, two layers, 512 x 512: enough tokens for the kernels."""
    more = ("--depth", "2", "--height", "512", "--width", "512", "--frames", "5", "--no-decoder")
    process = subprocess.run(
        [sys.executable, "-m", "tpu.compile", *arguments("wan_t2v_1_3b", topology, *more)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr[-2000:]
    found = json.loads(process.stdout.strip().splitlines()[-1])
    assert set(found) >= KEYS and found["fits"] and found["loops_of_unknown_length"] == []
    assert found["tokens"] == 2 * 32 * 32 and found["kernel_cycles"] > 0 and found["collectives"]
    clock = 1.75e9 if topology.startswith("v6e") else 1.5e9
    xla = sum(cycles for name, cycles in found["cycles"].items() if name != "per_layer")
    waited = sum(kind["waited"] for kind in found["collectives"].values())
    assert found["static_s_per_step"] == pytest.approx((xla + found["kernel_cycles"]) / clock + waited, rel=0.01)
    assert 0 < found["static_mfu"] < 1
