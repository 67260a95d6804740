"""Full-size models, nothing allocated: our parameters under public names are the released checkpoints' key tables."""

import gzip
import json
from math import prod
from pathlib import Path

import pytest

from avatar_jax.weights.families import FAMILIES, dit_target, parameters
from avatar_jax.weights.rename import DIFFUSERS, ORIGINAL

TABLES = json.loads(gzip.decompress((Path(__file__).parent / "data" / "checkpoint_keys.json.gz").read_bytes()))
RELEASED = {
    "wan_t2v_1_3b": ("wan2_1_t2v_1_3b", DIFFUSERS, 1_418_996_800),
    "wan_i2v_14b": ("wan2_1_i2v_14b", DIFFUSERS, 16_394_878_784),
    "wan_flf2v_14b": ("wan2_1_flf2v_14b", DIFFUSERS, 16_395_536_704),
    "wan_fun_1_3b_inp": ("wan_fun_1_3b_inp", DIFFUSERS, 1_564_428_608),
    "wan2_2_i2v_a14b": ("wan2_2_a14b_i2v", DIFFUSERS, 14_288_901_184),
    "wan2_2_ti2v_5b": ("wan2_2_ti2v_5b", DIFFUSERS, 4_999_787_712),
    "multitalk_14b": ("multitalk_i2v_14b", ORIGINAL, 18_882_046_784),
    "infinitetalk_14b": ("multitalk_i2v_14b", ORIGINAL, 18_882_046_784),
    "skyreels_a2v_19b": ("multitalk_i2v_14b", ORIGINAL, 18_882_046_784),
    "echomimic_v3_flash": ("echomimic_v3_flash", ORIGINAL, 1_863_772_992),
}


@pytest.mark.parametrize("name", RELEASED)
def test_names_and_shapes_are_the_released_ones(name: str) -> None:
    table, layout, count = RELEASED[name]
    found = next(m for m in dit_target(FAMILIES[name]).mappings if m.name == layout).public_shapes()
    assert found == {key: tuple(shape) for key, shape in TABLES[table].items()}
    assert sum(map(prod, found.values())) == count


@pytest.mark.parametrize("name", FAMILIES)
def test_both_layouts_name_the_same_parameters(name: str) -> None:
    original, diffusers = dit_target(FAMILIES[name]).mappings

    def spots(table: dict) -> set:
        return {(place.path, place.layer) for place in table.values()}

    assert spots(original.places) == spots(diffusers.places)
    assert len(original.places) == len(diffusers.places) == len(spots(original.places))


def test_two_experts_count_twice() -> None:
    assert parameters(FAMILIES["wan2_2_t2v_a14b"]) == 2 * parameters(FAMILIES["wan_t2v_14b"]) == 2 * 14_288_491_584


def test_dead_tensors_are_counted_and_not_kept() -> None:
    dead = 30 * (1536 * 1536 + 1536)
    assert parameters(FAMILIES["echomimic_v3_flash"]) == 1_863_772_992 - dead
