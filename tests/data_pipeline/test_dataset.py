"""Finished sets: read back by TFDS without TensorFlow, same bytes each time, nothing without licence and consent."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds

from avatar_jax.media import BadInput
from data_pipeline.dataset import shard
from data_pipeline.dataset.card import write_card
from data_pipeline.dataset.manifest import described
from data_pipeline.dataset.provenance import SYNTHETIC, Provenance, load_sources, save_sources
from data_pipeline.dataset.schema import LatentExample, MediaExample, Score, is_there
from data_pipeline.records import Record, Result
from data_pipeline.records import Source as RawSource


def media(number: int, source: Provenance = SYNTHETIC) -> MediaExample:
    return MediaExample(
        clip=f"{number:064x}",
        source=source,
        fps=25.0,
        frames=3,
        size=(64, 48),
        caption="she smiles 你好",
        scores={"sync": Score(number / 10, 0.3, number > 2, "1"), "taste": Score(None, None, False)},
        mouths_T4=np.full((3, 4), number, np.float32),
        video=b"\0mp4" * (number + 1),
        audio=np.arange(number, dtype=np.int16),
    )


def latents(number: int) -> LatentExample:
    shape = (5, 4, 3)
    return LatentExample(
        "c" * number, SYNTHETIC, 25.0, 5, (64, 64), latents_TPC=np.full(shape, number, np.float16), grid=(2, 2)
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = shard.set_folder(tmp_path_factory.mktemp("set"), "media")
    for index in range(2):
        path = shard.shard_path(folder, index, 2)
        assert shard.write_shard((media(n) for n in range(4 * index, 4 * index + 4)), path) == 4
    shard.write_shard([media(100)], shard.shard_path(folder, 0, 1, "heldout"))
    shard.write_metadata(folder)
    return folder


def test_tfds_reads_what_was_written(folder: Path) -> None:
    records = tfds.builder_from_directory(folder).as_data_source(split="train")
    assert len(records) == 8
    record = records[5]
    assert record["video"] == b"\0mp4" * 6 and record["audio"].tolist() == [0, 1, 2, 3, 4]
    assert record["caption"].decode() == "she smiles 你好" and record["size"].tolist() == [64, 48]
    assert record["scores"]["expert"] == [b"sync", b"taste"]
    np.testing.assert_allclose(record["scores"]["value"], [0.5, np.nan])
    assert [bool(x) for x in record["scores"]["passed"]] == [True, False]
    assert record["mouths_T4"].shape == (3, 4) and record["faces_T4"].shape == (0, 4)
    heldout = tfds.data_source("media", split="heldout", data_dir=folder.parent.parent)
    assert len(heldout) == 1 and heldout[0]["licence"] == b"Apache-2.0"
    assert "tensorflow" not in sys.modules


def test_latents_are_a_set_of_their_own(tmp_path: Path) -> None:
    folder = shard.set_folder(tmp_path, "latents")
    shard.write_shard([latents(1), latents(2)], shard.shard_path(folder, 0, 1))
    shard.write_metadata(folder)
    record = tfds.data_source("latents", split="train", data_dir=tmp_path)[1]
    assert record["latents_TPC"].dtype == np.float16 and (record["latents_TPC"] == 2).all()
    assert record["latents_TPC"].shape == (5, 4, 3) and record["shots_S2"].shape == (0, 2)
    assert is_there(record["latents_TPC"]) and not is_there(record["labels_TK"])
    with pytest.raises(ValueError, match="MediaExample in the set latents"):
        shard.write_shard([media(0)], shard.shard_path(folder, 0, 1))


def test_same_records_same_bytes_and_nothing_half_written(folder: Path, tmp_path: Path) -> None:
    again = shard.shard_path(shard.set_folder(tmp_path, "media"), 0, 2)
    shard.write_shard((media(n) for n in range(4)), again)
    assert again.read_bytes() == shard.shard_path(folder, 0, 2).read_bytes()

    def failing():
        yield media(0)
        raise OSError("disk full")

    broken = shard.shard_path(again.parent, 1, 2)
    with pytest.raises(OSError, match="disk full"):
        shard.write_shard(failing(), broken)
    left = {p.relative_to(again.parent).as_posix() for p in again.parent.rglob("*") if p.is_file()}
    assert left == {again.name, "index/train-00000-of-00002.jsonl"}
    with pytest.raises(BadInput, match="1 shards of 2"):
        shard.write_metadata(again.parent)


def test_index_tells_what_records_hold(folder: Path) -> None:
    lines = list(shard.read_index(folder))
    assert [int(line["clip"], 16) for line in lines] == list(range(8))
    assert lines[3]["scores"]["sync"] == {"value": 0.3, "threshold": 0.3, "passed": True} and lines[3]["size"] == [
        64,
        48,
    ]


def test_provenance_is_counted_by_licence(tmp_path: Path) -> None:
    folder = shard.set_folder(tmp_path, "media")
    sources = (Provenance("tv", "CC0-1.0", "signed"), Provenance("tv", "all rights reserved", "signed"), SYNTHETIC)
    shard.write_shard([media(n, s) for n, s in enumerate(sources)], shard.shard_path(folder, 0, 1))
    shard.write_metadata(folder)
    told = json.loads((folder / "provenance.json").read_text())
    assert [(row["source"], row["licence"], row["clips"], row["seconds"]) for row in told] == [
        ("synthetic", "Apache-2.0", 1, 0.12),
        ("tv", "CC0-1.0", 1, 0.12),
        ("tv", "all rights reserved", 1, 0.12),
    ]


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"consent": "signed"}, "no licence"),
        ({"licence": "CC0-1.0"}, "no consent"),
        ({"licence": "CC0-1.0", "consent": "  "}, "no consent"),
        ({"licence": "unknown", "consent": "signed"}, "no licence"),
        ({"licence": 3, "consent": "signed"}, "no licence"),
        ({"licence": "CC0-1.0", "consent": "signed", "wieght": 2}, "unknown field wieght"),
        ({"licence": "CC0-1.0", "consent": "signed", "weight": 0}, "weight 0"),
        ("CC0-1.0", "not an object"),
    ],
)
def test_a_source_without_licence_or_consent_is_refused(entry: object, told: str, tmp_path: Path) -> None:
    path = tmp_path / "sources.json"
    path.write_text(json.dumps({"tv": entry}))
    with pytest.raises(BadInput, match=told) as error:
        load_sources(path)
    assert len(str(error.value).splitlines()) == 3


def test_sources_come_back(tmp_path: Path) -> None:
    sources = {"synthetic": SYNTHETIC, "tv": Provenance("tv", "CC0-1.0", "signed", "here", 2.5)}
    save_sources(tmp_path / "sources.json", sources)
    assert load_sources(tmp_path / "sources.json") == sources
    with pytest.raises(BadInput, match="No such file"):
        load_sources(tmp_path / "none.json")


def test_manifest_lines_become_examples() -> None:
    found = (
        Result("cut", "1", "passed"),
        Result("experts.sync", "2", "passed", score=4.5, threshold=3.0),
        Result("experts.taste", "1", "unavailable", "no weights", threshold=0.5),
    )
    raw = RawSource("tv/a.mp4", "c0", "CC0-1.0", "signed", language="ko")
    arguments = described(Record("id7", raw, (10, 60), found), (48, 64))
    example = MediaExample(**arguments, video=b"x")
    assert example.frames == 50 and example.source == Provenance("tv", "CC0-1.0", "signed", "tv/a.mp4")
    assert example.scores == {"sync": Score(4.5, 3.0, True, "2"), "taste": Score(None, 0.5, False, "1")}
    with pytest.raises(BadInput, match="source recorded: no licence"):
        described(Record("id8", RawSource("b.mp4", "c1")), (48, 64))


def test_card_shows_every_score(folder: Path) -> None:
    out = folder.parent.parent
    card = write_card(out).read_text()
    assert "| media | train | 8 |" in card and "| synthetic | Apache-2.0 |" in card
    # Of nine clips the sync expert has judged all and passed six; nobody had weights for taste.
    assert "| sync | 0.3 | 9 | 0 | 6 |" in card and "| taste | - | 0 | 9 | 0 | - |" in card
    for name in ("sync", "taste", "seconds"):
        picture = out / "histograms" / f"{name}.png"
        before = picture.read_bytes()
        assert f"histograms/{name}.png" in card and before[:4] == b"\x89PNG"
        write_card(out)
        assert picture.read_bytes() == before
    with pytest.raises(BadInput, match="no set"):
        write_card(out / "media")
