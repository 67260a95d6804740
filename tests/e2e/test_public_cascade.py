"""sample.py on tiny random checkpoints in the public layout: the whole cascade, on one device and on eight."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sample
from avatar_jax.media import read_frames
from avatar_jax.sampling.public import pipeline
from tests.e2e.public_weights import describe, write_family
from tests.e2e.untrained import write_portrait, write_speech

ROOT = Path(__file__).resolve().parents[2]
SECONDS, FRAMES = 1.3, 33
SMALL = ("--numbers=fp32", "--area=1024", "--window=13", "--blueprint.frames=13")
STEPS = tuple(f"--{stage}.solve.steps=3" for stage in ("blueprint", "clips", "seams"))
FAMILIES = {
    "skyreels_a2v_19b": ("--seams.drop=6", "--seams.lead=2"),
    "infinitetalk_14b": ("--seams.drop=6", "--seams.lead=2", "--seams.known=5", *STEPS),
    "echomimic_v3_flash": STEPS,
    "wan_flf2v_14b": STEPS,
    "wan_t2v_1_3b": STEPS,
}
"""Overrides that make windows of 13 frames in every stage."""


@dataclass(frozen=True)
class Place:
    """Inputs and weights of one test session."""

    path: Path

    def weights(self, family: str) -> Path:
        folder = self.path / family
        return folder if folder.exists() else write_family(folder, family)

    def arguments(self, family: str, out: Path, *more: str) -> list[str]:
        return [
            "--config", str(ROOT / "configs" / f"{family}.py"), "--weights", str(self.weights(family)),
            "--image", str(self.path / "face.png"), "--audio", str(self.path / "speech.wav"),
            "--prompt", "happy, then sad", "--out", str(out), *SMALL, *FAMILIES[family], *more,
        ]  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("public")
    write_portrait(folder / "face.png")
    write_speech(folder / "speech.wav", SECONDS)
    return Place(folder)


def made(place: Place, family: str, out: Path, *more: str, rounded_in: Path | None = None) -> np.ndarray:
    """The frames of a video as they went into the encoder, [F, H, W, 3].

    `rounded_in`: another run, whose blueprint in whole levels takes the place of this one's. Both are kept in
    levels.npy beside their latents.
    """
    kept: list[np.ndarray] = []
    write, draw = pipeline.write_video, pipeline.draw_blueprint

    def drawn(work: Any) -> np.ndarray:
        levels = draw(work)
        np.save(out / "segments" / "levels.npy", levels)
        return levels if rounded_in is None else np.load(rounded_in / "segments" / "levels.npy")

    def keeping(path: Path, frames: Iterator[np.ndarray], *rest: object) -> int:
        return write(path, (kept.append(frame.copy()) or frame for frame in frames), *rest)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "write_video", keeping)
        patch.setattr(pipeline, "draw_blueprint", drawn)
        assert sample.main(place.arguments(family, out, *more)) == 0
    return np.stack(kept)


@pytest.fixture(scope="module")
def skyreels(place: Place) -> tuple[Path, np.ndarray]:
    """A finished video on one device, and its frames."""
    out = place.path / "one device"
    return out, made(place, "skyreels_a2v_19b", out)


def test_the_whole_cascade(skyreels: tuple[Path, np.ndarray]) -> None:
    out, frames = skyreels
    report = describe(out)
    assert report["frames"] == len(frames) == len(list(read_frames(out / "video.mp4"))) == FRAMES
    assert len(list(read_frames(out / "blueprint.mp4"))) == 13
    assert len(report["segments"]) == 4 and len(report["seams"]) == 3
    assert [key["blueprint_frame"] for key in report["key_frames"]][::4] == [0, 12]
    names = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    for name in ("storyline.json", "manifest.json", "keyframes.png", "keyframes/004.png", "segments/003.npz"):
        assert name in names
    assert not [name for name in names if name.endswith(".part")]


@pytest.mark.parametrize("mesh", ["data=4,seq=2", pytest.param("data=8", marks=pytest.mark.slow)])
def test_eight_devices_give_the_same_frames(
    mesh: str, place: Place, skyreels: tuple[Path, np.ndarray], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    frames = made(place, "skyreels_a2v_19b", out, "--mesh", mesh, rounded_in=skyreels[0])
    assert_equal(frames, out, skyreels[1], skyreels[0])


def assert_equal(frames: np.ndarray, out: Path, others: np.ndarray, other: Path) -> None:
    """Latents of the blueprint and of every sub-clip to float32's rounding, and the blueprint's frames to two levels:
    random decoders stretch that, and ties fall to either side. Seams begin from rounded frames, and pass ties on."""
    for path in sorted((other / "segments").glob("[b0-9]*.npz")):
        first, second = (np.load(folder / "segments" / path.name)["latents"] for folder in (out, other))
        np.testing.assert_allclose(first, second, atol=1e-4, err_msg=path.name)
    first, second = (np.load(folder / "segments" / "levels.npy").astype(int) for folder in (out, other))
    assert np.abs(first - second).max() <= 2
    difference = np.abs(frames.astype(int) - others.astype(int))
    assert difference.max() <= 3 and difference.mean() < 0.01


def test_a_redo_changes_its_sub_clip_and_its_two_seams(
    place: Place, skyreels: tuple[Path, np.ndarray], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    shutil.copytree(skyreels[0], out)
    before = describe(out)["frames_sha256_by_part"]
    assert sample.main(place.arguments("skyreels_a2v_19b", out)) == 0
    assert "complete already" in capsys.readouterr().out
    assert sample.main(place.arguments("skyreels_a2v_19b", out, "--redo-segments", "2")) == 0
    after = describe(out)["frames_sha256_by_part"]
    assert {part for part in before if before[part] != after[part]} == {"seam 1|2", "sub-clip 2", "seam 2|3"}
    assert [clip["attempt"] for clip in describe(out)["segments"]] == [0, 0, 1, 0]
    assert sample.main(place.arguments("skyreels_a2v_19b", out, "--redo-segments", "4")) == 2


def test_a_stopped_run_goes_on(place: Place, skyreels: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(skyreels[0], out)
    kept = (out / "segments" / "000.npz").stat().st_mtime_ns
    for name in ("video.mp4", "report.json", "manifest.json", "segments/002.npz", "segments/seam_002.npz"):
        (out / name).unlink()
    assert sample.main(place.arguments("skyreels_a2v_19b", out)) == 0
    assert describe(out)["frames_sha256"] == describe(skyreels[0])["frames_sha256"]
    assert (out / "segments" / "000.npz").stat().st_mtime_ns == kept


def slow(*names: str) -> list[Any]:
    return [pytest.param(name, marks=pytest.mark.slow) for name in names]


@pytest.mark.parametrize("family", ["infinitetalk_14b", "echomimic_v3_flash", *slow("wan_flf2v_14b", "wan_t2v_1_3b")])
def test_other_families(family: str, place: Place, tmp_path: Path) -> None:
    frames = made(place, family, tmp_path / "out")
    report = describe(tmp_path / "out")
    assert report["frames"] == len(frames) == FRAMES and report["family"] == family
    assert bool(report["seams"]) == (family == "infinitetalk_14b")
    assert np.abs(np.diff(frames.astype(int), axis=0)).max() > 5


@pytest.mark.slow
@pytest.mark.parametrize("family", ["infinitetalk_14b", "echomimic_v3_flash"])
def test_other_families_on_eight_devices(family: str, place: Place, tmp_path: Path) -> None:
    one = made(place, family, tmp_path / "one")
    eight = made(place, family, tmp_path / "eight", "--mesh", "data=4,seq=2", rounded_in=tmp_path / "one")
    assert_equal(eight, tmp_path / "eight", one, tmp_path / "one")


@pytest.mark.slow
def test_bfloat16_negative_frames_and_adaptive_guidance(place: Place, tmp_path: Path) -> None:
    more = (
        "--numbers=bf16", "--blueprint.solve.guidance.negative=0.5", "--blueprint.solve.adaptive=true",
        "--clips.solve.guidance.negative=0.5", "--clips.solve.within.high=0.95", "--fps", "30", "--seams.drop=0",
        "--blueprint.hears=spread",
    )  # fmt: skip
    assert len(made(place, "infinitetalk_14b", tmp_path / "out", *more)) == 39


WITHOUT_TORCH = """
import sys

class NotInstalled:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "torch":
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, NotInstalled())
import sample

sys.exit(sample.main(sys.argv[1:]) or "torch" in sys.modules)
"""


@pytest.mark.parametrize("family", ["skyreels_a2v_19b", *slow("infinitetalk_14b", "echomimic_v3_flash")])
def test_no_torch_on_the_way(family: str, place: Place, tmp_path: Path) -> None:
    command = [sys.executable, "-c", WITHOUT_TORCH, *place.arguments(family, tmp_path / "out")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr
    assert describe(tmp_path / "out")["frames"] == FRAMES


def test_bad_weights_exit_2_with_three_lines(place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, out = place.weights("skyreels_a2v_19b"), tmp_path / "out"

    def refused(says: str, weights: Path | None, *more: str) -> None:
        given = place.arguments("skyreels_a2v_19b", out, *more)
        at = given.index("--weights")
        given[at : at + 2] = [] if weights is None else ["--weights", str(weights)]
        assert sample.main(given) == 2
        message = capsys.readouterr().err
        assert says in message and "Traceback" not in message and len(message.splitlines()) == 3, message
        assert not out.exists()

    refused("--weights", None)
    refused("no folder of weights", tmp_path / "nowhere")
    refused("4 n + 1", good, "--window=14")
    for part in ("transformer", "vae", "text_encoder", "image_encoder", "wav2vec2", "tokenizer"):
        broken = tmp_path / part
        shutil.copytree(good, broken, ignore=shutil.ignore_patterns(part))
        refused("tokenizer" if part == "tokenizer" else "a part is missing", broken)
    cut = tmp_path / "cut"
    shutil.copytree(good, cut)
    shard = next((cut / "transformer").glob("*.safetensors"))
    shard.write_bytes(shard.read_bytes()[:-100])
    refused("whole safetensors", cut)
    other = tmp_path / "other"
    shutil.copytree(good, other)
    shutil.rmtree(other / "wav2vec2")
    shutil.copytree(good / "image_encoder", other / "wav2vec2")
    refused("wav2vec2", other)
