"""Records come back as written; batches are the same whoever reads them, from wherever reading begins."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from data_pipeline.loader import LoaderConfig, batches
from data_pipeline.source import RecordSource, RecordWriter, decode, encode


def write(path: Path, numbers: range) -> None:
    with RecordWriter(path) as writer:
        for n in numbers:
            writer.write({"n": np.int32(n), "x": np.full((2, 3), n, np.float16), "text": f"shot {n} 你好"})


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> RecordSource:
    folder = tmp_path_factory.mktemp("records")
    write(folder / "b.array_record", range(7, 20))
    write(folder / "a.array_record", range(7))
    return RecordSource(folder)


def example(record: dict, rng: np.random.Generator) -> dict[str, np.ndarray]:
    return {"n": record["n"], "noise": rng.normal()}


def read(source: RecordSource, count: int, **options) -> list[dict]:
    return list(islice(batches(source, LoaderConfig(batch=4, seed=5), example, **options), count))


def test_records_come_back_from_all_files(source: RecordSource) -> None:
    assert len(source) == 20
    assert [int(r["n"]) for r in source] == list(range(20))
    assert source[9]["x"].dtype == np.float16
    assert str(source[9]["text"]) == "shot 9 你好"


def test_encoding_is_stable_and_needs_no_pickle() -> None:
    record = {"a": np.arange(3), "b": 1.5}
    assert encode(record) == encode(record)
    assert decode(encode(record))["b"] == 1.5
    with pytest.raises(ValueError, match="allow_pickle"):
        encode({"a": np.array([object()])})


def test_a_failed_writer_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), RecordWriter(tmp_path / "a.array_record") as writer:
        writer.write({"n": np.int32(1)})
        raise RuntimeError
    assert not list(tmp_path.iterdir())
    with pytest.raises(FileNotFoundError, match="data_pipeline"):
        RecordSource(tmp_path)


def test_an_epoch_holds_every_record_once_and_epochs_differ(source: RecordSource) -> None:
    order = [int(n) for batch in read(source, 10) for n in batch["n"]]
    assert sorted(order[:20]) == sorted(order[20:]) == list(range(20))
    assert order[:20] not in (order[20:], list(range(20)))


def test_reading_begins_at_any_batch_with_the_same_examples(source: RecordSource) -> None:
    whole, later = read(source, 9), read(source, 3, start=6)
    for a, b in zip(whole[6:], later, strict=True):
        np.testing.assert_array_equal(a["n"], b["n"])
        np.testing.assert_array_equal(a["noise"], b["noise"])


def test_hosts_read_disjoint_shares_that_make_the_epoch(source: RecordSource) -> None:
    shares = [[int(n) for b in read(source, 5, host=h, hosts=2) for n in b["n"]] for h in (0, 1)]
    assert sorted(shares[0] + shares[1]) == list(range(20))
    with pytest.raises(ValueError, match="3 hosts"):
        read(source, 1, hosts=3)
