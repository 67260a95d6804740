"""The whole cascade on real shapes with random weights: lengths, files, resuming, redoing, meshes."""

import json
from dataclasses import replace
from pathlib import Path

import av
import jax
import numpy as np
import pytest

from avatar_jax.media import BadInput
from avatar_jax.media.video import read_frames
from avatar_jax.mesh import make_mesh
from avatar_jax.sampling.blueprint import BlueprintConfig
from avatar_jax.sampling.config import SampleConfig
from avatar_jax.sampling.gate import GateConfig
from avatar_jax.sampling.insertion import InsertionConfig
from avatar_jax.sampling.pipeline import generate
from avatar_jax.sampling.request import Request
from avatar_jax.sampling.seams import SeamConfig
from avatar_jax.sampling.segments import SegmentConfig
from avatar_jax.sampling.windows import SolverConfig
from avatar_jax.sampling.work import Models
from tests.e2e.untrained import untrained_models, write_portrait, write_speech

ONE = SolverConfig(steps=1)
FAST = SampleConfig(
    size=128,
    rows=8,
    blueprint=BlueprintConfig(solver=ONE),
    segment=SegmentConfig(wave=4, solver=ONE),
    seams=SeamConfig(wave=4, solver=ONE),
    insertion=InsertionConfig(wave=8, solver=replace(InsertionConfig().solver, steps=1)),
    gate=GateConfig(retries=0),
)


@pytest.fixture(scope="module")
def models() -> Models:
    return untrained_models()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, models: Models) -> Request:
    """A video of 3 s in its folder."""
    folder = tmp_path_factory.mktemp("video")
    request = Request(
        write_portrait(folder / "face.png"), write_speech(folder / "speech.wav", 3.0), folder / "out", seed=3
    )
    generate(request, models, FAST, make_mesh(), quiet=True)
    return request


def report_of(request: Request) -> dict:
    return json.loads((request.out / "report.json").read_text())


def test_every_file_is_there(finished: Request) -> None:
    names = {p.name for p in finished.out.iterdir()}
    assert names == {
        "video.mp4", "storyline.json", "storyline.md", "storyline.png", "blueprint.mp4", "keyframes.png", "keyframes",
        "segments", "report.json", "manifest.json",
    }  # fmt: skip
    assert len(list(read_frames(finished.out / "video.mp4"))) == 75
    with av.open(str(finished.out / "video.mp4")) as container:
        sound = container.streams.audio[0]
        assert abs(float(sound.duration * sound.time_base) - 3.0) < 1024 / 16_000
    report = report_of(finished)
    assert report["frames"] == 75 and len(report["segments"]) == len(report["key_frames"]) - 1
    assert len(list((finished.out / "segments").glob("[0-9]*.npz"))) == len(report["segments"])


def test_a_finished_video_is_not_made_again(finished: Request, models: Models) -> None:
    assert generate(finished, models, FAST, make_mesh(), quiet=True)["already_complete"]


def test_same_seed_same_bytes_and_a_killed_run_goes_on(finished: Request, models: Models, tmp_path: Path) -> None:
    """Interrupted after its second sub-clip: the rest is made, and every frame is as in one go."""
    request = replace(finished, out=tmp_path / "again")
    generate(request, models, FAST, make_mesh(), quiet=True)
    whole = report_of(request)["frames_sha256"]
    assert whole == report_of(finished)["frames_sha256"]
    for name in ("video.mp4", "manifest.json", "report.json", "segments/002.npz", "segments/blueprint.npz"):
        (request.out / name).unlink()
    kept = (request.out / "segments" / "000.npz").stat().st_mtime_ns
    generate(request, models, FAST, make_mesh(), quiet=True)
    assert report_of(request)["frames_sha256"] == whole
    assert (request.out / "segments" / "000.npz").stat().st_mtime_ns == kept


def test_another_seed_is_another_video_in_the_same_folder(finished: Request, models: Models, tmp_path: Path) -> None:
    short = replace(finished, audio=write_speech(tmp_path / "s.wav", 0.5), out=tmp_path / "out")
    generate(short, models, FAST, make_mesh(), quiet=True)
    first = report_of(short)["frames_sha256"]
    generate(replace(short, seed=4), models, FAST, make_mesh(), quiet=True)
    assert report_of(short)["frames_sha256"] != first


def test_redo_changes_one_sub_clip_and_its_seams(finished: Request, models: Models, tmp_path: Path) -> None:
    request = replace(finished, out=tmp_path / "redo")
    generate(request, models, FAST, make_mesh(), quiet=True)
    parts = report_of(request)["frames_sha256_by_part"]
    before = {p.name: p.read_bytes() for p in (request.out / "segments").glob("[0-9]*.npz")}
    old = list(read_frames(request.out / "video.mp4"))
    generate(replace(request, redo=(1,)), models, FAST, make_mesh(), quiet=True)
    after = {p.name: p.read_bytes() for p in (request.out / "segments").glob("[0-9]*.npz")}
    assert [name for name in sorted(after) if after[name] != before[name]] == ["001.npz"]
    assert report_of(request)["frames_sha256"] != report_of(finished)["frames_sha256"]
    # Frames before encoding: H.264 would spread the change over later frames.
    redone = report_of(request)["frames_sha256_by_part"]
    assert [part for part in redone if redone[part] != parts[part]] == ["seam 0|1", "sub-clip 1", "seam 1|2"]
    assert len(list(read_frames(request.out / "video.mp4"))) == len(old)
    with pytest.raises(BadInput, match="sub-clips 0 to"):
        generate(replace(request, redo=(99,)), models, FAST, make_mesh(), quiet=True)
    with pytest.raises(BadInput, match="differ"):
        generate(replace(request, redo=(1,), seed=9), models, FAST, make_mesh(), quiet=True)


@pytest.mark.parametrize(
    ("seconds", "fps", "frames"), [(0.2, "25", 5), (0.2, "48", 10), (1.01, "24", 24), (1.3, "12.5", 16)]
)
def test_exact_length(finished: Request, models: Models, tmp_path: Path, seconds: float, fps: str, frames: int) -> None:
    audio = write_speech(tmp_path / "s.wav", seconds)
    request = replace(finished, audio=audio, out=tmp_path / "out", fps=fps)
    generate(request, models, FAST, make_mesh(), quiet=True)
    assert len(list(read_frames(request.out / "video.mp4"))) == frames


@pytest.mark.xdist_group("mesh")
@pytest.mark.parametrize("spec", ["data=8", "data=4,seq=2"])
def test_meshes_agree(finished: Request, models: Models, tmp_path: Path, spec: str) -> None:
    """Latents of sub-clips on many devices against one."""
    if len(jax.devices()) < 8:
        pytest.skip("needs 8 devices")
    request = replace(finished, audio=write_speech(tmp_path / "s.wav", 1.6), out=tmp_path / "one")
    generate(request, models, FAST, make_mesh(), quiet=True)
    many = replace(request, out=tmp_path / "many")
    generate(many, models, FAST, make_mesh(spec), quiet=True)
    for path in (request.out / "segments").glob("[0-9]*.npz"):
        with np.load(path) as one, np.load(many.out / "segments" / path.name) as other:
            np.testing.assert_allclose(one["latents"], other["latents"], atol=1e-3)


@pytest.mark.parametrize("fps", ["0", "nan", "49", "abc", "12", "1/0"])
def test_bad_fps(finished: Request, models: Models, tmp_path: Path, fps: str) -> None:
    with pytest.raises(BadInput, match="--fps"):
        generate(replace(finished, fps=fps, out=tmp_path / "o"), models, FAST, make_mesh(), quiet=True)
    assert not (tmp_path / "o").exists()


def test_bad_input_writes_nothing(finished: Request, models: Models, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for change in ({"image": tmp_path / "no.png"}, {"audio": tmp_path / "no.wav"}, {"seed": -1}, {"face": "1,2"}):
        with pytest.raises(BadInput):
            generate(replace(finished, out=out, **change), models, FAST, make_mesh(), quiet=True)
    assert not out.exists()
    out.write_text("in the way")
    with pytest.raises(BadInput, match="a file of that name"):
        generate(replace(finished, out=out), models, FAST, make_mesh(), quiet=True)
