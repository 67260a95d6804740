"""The quota table, and sets frozen from a folder of licensed material."""

import json
import shutil
import wave
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from avatar_jax.evaluation.__main__ import main
from avatar_jax.evaluation.benchmark import composition as c
from avatar_jax.evaluation.benchmark.compose import Item, choose, compose
from avatar_jax.evaluation.benchmark.manifest import faults_of, read_set
from avatar_jax.media import BadInput

LICENCE = "CC-BY-4.0"


def sound(path: Path, seconds: float, pitch: float) -> None:
    at = np.arange(int(8000 * seconds)) / 8000
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes((8000 * np.sin(2 * np.pi * pitch * at)).astype(np.int16).tobytes())


def picture(path: Path, size: tuple[int, int], shade: int) -> None:
    Image.fromarray(np.full((size[1], size[0], 3), shade, np.uint8)).save(path)


def index(folder: Path, name: str, rows: list[dict]) -> None:
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four portraits (one of them unlicensed, one too small), four recordings (one too short), two prompts."""
    home = tmp_path / "material"
    home.mkdir()
    person = {"licence": LICENCE, "origin": "real", "kind": "human", "ethnicity": "black", "framing": "half-body"}
    for i, size in enumerate([(480, 640), (640, 480), (500, 500), (300, 400)]):
        picture(home / f"p{i}.png", size, 40 * i + 40)
    index(
        home,
        "portraits.jsonl",
        [
            {"file": "p0.png", **person},
            {"file": "p1.png", **person, "kind": "non-human"},
            {"file": "p2.png", **person, "licence": "unknown"},
            {"file": "p3.png", **person},
        ],
    )
    told = {"licence": LICENCE, "language": "zh", "voice": "speech", "rate": "slow"}
    for i, seconds in enumerate((8.0, 16.0, 2.0, 9.0)):
        sound(home / f"r{i}.wav", seconds, 200 + 50 * i)
    index(home, "recordings.jsonl", [{"file": f"r{i}.wav", **told} for i in range(4)])
    wish = {"licence": LICENCE, "emotion": "anger", "intensity": "high", "action": "nod", "camera": "pan_left"}
    index(home, "prompts.jsonl", [{"prompt": "angry, nods", **wish}, {"prompt": "very angry", **wish}])
    return home


def test_the_published_counts() -> None:
    """SPEC: 340 human and 35 non-human portraits, half of them generated; 150 zh, 150 en, 35 ko, 40 ja."""
    exact = {(q.tag, q.name): q.count for q in c.COMPOSITION if q.exact}
    assert exact == {
        ("origin", "real"): 188, ("origin", "generated"): 187, ("kind", "human"): 340, ("kind", "non-human"): 35,
        ("language", "zh"): 150, ("language", "en"): 150, ("language", "ko"): 35, ("language", "ja"): 40,
    }  # fmt: skip
    for tag in ("origin", "kind", "language"):
        assert sum(count for (of, _), count in exact.items() if of == tag) == c.CASES
    least = {q.tag for q in c.COMPOSITION if not q.exact}
    assert least == {"ethnicity", "framing", "aspect", "voice", "rate", "length", "emotion", "intensity", "action"} | {
        "camera",
        "background",
    }


def test_held_counts_what_is_missing_and_what_is_too_much() -> None:
    rows = c.held(c.exactly("kind", human=2, non_human=1) + c.least("voice", 2, "song"), [{"kind": "human"}] * 3)
    assert [(row.count, row.missing) for row in rows] == [(3, -1), (0, 1), (0, 2)]
    text = c.as_text(rows)
    assert "1 too many" in text and "unmet: kind human (-1), kind non-human (1), voice song (2)" in text
    assert (c.length_of(8.0), c.length_of(15.0), c.length_of(120.0), c.length_of(2.0)) == (
        "8-15 s", "15-30 s", "60-120 s", "under 8 s",
    )  # fmt: skip


def test_choosing_keeps_exact_quotas_and_takes_the_scarce_first() -> None:
    quotas = c.exactly("kind", human=3, non_human=2) + c.least("aspect", 2, "vertical")
    rows = [("human", "square")] * 6 + [("non-human", "square")] * 2 + [("human", "vertical")] * 2
    items = [Item(str(i), None, LICENCE, {"kind": kind, "aspect": aspect}) for i, (kind, aspect) in enumerate(rows)]
    picked = choose(items, quotas, 5)
    assert all(row.missing == 0 for row in c.held(quotas, [item.tags for item in picked]))
    assert len({item.key for item in picked}) == 5
    again = choose(items[:2], (), 5, again=True)
    assert sorted(item.key for item in again) == ["0", "0", "0", "1", "1"]


def test_compose_freezes_licensed_material_only(folder: Path, tmp_path: Path) -> None:
    made = compose(folder, tmp_path / "set")
    reasons = dict(made.refused)
    assert len(made.cases) == 2, "two portraits may be used"
    assert reasons["portraits.jsonl line 3 (p2.png)"] == "no licence"
    assert "480" in reasons["portraits.jsonl line 4 (p3.png)"]
    assert "2.0 s" in reasons["recordings.jsonl line 3 (r2.wav)"]
    cases = read_set(tmp_path / "set")
    assert cases == made.cases and all(not fault for _, fault in faults_of(tmp_path / "set", cases))
    assert {case.tags["aspect"] for case in cases} == {"vertical", "horizontal"}
    assert all(LICENCE in case.licence and case.tags["emotion"] == "anger" for case in cases)
    with pytest.raises(BadInput, match="frozen"):
        compose(folder, tmp_path / "set")


def test_the_same_material_gives_the_same_set(folder: Path, tmp_path: Path) -> None:
    """Whatever the files are called and in which order they are listed."""
    first = compose(folder, tmp_path / "first").cases
    lines = (folder / "portraits.jsonl").read_text().splitlines()
    shutil.move(folder / "p0.png", folder / "zz.png")
    (folder / "portraits.jsonl").write_text("\n".join(reversed([line.replace("p0.png", "zz.png") for line in lines])))
    assert compose(folder, tmp_path / "second").cases == first


def test_check_finds_what_changed(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = tmp_path / "set"
    assert main(["benchmark", "compose", str(folder), "--out", str(home)]) == 0
    assert "unmet: origin real (186)" in capsys.readouterr().out
    assert main(["benchmark", "check", str(home)]) == 0
    one, other = read_set(home)
    (home / one.audio).write_bytes(b"other")
    (home / other.portrait).unlink()
    assert main(["benchmark", "check", str(home)]) == 1
    told = capsys.readouterr().out
    assert f"{one.audio} has changed" in told and f"{other.portrait} is missing" in told and "2 of them" in told


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "nowhere"],
        ["compose", "nowhere", "--out", "set"],
        ["edition", "--out", "set", "--cases", "376"],
        ["edition", "--out", "set", "--seconds", "0.1"],
        ["systems", "--set", "nowhere", "--out", "x"],
        ["rank", "--set", "nowhere", "--systems", "x", "--out", "y"],
        ["check", "set", "--unknown"],
    ],
)
def test_mistakes_are_three_lines_and_leave_nothing(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["benchmark", *arguments]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 3
    assert not list(tmp_path.iterdir())


def test_a_manifest_may_not_point_outside(folder: Path, tmp_path: Path) -> None:
    compose(folder, tmp_path / "set")
    path = tmp_path / "set" / "manifest.jsonl"
    path.write_text(path.read_text().replace("portraits/", "../portraits/"))
    with pytest.raises(BadInput, match="relative"):
        read_set(tmp_path / "set")
