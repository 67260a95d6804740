"""A folder of good and damaged videos becomes finished sets: nothing stops a run, everything refused has its reason."""

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds

from avatar_jax.media import BadInput
from data_pipeline.build import Order, Report, make_dataset
from data_pipeline.engine import LocalEngine
from data_pipeline.protocol import Clip, Head, Unencodable
from data_pipeline.records import from_lines
from data_pipeline.settings import Cut, Experts, Settings, Shards, Speech
from data_pipeline.stages import encode, faces
from data_pipeline.store import alone
from data_pipeline.synthetic.videos import DAMAGED, NAMES, write_videos

SEEDS = range(8, 10)
"""Clips this short may begin with silence; these do not."""
SETTINGS = Settings(
    cut=Cut(shortest=1.0), speech=Speech(least=0.05), experts=Experts(()), shards=Shards(clips=3, heldout=0.0)
)


@dataclass(frozen=True)
class Encoder:
    """Stands in for the codec, which takes seconds to compile."""

    version: str = "test-1"

    def encode(self, clip: Clip, storyline: str) -> dict[str, np.ndarray]:
        if "variable-rate" in clip.record.source.uri:
            raise Unencodable("not this one")
        return {"latents_TPC": np.full((clip.count, 2, 3), clip.mono.std(), np.float16)}


@dataclass(frozen=True)
class Finder:
    """Stands in for the reader, whose last bits are not the same twice where several threads share its sums."""

    version: str = "test-1"

    def find(self, frames: Sequence[np.ndarray]) -> list[list[Head]]:
        return [[Head((0.3, 0.2, 0.4, 0.5))] for _ in frames]


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encode, "encoder", lambda setting: Encoder())
        patch.setattr(faces, "finder_for", lambda frames, origin, setting: (Finder(), True))
        yield


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("raw")
    write_videos(folder, SEEDS, 144, damaged=True, seconds=1.6)
    return folder


@pytest.fixture(scope="module")
def built(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Report]:
    out = tmp_path_factory.mktemp("built")
    return out, make_dataset(Order(str(raw), str(out), SETTINGS), LocalEngine(0))


def told(out: Path) -> dict[str, str]:
    """Everything that was said of each file."""
    lines: dict[str, str] = {}
    for text in (out / "dead_letter.jsonl").read_text().splitlines():
        row = json.loads(text)
        lines[row["uri"]] = f"{lines.get(row['uri'], '')}{row['status']} {row['stage']}: {row['reason']}\n"
    return lines


EXPECTED = {
    "truncated.mp4": "rejected normalise: damaged after",
    "truncated-index.mp4": "rejected probe: not a video that can be opened",
    "no-sound.mp4": "rejected probe: no sound in the file",
    "silent.mp4": "rejected speech: a voice in 0%",
    "variable-rate.mp4": "noted normalise: variable frame rate:",
    "rotated-phone.mp4": "noted normalise: rotated: by -90 degrees",
    "hdr.mp4": "noted normalise: hdr: PQ, tone-mapped",
    "8-bit-8-khz.avi": "noted normalise: narrow sound: 8000 Hz",
    "zero-length.mp4": "rejected probe: an empty file",
    "ten-hours.mp4": "rejected probe: 10.0 hours long",
    "noise.mp4": "rejected probe: not a video that can be opened",
    "page.mp4": "rejected probe: not a video that can be opened",
    "short.mp4": "rejected cut: a shot of 0.80 s",
}


@pytest.mark.parametrize("name", EXPECTED)
def test_bad_input_has_its_reason(name: str, built: tuple[Path, Report]) -> None:
    assert EXPECTED[name] in told(built[0])[name]


def test_every_damage_is_expected_somewhere() -> None:
    assert set(DAMAGED) - set(EXPECTED) == {"spliced.mp4", "copy-in-other-bytes.mp4"}


def test_hostile_names_are_names(built: tuple[Path, Report]) -> None:
    out, report = built
    found = {record.source.uri: record.status for record in report.records}
    assert all(found[name] == "passed" for name in NAMES)
    lines = [r for path in (out / "manifests").iterdir() for r in from_lines(path.read_text())]
    assert set(NAMES) <= {r.source.uri for r in lines}


def test_repaired_clips_look_and_sound_as_the_original(built: tuple[Path, Report]) -> None:
    """All repairs end in the same pictures and sound: dedup finds one clip in six files."""
    same = ("drawn-00008", "variable", "rotated", "hdr", "8-bit", "copy-in")
    records = [r for r in built[1].records if r.source.uri.startswith(same) and r.result("dedup")]
    assert len(records) == 6 and sum(r.status == "passed" for r in records) == 1
    spliced = sorted(r.span for r in built[1].records if r.source.uri == "spliced.mp4")
    assert spliced == [(0, 38), (42, 80)]


def test_nothing_is_lost_and_nothing_is_twice(raw: Path, built: tuple[Path, Report]) -> None:
    out, report = built
    files = {p.name for p in raw.iterdir() if p.suffix in (".mp4", ".avi")}
    assert {r.source.uri for r in report.records} == files
    assert len({(r.id, r.source.uri) for r in report.records}) == len(report.records)
    passed = sorted(r.id for r in report.records if r.status == "passed")
    media = tfds.data_source("media", split="train", data_dir=out)
    assert sorted(record["clip"].decode() for record in media) == passed and len(passed) >= 6
    latents = tfds.data_source("latents", split="train", data_dir=out)
    assert len(latents) >= len(passed) - 1 and latents[0]["latents_TPC"].shape == (40, 2, 3)
    assert media[0]["video"][4:8] == b"ftyp" and media[0]["audio"].shape == (25600,)
    assert media[0]["faces_T4"].shape == (40, 4) and media[0]["licence"] == b"Apache-2.0"
    assert (out / "README.md").exists()


def test_true_storylines_are_kept(built: tuple[Path, Report]) -> None:
    by_uri = {record.source.uri: record for record in built[1].records}
    assert by_uri["drawn-00009.mp4"].facts("caption")["made_by"] == "labels"
    assert by_uri[NAMES[0]].facts("caption")["made_by"] == "rules"


def snapshot(out: Path) -> dict[str, bytes]:
    kept = [*out.glob("*/1.0.0/*.array_record*"), *(out / "manifests").iterdir()]
    return {
        p.relative_to(out).as_posix(): p.read_bytes() for p in (*kept, out / "dead_letter.jsonl", out / "shards.jsonl")
    }


class Killed(BaseException):
    pass


@dataclass
class Mortal:
    """Works in this process and dies after some items."""

    left: int

    def run(self, function, items, lost):
        for item in items:
            if self.left == 0:
                raise Killed
            self.left -= 1
            yield function(item)


def test_a_run_that_was_stopped_ends_as_one_that_was_not(raw: Path, built: tuple[Path, Report], tmp_path: Path) -> None:
    order, stops = Order(str(raw), str(tmp_path), SETTINGS), 0
    for items in (5, 24, 27, 16, 12):
        try:
            make_dataset(order, Mortal(items))
        except Killed:
            stops += 1
    assert stops == 5
    report = make_dataset(order, LocalEngine(0))
    assert snapshot(tmp_path) == snapshot(built[0])
    again = make_dataset(order, LocalEngine(0))
    assert again.times.spent == {} and again.records == report.records


def test_licence_and_review_decide_what_goes_in(raw: Path, built: tuple[Path, Report], tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    for name in ("drawn-00008.mp4", "drawn-00009.mp4"):
        shutil.copy(raw / name, tmp_path / "raw")
        with (tmp_path / "raw" / "sources.jsonl").open("a") as lines:
            lines.write(json.dumps({"uri": name, "origin": "synthetic"}) + "\n")
    order = Order(str(tmp_path / "raw"), str(tmp_path / "out"), SETTINGS, previews=True)
    held = make_dataset(order, LocalEngine(0))
    assert {r.reason for r in held.records} == {"sources: no licence and no consent is told for it"} and not held.shards
    order = replace(order, licence="CC0-1.0", consent="signed")
    report = make_dataset(order, LocalEngine(0))
    assert sum(row["clips"] for row in report.shards) == 4
    rows = [json.loads(line) for line in (tmp_path / "out" / "clips.jsonl").read_text().splitlines()]
    assert all((tmp_path / "out" / row["video"]).stat().st_size > 1000 for row in rows)
    (tmp_path / "out" / "review").mkdir()
    decisions = tmp_path / "out" / "review" / "decisions.jsonl"
    decisions.write_text(json.dumps({"clip": rows[0]["clip"], "decision": "reject", "reasons": ["blurred"]}) + "\n")
    report = make_dataset(order, LocalEngine(0))
    assert sum(row["clips"] for row in report.shards) == 2
    assert "rejected by reviewers: blurred" in (tmp_path / "out" / "dead_letter.jsonl").read_text()
    names = {p.name for p in (tmp_path / "out" / "media" / "1.0.0").glob("*.array_record*")}
    assert names == {"media-train.array_record-00000-of-00001"}


def test_mistakes_are_told(tmp_path: Path, raw: Path) -> None:
    with pytest.raises(BadInput, match="no such folder"):
        make_dataset(Order(str(tmp_path / "none"), str(tmp_path / "out"), SETTINGS), LocalEngine(0))
    with alone(str(tmp_path / "busy")), pytest.raises(BadInput, match="another build is at work"):
        make_dataset(Order(str(raw), str(tmp_path / "busy"), SETTINGS), LocalEngine(0))
    (tmp_path / "sources.jsonl").write_text('{"uri": "a.mp4", "lisence": "CC0"}\n')
    with pytest.raises(BadInput, match="line 1"):
        make_dataset(Order(str(tmp_path), str(tmp_path / "out"), SETTINGS), LocalEngine(0))
