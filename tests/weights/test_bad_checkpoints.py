"""Every way in which a checkpoint can be wrong: one clear message, exit status 2, no output."""

import json
import pickle
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from avatar_jax.weights import __main__ as command
from tests.weights.tiny import ORIGINAL_SIZES, tiny_tensors, write

NAME = "wan_t2v_1_3b"
FILE = "diffusion_pytorch_model.safetensors"


def refused(folder: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch, *more: str) -> str:
    """What the command prints as it refuses; checks the status and that nothing is left behind."""
    out = folder.parent / "out"
    arguments = ["weights", "--source", str(folder), "--out", str(out), *more]
    monkeypatch.setattr(sys, "argv", arguments if "--family" in more else [*arguments, "--family", NAME])
    assert command.main() == 2
    assert sorted(path.name for path in folder.parent.iterdir() if "out" in path.name) == []
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "Traceback" not in printed.err
    return printed.err


def cut(folder: Path) -> None:
    data = (folder / FILE).read_bytes()
    (folder / FILE).write_bytes(data[:-100])


def longer(folder: Path) -> None:
    (folder / FILE).write_bytes((folder / FILE).read_bytes() + b"more")


def empty(folder: Path) -> None:
    (folder / FILE).write_bytes(b"")


def scrambled(folder: Path) -> None:
    data = bytearray((folder / FILE).read_bytes())
    data[8:40] = b"\xff" * 32
    (folder / FILE).write_bytes(data)


def endless_header(folder: Path) -> None:
    data = bytearray((folder / FILE).read_bytes())
    data[:8] = (2**60).to_bytes(8, "little")
    (folder / FILE).write_bytes(data)


def overlapping(folder: Path) -> None:
    header = {
        "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
        "b": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]},
    }
    text = json.dumps(header).encode()
    (folder / FILE).write_bytes(len(text).to_bytes(8, "little") + text + bytes(12))


def nonsense_entry(folder: Path) -> None:
    text = json.dumps({"a": {"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]}}).encode()
    (folder / FILE).write_bytes(len(text).to_bytes(8, "little") + text + bytes(8))


def pickle_inside(folder: Path) -> None:
    (folder / FILE).write_bytes(pickle.dumps({"a": list(range(1000))}))


def only_a_pickle(folder: Path) -> None:
    (folder / FILE).rename(folder / "pytorch_model.bin")


def no_weights(folder: Path) -> None:
    (folder / FILE).unlink()


def broken_config(folder: Path) -> None:
    (folder / "config.json").write_text('{"dim": ')


def twice(folder: Path) -> None:
    (folder / "again.safetensors").write_bytes((folder / FILE).read_bytes())


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut, "bytes of tensors were promised"),
        (longer, "bytes of tensors were promised"),
        (empty, "header of 0 bytes does not fit a file of 0"),
        (scrambled, "header is not JSON"),
        (endless_header, "does not fit a file"),
        (overlapping, "b begins at byte 4 of the data, expected 8"),
        (nonsense_entry, "a is F32 [-2]"),
        (pickle_inside, "refused a pickle"),
        (only_a_pickle, "refused a pickle"),
        (no_weights, "no weights in this folder"),
        (broken_config, "cannot read JSON"),
        (twice, "a tensor is there twice"),
    ],
)
def test_damaged_folders(
    damage: Callable[[Path], None], message: str, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write(tmp_path / "public", tiny_tensors(NAME), ORIGINAL_SIZES)
    damage(folder)
    printed = refused(folder, capsys, monkeypatch)
    assert message in printed
    assert len(printed.strip().splitlines()) == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda index: index["weight_map"].update({"head.head.bias": "absent-00009.safetensors"}), "absent-00009"),
        (lambda index: index["weight_map"].update({"head.head.bias": "../../secret.safetensors"}), "leaves its folder"),
        (lambda index: index["weight_map"].update({"head.head.bias": "/etc/passwd"}), "leaves its folder"),
        (lambda index: index["weight_map"].update({"no.such.key": "FIRST"}), "index and shards differ"),
        (lambda index: index.pop("weight_map"), "cannot read index"),
        (lambda index: index["weight_map"].update({"head.head.bias": "old.bin"}), "shards are missing"),
    ],
)
def test_damaged_indices(
    change: Callable[[dict], object], message: str, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write(tmp_path / "public", tiny_tensors(NAME), ORIGINAL_SIZES, shards=2)
    path = next(folder.glob("*.index.json"))
    index = json.loads(path.read_text())
    first = next(iter(index["weight_map"].values()))
    change(index)
    path.write_text(json.dumps(index).replace("FIRST", first))
    assert message in refused(folder, capsys, monkeypatch)


def test_all_keys_that_do_not_fit_are_in_one_table(tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    tensors = tiny_tensors(NAME)
    del tensors["blocks.1.ffn.0.bias"], tensors["head.modulation"]
    tensors["blocks.0.self_attn.q.weight"] = np.zeros((48, 47), np.float32)
    tensors["blocks.0.surplus"] = np.zeros(3, np.float32)
    tensors["text_embedding.0.bias"] = np.zeros(48, np.int8)
    printed = refused(write(tmp_path / "public", tensors, ORIGINAL_SIZES), capsys, monkeypatch).splitlines()
    rows = {line.split()[1]: line.split()[0] for line in printed[1:-3]}
    assert rows == {
        "blocks.1.ffn.0.bias": "missing",
        "head.modulation": "missing",
        "blocks.0.surplus": "unexpected",
        "blocks.0.self_attn.q.weight": "shape",
        "text_embedding.0.bias": "dtype",
    }
    assert "2 missing, 1 unexpected, 1 of another shape" in printed[-3]


@pytest.mark.parametrize(
    ("family", "config", "fix"),
    [
        ("wan_i2v_14b", {"model_type": "t2v", "dim": 1536, "num_heads": 12, "num_layers": 30, "in_dim": 16}, "t2v"),
        ("wan_t2v_14b", {"model_type": "t2v", "dim": 1536, "num_heads": 12, "num_layers": 30, "ffn_dim": 8960}, "1_3b"),
        ("wan_t2v_1_3b", {"model_type": "vace", "dim": 48}, "checkpoint that this family names"),
        ("wan_t2v_1_3b", {"d_model": 4096, "model_type": "umt5"}, "checkpoint that this family names"),
        ("wan_t2v_1_3b", ORIGINAL_SIZES | {"patch_size": [1, 1, 1]}, "checkpoint that this family names"),
        ("wan_flf2v_14b", {"num_attention_heads": 4, "attention_head_dim": 12, "in_channels": 36, "image_dim": 20}, ""),
    ],
)
def test_wrong_families(
    family: str, config: dict, fix: str, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write(tmp_path / "public", tiny_tensors(NAME), config)
    printed = refused(folder, capsys, monkeypatch, "--family", family)
    assert printed.startswith("wrong family")
    assert fix in printed.splitlines()[-1]


def test_a_family_that_its_config_does_not_betray_fails_by_its_keys(
    tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write(tmp_path / "public", tiny_tensors("wan_i2v_14b"), ORIGINAL_SIZES)
    printed = refused(folder, capsys, monkeypatch, "--family", "skyreels_a2v_19b")
    assert "audio_proj.proj1.weight" in printed
    assert "26 missing" in printed


def test_unknown_names(tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path / "public", tiny_tensors(NAME), ORIGINAL_SIZES)
    assert "fix: --family wan_t2v_14b" in refused(folder, capsys, monkeypatch, "--family", "wan_t2v_14")
    assert "weights not found" in refused(tmp_path / "nowhere", capsys, monkeypatch)
    assert "Mesh" in refused(folder, capsys, monkeypatch, "--mesh", "rows=2")


def test_the_command_converts(tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path / "public", tiny_tensors(NAME), ORIGINAL_SIZES)
    out = tmp_path / "out"
    monkeypatch.setattr(sys, "argv", ["w", "--source", str(folder), "--out", str(out), "--family", NAME])
    assert command.main() == 0
    assert "tensors, original keys" in capsys.readouterr().out
    assert (out / "weights.json").is_file()
