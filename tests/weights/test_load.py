"""Public checkpoints through the converter: nothing lost, both layouts alike, any mesh, overlays, experts, resuming."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from avatar_jax.mesh import make_mesh
from avatar_jax.weights.encoder_keys import umt5_target
from avatar_jax.weights.families import dit_target
from avatar_jax.weights.folder import Folder
from avatar_jax.weights.load import Loaded, Request, convert, load
from avatar_jax.weights.mapping import by_path
from avatar_jax.weights.rename import DIFFUSERS, ORIGINAL
from avatar_jax.weights.ship import WeightsError
from avatar_jax.weights.stream import contiguous
from tests.weights.tiny import ORIGINAL_SIZES, Arrays, tiny_family, tiny_tensors, write

TALKING = "infinitetalk_14b"


def public(name: str, params: dict, layout: str = ORIGINAL) -> Arrays:
    table = next(m for m in dit_target(tiny_family(name)).mappings if m.name == layout)
    return table.public_arrays(jax.device_get(params))


def loaded(name: str, folder: Path, mesh: str = "", dtype: type = jnp.float32, **more: tuple[str, ...]) -> Loaded:
    return load(Request(name, str(folder), **more), make_mesh(mesh), dtype)


def assert_equal(found: Arrays, expected: Arrays) -> None:
    assert found.keys() == expected.keys()
    for key, x in expected.items():
        np.testing.assert_array_equal(found[key], x, err_msg=key)


@pytest.mark.parametrize("layout", [ORIGINAL, DIFFUSERS])
def test_every_number_comes_back_under_its_public_name(layout: str, tmp_path: Path) -> None:
    tensors = tiny_tensors(TALKING, layout)
    found = loaded(TALKING, write(tmp_path, tensors, ORIGINAL_SIZES, shards=3), "fsdp=2,tensor=4")
    assert_equal(public(TALKING, found.params, layout), tensors)
    kernel = found.params["dit"]["blocks"]["layers"]["ffn"]["up"]["kernel"]
    assert kernel.shape == (2, 48, 64)
    assert kernel.sharding.shard_shape(kernel.shape) == (2, 24, 16)


def test_a_folder_with_q_audio_loads_with_and_without_it(tmp_path: Path) -> None:
    name = "echomimic_v3_flash"
    tensors = tiny_tensors(name)
    living = {key: x for key, x in tensors.items() if "q_audio" not in key}
    assert len(tensors) - len(living) == 4
    for folder, held in (("all", tensors), ("living", living)):
        found = loaded(name, write(tmp_path / folder, held, ORIGINAL_SIZES))
        assert_equal(public(name, found.params), living)


def test_overlays_win_in_order_and_may_use_the_other_layout(tmp_path: Path) -> None:
    tensors = tiny_tensors(TALKING)
    sound = {key: x for key, x in tensors.items() if "audio" in key or "norm_x" in key}
    base = tiny_tensors("wan_i2v_14b", DIFFUSERS, seed=1)
    write(tmp_path / "base", base, ORIGINAL_SIZES)
    first = write(tmp_path / "first", sound | {"head.head.bias": 0 * tensors["head.head.bias"]})
    last = write(tmp_path / "last", {"head.head.bias": tensors["head.head.bias"]})
    found = loaded(TALKING, tmp_path / "base", overlays=(str(first), str(last / "diffusion_pytorch_model.safetensors")))
    assert_equal(public(TALKING, found.params, DIFFUSERS), base | sound | {"proj_out.bias": tensors["head.head.bias"]})
    assert "overlays replace 2 tensors of earlier sources" in found.notes


def test_an_index_decides_what_a_folder_holds(tmp_path: Path) -> None:
    tensors = tiny_tensors("wan_t2v_1_3b")
    write(tmp_path, tensors, ORIGINAL_SIZES, shards=2)
    write(tmp_path / "other", {"something.else": np.ones(3, np.float32)})
    (tmp_path / "other" / "diffusion_pytorch_model.safetensors").rename(tmp_path / "unrelated.safetensors")
    assert_equal(public("wan_t2v_1_3b", loaded("wan_t2v_1_3b", tmp_path).params), tensors)


def test_two_experts_lie_in_two_folders(tmp_path: Path) -> None:
    name = "wan2_2_i2v_a14b"
    high, low = tiny_tensors(name, seed=1), tiny_tensors(name, seed=2)
    write(tmp_path / "high_noise_model", high, ORIGINAL_SIZES)
    with pytest.raises(WeightsError, match="low-noise expert"):
        loaded(name, tmp_path)
    write(tmp_path / "low_noise_model", low, ORIGINAL_SIZES)
    found = loaded(name, tmp_path).params
    assert_equal(public(name, found["high"]), high)
    assert_equal(public(name, found["low"]), low)
    convert(Request(name, str(tmp_path)), tmp_path / "out", make_mesh(), jnp.float32)
    again = loaded(name, tmp_path / "out").params
    assert_equal(public(name, again["low"]), low)


@pytest.mark.parametrize(("mesh", "dtype"), [("", jnp.float32), ("fsdp=2,tensor=4", jnp.bfloat16)])
def test_a_converted_folder_equals_direct_loading(mesh: str, dtype: type, tmp_path: Path) -> None:
    folder = write(tmp_path / "public", tiny_tensors(TALKING), ORIGINAL_SIZES, shards=2)
    convert(Request(TALKING, str(folder)), tmp_path / "out", make_mesh(mesh), dtype)
    direct = by_path(loaded(TALKING, folder, "tensor=2", dtype).params)
    again = by_path(loaded(TALKING, tmp_path / "out", "tensor=2", dtype).params)
    assert again.keys() == direct.keys()
    for path, x in direct.items():
        assert (again[path].dtype, again[path].sharding) == (x.dtype, x.sharding), path
        np.testing.assert_array_equal(again[path], x, err_msg=path)


def test_bfloat16_keeps_vectors_tables_and_the_time_embedding(tmp_path: Path) -> None:
    found = by_path(loaded(TALKING, write(tmp_path, tiny_tensors(TALKING), ORIGINAL_SIZES), dtype=jnp.bfloat16).params)
    rounded = {path for path, x in found.items() if x.dtype == jnp.bfloat16}
    assert rounded == {path for path in found if path.endswith("kernel")} - {
        "dit/time_embedding/0/kernel",
        "dit/time_embedding/2/kernel",
    }


def test_mixed_dtypes_are_cast_and_said(tmp_path: Path) -> None:
    tensors = tiny_tensors("wan_t2v_1_3b")
    mixed = {key: x.astype(np.float16) if x.ndim == 2 else x for key, x in tensors.items()}
    found = loaded("wan_t2v_1_3b", write(tmp_path, mixed, ORIGINAL_SIZES))
    assert_equal(public("wan_t2v_1_3b", found.params), {key: x.astype(np.float32) for key, x in mixed.items()})
    assert any(note.startswith("mixed dtypes") for note in found.notes)


def test_an_interrupted_conversion_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, out = write(tmp_path / "public", tiny_tensors("wan_t2v_1_3b"), ORIGINAL_SIZES), tmp_path / "out"
    request, puts = Request("wan_t2v_1_3b", str(folder)), []
    put = Folder.put

    def failing(self: Folder, place, numbers) -> None:
        puts.append(place.path)
        if len(puts) == 20:
            raise KeyboardInterrupt
        put(self, place, numbers)

    monkeypatch.setattr(Folder, "put", failing)
    with pytest.raises(KeyboardInterrupt):
        convert(request, out, make_mesh(), jnp.float32)
    assert not out.exists()
    convert(request, out, make_mesh(), jnp.float32)
    total = len(tiny_tensors("wan_t2v_1_3b"))
    assert len(puts) == total + 1, "the nineteen that were done are not done again"
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []
    assert_equal(public("wan_t2v_1_3b", loaded("wan_t2v_1_3b", out).params), tiny_tensors("wan_t2v_1_3b"))
    with pytest.raises(WeightsError, match="output exists"):
        convert(request, out, make_mesh(), jnp.float32)


def test_another_request_does_not_go_on_with_the_leftovers(tmp_path: Path) -> None:
    old, new = tiny_tensors("wan_t2v_1_3b", seed=1), tiny_tensors("wan_t2v_1_3b", seed=2)
    out = tmp_path / "out"
    convert(Request("wan_t2v_1_3b", str(write(tmp_path / "a", old, ORIGINAL_SIZES))), out, make_mesh(), jnp.float32)
    leftovers = tmp_path / ".out.part"
    out.rename(leftovers)
    (leftovers / "unfinished.json").write_text((leftovers / "weights.json").read_text())
    convert(Request("wan_t2v_1_3b", str(write(tmp_path / "b", new, ORIGINAL_SIZES))), out, make_mesh(), jnp.float32)
    assert_equal(public("wan_t2v_1_3b", loaded("wan_t2v_1_3b", out).params), new)


def test_a_hub_repository_is_fetched_without_its_other_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    folder = write(tmp_path / "transformer", tiny_tensors("wan_t2v_1_3b"), ORIGINAL_SIZES)
    asked = {}
    names = [f"transformer/{path.name}" for path in folder.iterdir()]
    others = ["vae/model.safetensors", "transformer/model.bin", "README.md", "config.json"]
    monkeypatch.setattr(huggingface_hub.HfApi, "list_repo_files", lambda *_, **__: [*names, *others])

    def snapshot(name: str, **options) -> str:
        asked.update(options, name=name)
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    load(Request("wan_t2v_1_3b", "someone/wan@v1"), make_mesh(), jnp.float32)
    assert asked == {"name": "someone/wan", "revision": "v1", "allow_patterns": names}


def test_tiles_are_transposed_as_numpy_does() -> None:
    rng = np.random.default_rng(0)
    for dtype in (np.float16, jnp.bfloat16, np.float32, np.float64):
        x = rng.normal(size=(70, 33)).astype(dtype)
        np.testing.assert_array_equal(contiguous(x.T), np.ascontiguousarray(x.T))
        assert contiguous(x.T).flags.c_contiguous
        assert contiguous(x.T).dtype == x.dtype


UMT5 = {
    "vocab_size": 12,
    "d_model": 16,
    "num_heads": 2,
    "d_kv": 8,
    "d_ff": 24,
    "num_layers": 2,
    "feed_forward_proj": "gated-gelu",
}


def test_frozen_modules_go_the_same_way(tmp_path: Path) -> None:
    table = umt5_target(UMT5).mappings[0]
    rng = np.random.default_rng(0)
    tensors = {key: rng.normal(size=shape).astype(np.float32) for key, shape in table.public_shapes().items()}
    write(tmp_path / "text_encoder", tensors, UMT5)
    assert_equal(table.public_arrays(loaded("umt5_xxl", tmp_path).params), tensors)
    (tmp_path / "text_encoder" / "config.json").write_text('{"d_model": "wide"}')
    with pytest.raises(WeightsError, match=r"config\.json not understood"):
        loaded("umt5_xxl", tmp_path)


def test_the_record_says_what_was_converted(tmp_path: Path) -> None:
    folder = write(tmp_path / "public", tiny_tensors("wan_t2v_1_3b"), ORIGINAL_SIZES)
    convert(Request("wan_t2v_1_3b", str(folder)), tmp_path / "out", make_mesh(), jnp.bfloat16)
    record = json.loads((tmp_path / "out" / "weights.json").read_text())
    assert (record["family"], record["dtype"], record["configs"]) == ("wan_t2v_1_3b", "bfloat16", {"": ORIGINAL_SIZES})
