"""What training added to a public model, under public names: an overlay or a LoRA that loads like any other."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from avatar_jax.models.video_model import VideoModelConfig
from avatar_jax.weights.families import FAMILIES, abstract_params, key_table
from avatar_jax.weights.load import Request
from avatar_jax.weights.mapping import Mapping as KeyTable
from avatar_jax.weights.mapping import by_path, flat_shapes
from avatar_jax.weights.rename import ORIGINAL
from avatar_jax.weights.ship import WeightsError
from avatar_jax.weights.suite import checked, video_model_config

LORA_PREFIX = "diffusion_model."
DOWN, UP, KERNEL = "lora_down", "lora_up", "kernel"


def released_model(family: str, folder: Path, dtype: Any) -> tuple[Request, VideoModelConfig]:
    """(what to load, its sizes) of the denoiser below a folder of public weights, as sampling reads it.

    Raises:
        WeightsError: there is no such family, or its files are not those of its model.
    """
    if family not in FAMILIES:
        raise WeightsError("no such family", family, f"one of {', '.join(FAMILIES)}", "--video.family=NAME")
    overlays = tuple(str(folder / "overlay") for _ in range((folder / "overlay").is_dir()))
    loras = tuple(str(path) for path in sorted((folder / "lora").glob("*.safetensors")))
    request = Request(family, str(folder / "transformer"), overlays=overlays, loras=loras)
    sizes, _ = checked(request, folder / "transformer", family)
    return request, video_model_config(family, sizes, dtype)


def files(family: str, model: VideoModelConfig, params: Any) -> dict[str, dict[str, np.ndarray]]:
    """File -> tensors under public names: overlay/video.safetensors, lora/video.safetensors; those that hold any."""
    plain = replace(model.dit, storyline=False)
    shapes = flat_shapes(abstract_params(plain, model.audio))
    table = key_table(replace(FAMILIES[family], dit=plain, audio=model.audio), ORIGINAL, shapes)
    found = {"overlay/video.safetensors": overlay(table, params), "lora/video.safetensors": lora(table, params)}
    return {name: arrays for name, arrays in found.items() if arrays}


def overlay(table: KeyTable, params: Any) -> dict[str, np.ndarray]:
    """Whole parameters under public names; what the family does not name (the storyline attention) is left out."""
    flat: Mapping[str, Any] = by_path(params)
    return {
        name: public(place.layout.theirs(at_layer(flat[place.path], place.layer)))
        for name, place in table.places.items()
        if place.path in flat
    }


def lora(table: KeyTable, params: Any) -> dict[str, np.ndarray]:
    """Low-rank changes under public names; the change is lora_B @ lora_A, with no further factor.

    The order of a kernel's outputs (rotary halves) is that of `lora_up`'s.
    """
    flat: Mapping[str, Any] = by_path(params)
    found: dict[str, np.ndarray] = {}
    for name, place in table.places.items():
        module, _, leaf = place.path.rpartition("/")
        if leaf == KERNEL and f"{module}/{UP}" in flat:
            key = LORA_PREFIX + name.removesuffix(".weight")
            found[f"{key}.lora_A.weight"] = public(at_layer(flat[f"{module}/{DOWN}"], place.layer).T)
            found[f"{key}.lora_B.weight"] = public(place.layout.theirs(at_layer(flat[f"{module}/{UP}"], place.layer)))
    return found


def at_layer(array: Any, layer: int | None) -> np.ndarray:
    return np.asarray(array if layer is None else array[layer])


def public(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array, np.float32)


def write(path: Path, arrays: Mapping[str, np.ndarray]) -> int:
    """A whole safetensors file or none; its size in bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_bytes(save(dict(arrays)))
    temporary.replace(path)
    return path.stat().st_size
