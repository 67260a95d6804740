"""Every bad or odd input of the main job through sample.py: told in three lines with status 2, or taken.

A portrait or sound that is taken gets as far as the weights, which are missing on purpose: so nothing heavy is loaded,
and a refusal of the input itself is told apart from everything that comes after it. Prompts, outputs and jobs need the
cascade; it runs with random weights on half a second of sound.
"""

import errno
import io
import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from PIL import Image

import sample
from avatar_jax.media import write_video
from avatar_jax.sampling import folder as output
from tests.e2e.untrained import QUICK, write_portrait, write_speech, write_weights

NO_WEIGHTS = "/nowhere/at/all"
Make = Callable[[Path], Path]
"""Writes one input into a folder."""


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("good")
    return {"image": write_portrait(folder / "face.png"), "audio": write_speech(folder / "speech.wav", 0.5)}


def status(inputs: dict[str, Path], out: Path, *more: str) -> int:
    given = {"out": out, "weights": NO_WEIGHTS, **inputs}
    return sample.main([f"--{name}={path}" for name, path in given.items()] + list(more))


def told(capsys: pytest.CaptureFixture[str], names: str) -> None:
    """The message has what, got, rule and fix in three lines, and names what is wrong; progress bars end in "left"."""
    seen = capsys.readouterr()
    lines = [line for line in seen.err.splitlines() if line.strip() and not line.rstrip().endswith("left")]
    assert len(lines) == 3 and lines[1].startswith("rule: ") and lines[2].startswith("fix: "), seen.err
    assert names in lines[0] and "Traceback" not in seen.err + seen.out


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def face() -> Image.Image:
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 255, (6, 5, 3), dtype=np.uint8))
    return small.resize((200, 240), Image.Resampling.BICUBIC)


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(face(), "JPEG", exif=exif)


def deep() -> bytes:
    ok, data = cv2.imencode(".png", np.asarray(face()).astype(np.uint16) * 257)
    assert ok
    return data.tobytes()


def bomb() -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header)) + bytes(100)


PORTRAITS_REFUSED: dict[str, bytes | None] = {
    "missing": None,
    "empty": b"",
    "truncated png": encoded(face(), "PNG")[:3000],
    "truncated jpeg": encoded(face(), "JPEG")[:600],
    "truncated webp": encoded(face(), "WEBP")[:100],
    "not an image": b"this is not a picture\n" * 20,
    "1x1": encoded(Image.new("RGB", (1, 1)), "PNG"),
    "16x16": encoded(Image.new("RGB", (16, 16)), "PNG"),
    "3600 megapixels": bomb(),
}
PORTRAITS_TAKEN: dict[str, Callable[[], bytes]] = {
    "50 megapixels": lambda: encoded(Image.new("RGB", (8200, 6100), (200, 150, 120)), "JPEG"),
    "cmyk": lambda: encoded(face().convert("CMYK"), "JPEG"),
    "16 bit": deep,
    "alpha": lambda: encoded(face().convert("RGBA"), "PNG"),
    "palette": lambda: encoded(face().quantize(32), "PNG"),
    "animated gif": lambda: encoded(face(), "GIF", save_all=True, append_images=[face().rotate(90)]),
    "animated webp": lambda: encoded(face(), "WEBP", save_all=True, append_images=[face().rotate(90)]),
    "exif rotated": turned,
}


@pytest.mark.parametrize("name", PORTRAITS_REFUSED)
def test_portraits_refused(name: str, good: dict, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "portrait.png"
    if (data := PORTRAITS_REFUSED[name]) is not None:
        path.write_bytes(data)
    assert status({**good, "image": path}, tmp_path / "out") == 2
    told(capsys, "portrait.png")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", PORTRAITS_TAKEN)
def test_portraits_taken(name: str, good: dict, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "portrait"
    path.write_bytes(PORTRAITS_TAKEN[name]())
    assert status({**good, "image": path}, tmp_path / "out") == 2
    told(capsys, "weights")
    assert not (tmp_path / "out").exists()


def sound(path: Path, wave: np.ndarray, rate: int, codec: str, sample_format: str, layout: str = "mono") -> Path:
    """[channels, n] float32 -> a file of the kind that its name says."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        stream.codec_context.format = sample_format
        frame = av.AudioFrame.from_ndarray(wave.astype(np.float32), format="fltp", layout=layout)
        frame.sample_rate = rate
        resampler = av.AudioResampler(format=sample_format, layout=layout, rate=rate)
        fifo = av.AudioFifo()
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            fifo.write(part)
        while (part := fifo.read(stream.codec_context.frame_size or 4096, partial=True)) is not None:
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    return path


def tone(seconds: float, rate: int, channels: int = 1) -> np.ndarray:
    return np.tile(0.3 * np.sin(np.arange(round(seconds * rate)) / 20), (channels, 1))


def wav(path: Path, wave: np.ndarray, rate: int = 16_000) -> Path:
    return sound(path, wave.reshape(1, -1), rate, "pcm_f32le", "flt")


def cut(path: Path, keep: float) -> Path:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
    return path


def with_picture(folder: Path) -> Path:
    own = write_speech(folder / "own.wav", 0.5)
    write_video(folder / "a.mp4", [np.zeros((32, 32, 3), np.uint8)] * 12, 25, 12, own)
    return folder / "a.mp4"


def filled(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


SOUNDS_REFUSED: dict[str, Make] = {
    "missing": lambda d: d / "none.wav",
    "empty": lambda d: filled(d / "a.wav", b""),
    "not a sound": lambda d: filled(d / "a.wav", b"hello " * 200),
    "truncated wav": lambda d: cut(wav(d / "a.wav", tone(2, 16_000)), 0.5),
    "truncated m4a": lambda d: cut(sound(d / "a.m4a", tone(2, 44_100), 44_100, "aac", "fltp"), 0.6),
    "0.1 s": lambda d: wav(d / "a.wav", tone(0.1, 16_000)),
    "NaN samples": lambda d: wav(d / "a.wav", np.full(8000, np.nan)),
    "21 minutes": lambda d: sound(d / "a.wav", np.zeros((1, 21 * 60 * 8000)), 8000, "pcm_u8", "u8"),
}
SOUNDS_TAKEN: dict[str, Make] = {
    "8 kHz 8-bit mono": lambda d: sound(d / "a.wav", tone(0.5, 8000), 8000, "pcm_u8", "u8"),
    "96 kHz 5.1": lambda d: sound(d / "a.wav", tone(0.5, 96_000, 6), 96_000, "pcm_s24le", "s32", "5.1"),
    "mp3": lambda d: sound(d / "a.mp3", tone(0.5, 44_100), 44_100, "libmp3lame", "fltp"),
    "ogg": lambda d: sound(d / "a.ogg", tone(0.5, 48_000), 48_000, "libopus", "s16"),
    "flac": lambda d: sound(d / "a.flac", tone(0.5, 44_100), 44_100, "flac", "s16"),
    "m4a": lambda d: sound(d / "a.m4a", tone(0.5, 44_100), 44_100, "aac", "fltp"),
    "mp4 with picture": with_picture,
    "20 minutes": lambda d: sound(d / "a.wav", np.zeros((1, 20 * 60 * 8000)), 8000, "pcm_u8", "u8"),
    "silence": lambda d: wav(d / "a.wav", np.zeros(8000)),
}


@pytest.mark.parametrize("name", SOUNDS_REFUSED)
def test_sounds_refused(name: str, good: dict, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status({**good, "audio": SOUNDS_REFUSED[name](tmp_path)}, tmp_path / "out") == 2
    told(capsys, "recording")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", SOUNDS_TAKEN)
def test_sounds_taken(name: str, good: dict, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status({**good, "audio": SOUNDS_TAKEN[name](tmp_path)}, tmp_path / "out") == 2
    told(capsys, "weights")
    assert not (tmp_path / "out").exists()


def jobs(folder: Path, *lines: object) -> Path:
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    return filled(folder / "jobs.jsonl", text.encode())


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xff\xfe\x00", None], ids=["empty", "blank", "binary", "missing"])
def test_jobs_files_refused(content: bytes | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "jobs.jsonl"
    if content is not None:
        path.write_bytes(content)
    assert status({"jobs": path}, tmp_path / "out") == 2
    told(capsys, "jobs file")
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def whole(good: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Inputs that become a video."""
    return {**good, "weights": write_weights(tmp_path_factory.mktemp("weights"))}


def run(inputs: dict[str, Path], out: Path, *more: str) -> int:
    return status(inputs, out, *QUICK, *more)


def test_a_prompt_without_end_is_refused(whole: dict, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(whole, tmp_path / "out", "--prompt=" + "x" * 20_001) == 2
    told(capsys, "--prompt")
    assert not (tmp_path / "out").exists()


def test_an_existing_folder_keeps_what_is_in_it(whole: dict, tmp_path: Path) -> None:
    own = filled(tmp_path / "notes.txt", b"mine")
    assert run(whole, tmp_path) == 0
    assert own.read_bytes() == b"mine" and (tmp_path / "video.mp4").exists()


@pytest.mark.parametrize("option", ["image", "audio", "storyline", "jobs", "out", "weights", "config"])
def test_a_name_that_no_file_can_have(option: str, good: dict, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    inputs = {} if option == "jobs" else good
    assert status({**inputs, option: tmp_path / ("x" * 300)}, tmp_path / "out", "--seed=1") == 2
    told(capsys, f"--{option}")


@pytest.mark.parametrize("where", ["a file", "below a file", "where nobody may write"])
def test_outputs_refused(where: str, whole: dict, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = filled(tmp_path / "file", b"mine")
    places = {
        "a file": file,
        "below a file": file / "out",
        "where nobody may write": Path("/proc/none/out"),
    }
    assert run(whole, places[where]) == 2
    told(capsys, "out" if where == "a file" else "cannot write")
    assert file.read_bytes() == b"mine" and list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    ("when", "code"),
    [("at the first file", errno.ENOSPC), ("at the first file", errno.EROFS), ("at the video", errno.ENOSPC)],
)
def test_a_device_that_takes_no_more(
    when: str, code: int, whole: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """Every file is there whole or not at all."""
    opened = av.open

    def full(*_: object) -> None:
        raise OSError(code, "cannot")

    def full_for_the_video(path: object, *more: object, **options: Any) -> Any:
        return full() if str(path).endswith(".video.mp4.part") else opened(path, *more, **options)

    if when == "at the first file":
        monkeypatch.setattr(output.Path, "write_bytes", full)
    else:
        monkeypatch.setattr(av, "open", full_for_the_video)
    assert run(whole, tmp_path / "out") == 2
    told(capsys, "cannot write")
    assert not (tmp_path / "out" / "video.mp4").exists() and not list(tmp_path.rglob(".*.part"))


PROMPTS = {
    "empty": "",
    "10000 characters": "sad " * 2500,
    "not text": "sad \udcff",
    "control": "hap\x00py\x1b[31m\x07 angry\u202e\u200b",
}


def test_a_bad_job_never_stops_the_others(whole: dict, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Between jobs with every odd prompt that is taken, bad ones of each kind."""
    fine = {"image": str(whole["image"]), "audio": str(whole["audio"])}
    taken = [{**fine, "name": name, "prompt": prompt} for name, prompt in PROMPTS.items()]
    bad = [
        "{not json",
        {**fine, "name": "empty"},
        {**fine, "name": "../up"},
        {**fine, "name": "\u4e00" * 100},
        {**fine, "name": "no picture", "image": "none.png"},
        {**fine, "name": "nul", "audio": "a\x00.wav"},
        {**fine, "name": "endless wish", "prompt": "x" * 20_001},
    ]
    path = jobs(tmp_path, taken[0], *bad, *taken[1:])
    assert run({"jobs": path, "weights": whole["weights"]}, tmp_path / "out") == 2
    seen = capsys.readouterr()
    assert "Traceback" not in seen.err + seen.out and len(seen.out.splitlines()) == 11
    results = [json.loads(line) for line in (tmp_path / "out" / "results.jsonl").read_text().splitlines()]
    assert [r["status"] for r in results] == ["done", *["bad input"] * 7, *["done"] * 3]
    assert all(len(r["error"].splitlines()) == 3 for r in results if r["status"] == "bad input")
    assert {p.name for p in (tmp_path / "out").iterdir()} == {*PROMPTS, "results.jsonl", ".jobs"}
    assert {p.name for p in tmp_path.iterdir()} == {"jobs.jsonl", "out"}
