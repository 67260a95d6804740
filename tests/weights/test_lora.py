"""LoRA files in every naming, against W + scale * alpha / rank * B A written out."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

from avatar_jax.mesh import make_mesh
from avatar_jax.weights.families import dit_target
from avatar_jax.weights.load import Request, load
from avatar_jax.weights.problems import KeyMismatch
from avatar_jax.weights.ship import WeightsError
from tests.weights.tiny import ORIGINAL_SIZES, Arrays, tiny_family, tiny_tensors, write

NAME = "wan_t2v_1_3b"
RANK, ALPHA = 3, 1.5
RNG = np.random.default_rng(5)
UP, DOWN = (RNG.normal(size=s).astype(np.float32) for s in ((48, RANK), (RANK, 48)))
DELTA = UP @ DOWN
KEY = "blocks.1.self_attn.q.weight"


def merged(tmp_path: Path, *loras: str) -> tuple[Arrays, Arrays]:
    """(public tensors after loading with LoRAs, the tensors of the checkpoint)."""
    tensors = tiny_tensors(NAME)
    folder = write(tmp_path / "public", tensors, ORIGINAL_SIZES)
    params = load(Request(NAME, str(folder), loras=loras), make_mesh(), jnp.float32).params
    return dit_target(tiny_family(NAME)).mappings[0].public_arrays(jax.device_get(params)), tensors


def saved(tmp_path: Path, name: str, tensors: Arrays, metadata: dict[str, str] | None = None) -> str:
    save_file(tensors, tmp_path / name, metadata)
    return str(tmp_path / name)


def assert_only(found: Arrays, base: Arrays, changes: Arrays) -> None:
    for key, x in base.items():
        np.testing.assert_allclose(found[key], x + changes.get(key, 0), rtol=2e-6, atol=2e-6, err_msg=key)


@pytest.mark.parametrize(
    ("module", "down", "up", "alpha"),
    [
        ("transformer.blocks.1.attn1.to_q", "lora_A.weight", "lora_B.weight", False),
        ("blocks.1.attn1.to_q", "lora_A.default.weight", "lora_B.default.weight", False),
        ("diffusion_model.blocks.1.self_attn.q", "lora_down.weight", "lora_up.weight", True),
        ("lora_unet_blocks_1_self_attn_q", "lora_down.weight", "lora_up.weight", True),
        ("lora_unet__blocks_1_attn1_to_q", "lora_down.weight", "lora_up.weight", True),
    ],
)
def test_every_naming_merges(module: str, down: str, up: str, alpha: bool, tmp_path: Path) -> None:
    tensors = {f"{module}.{down}": DOWN, f"{module}.{up}": UP}
    if alpha:
        tensors[f"{module}.alpha"] = np.array(ALPHA, np.float32)
    found, base = merged(tmp_path, saved(tmp_path, "lora.safetensors", tensors) + ":0.5")
    assert_only(found, base, {KEY: 0.5 * (ALPHA / RANK if alpha else 1) * DELTA})


def test_several_add_up_and_metadata_tells_alpha(tmp_path: Path) -> None:
    pair = {f"transformer.blocks.1.attn1.to_q.lora_{x}.weight": y for x, y in (("A", DOWN), ("B", UP))}
    note = {"lora_adapter_metadata": '{"transformer.r": 3, "transformer.lora_alpha": 6}'}
    one = saved(tmp_path, "one.safetensors", pair)
    two = saved(tmp_path, "two.safetensors", pair, note)
    found, base = merged(tmp_path, one, two + ":-0.25")
    assert_only(found, base, {KEY: (1 - 0.25 * 2) * DELTA})


def test_distillation_extras(tmp_path: Path) -> None:
    shapes = {
        "diffusion_model.blocks.0.norm3.diff": ("blocks.0.norm3.weight", (48,)),
        "diffusion_model.blocks.0.norm3.diff_b": ("blocks.0.norm3.bias", (48,)),
        "diffusion_model.blocks.1.cross_attn.norm_q.diff": ("blocks.1.cross_attn.norm_q.weight", (48,)),
        "diffusion_model.time_projection.1.diff_b": ("time_projection.1.bias", (288,)),
        "diffusion_model.blocks.0.diff_m": ("blocks.0.modulation", (1, 6, 48)),
        "diffusion_model.head.diff_m": ("head.modulation", (1, 2, 48)),
        "diffusion_model.patch_embedding.diff": ("patch_embedding.weight", (48, 16, 1, 2, 2)),
    }
    changes = {key: RNG.normal(size=shape).astype(np.float32) for key, (_, shape) in shapes.items()}
    convolution = {
        "diffusion_model.patch_embedding.lora_down.weight": RNG.normal(size=(2, 16, 1, 2, 2)).astype(np.float32),
        "diffusion_model.patch_embedding.lora_up.weight": RNG.normal(size=(48, 2, 1, 1, 1)).astype(np.float32),
    }
    found, base = merged(tmp_path, saved(tmp_path, "lora.safetensors", changes | convolution))
    expected = {public: changes[key] for key, (public, _) in shapes.items()}
    down, up = convolution.values()
    expected["patch_embedding.weight"] = expected["patch_embedding.weight"] + np.einsum(
        "or,rcthw->octhw", up[:, :, 0, 0, 0], down
    )
    assert_only(found, base, expected)


def test_half_precision_files_merge_in_float32(tmp_path: Path) -> None:
    pair = {f"diffusion_model.blocks.1.self_attn.q.lora_{x}.weight": y for x, y in (("A", DOWN), ("B", UP))}
    half = {key: x.astype(np.float16) for key, x in pair.items()}
    found, base = merged(tmp_path, saved(tmp_path, "lora.safetensors", half))
    down, up = (x.astype(np.float32) for x in half.values())
    assert_only(found, base, {KEY: up @ down})


def test_keys_without_a_place_are_in_the_table(tmp_path: Path) -> None:
    wrong = {
        "diffusion_model.blocks.9.self_attn.q.lora_A.weight": DOWN,
        "diffusion_model.blocks.9.self_attn.q.lora_B.weight": UP,
        "diffusion_model.blocks.0.self_attn.k.lora_A.weight": DOWN,
        "diffusion_model.blocks.0.self_attn.v.lora_A.weight": DOWN[:, :5].copy(),
        "diffusion_model.blocks.0.self_attn.v.lora_B.weight": UP,
        "diffusion_model.blocks.0.self_attn.o.dora_scale": UP,
        "diffusion_model.blocks.0.cross_attn.k_img.diff_b": UP[:, 0].copy(),
    }
    with pytest.raises(KeyMismatch) as caught:
        merged(tmp_path, saved(tmp_path, "lora.safetensors", wrong))
    named = {problem.name for problem in caught.value.problems}
    assert named == wrong.keys() - {
        "diffusion_model.blocks.9.self_attn.q.lora_B.weight",
        "diffusion_model.blocks.0.self_attn.v.lora_B.weight",
    }
    assert all(name in caught.value.table for name in named)


def test_files_that_are_none(tmp_path: Path) -> None:
    for text, message in (("absent.safetensors", "LoRA not found"), ("a.safetensors:nan", "LoRA not found")):
        with pytest.raises(WeightsError, match=message):
            merged(tmp_path, str(tmp_path / text))
    (tmp_path / "lora.pt").write_bytes(b"anything")
    with pytest.raises(WeightsError, match="refused a pickle"):
        merged(tmp_path, str(tmp_path / "lora.pt"))
