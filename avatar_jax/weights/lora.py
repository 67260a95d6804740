"""Low-rank changes of weights (LoRA, section 4.1), merged when a model is loaded: W + scale * alpha / rank * B A.

Three ways of naming are read, each with the public names of either key layout:
- diffusers, PEFT:  transformer.blocks.0.attn1.to_q.lora_A.weight / lora_B.weight (alpha in the file's metadata)
- original:         diffusion_model.blocks.0.self_attn.q.lora_down.weight / lora_up.weight / alpha, and what the
                    distillation LoRAs add: .diff (of a weight), .diff_b (of a bias), .diff_m (of a modulation table)
- kohya:            lora_unet_blocks_0_self_attn_q.lora_down.weight / lora_up.weight / alpha
The change is computed in float32 in the public layout, so that it goes through the same transforms as the weight.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avatar_jax.weights.mapping import Mapping, Place, Shape
from avatar_jax.weights.problems import Problem
from avatar_jax.weights.reader import DTYPES, Tensor, read_header
from avatar_jax.weights.ship import WeightsError

PREFIXES = ("model.diffusion_model.", "diffusion_model.", "base_model.model.", "transformer.", "lora_unet_")
ROLES = {
    ".lora_A.default.weight": "down",
    ".lora_A.weight": "down",
    ".lora_down.weight": "down",
    ".lora.down.weight": "down",
    ".lora_B.default.weight": "up",
    ".lora_B.weight": "up",
    ".lora_up.weight": "up",
    ".lora.up.weight": "up",
    ".lora_B.bias": "up_bias",
    ".alpha": "alpha",
    ".diff": "diff",
    ".diff_b": "diff_b",
    ".diff_m": "diff_m",
}
Spot = tuple[str, int | None]


@dataclass(frozen=True)
class Lora:
    """One file and how strongly it is applied."""

    path: Path
    scale: float
    tensors: dict[str, Tensor]
    alpha_over_rank: float | None
    """From the file's metadata; None where the file says nothing, which means 1 unless a key `alpha` is there."""


@dataclass(frozen=True)
class Change:
    """What is added to one public tensor: factor * diff, or factor * up @ down."""

    factor: float
    factors: tuple[Tensor, ...]

    def value(self, shape: Shape) -> np.ndarray:
        """The change, float32, of the tensor's public shape."""
        numbers = [tensor.read().astype(np.float32) for tensor in self.factors]
        if len(numbers) == 1:
            return self.factor * numbers[0].reshape(shape)
        up, down = numbers
        return (self.factor * up.reshape(len(up), -1) @ down.reshape(len(down), -1)).reshape(shape)


def open_lora(text: str) -> Lora:
    """`FILE` or `FILE:scale`.

    Raises:
        WeightsError: if the file cannot be read.
    """
    path, _, number = text.rpartition(":")
    try:
        scale = float(number) if path else 1.0
    except ValueError:
        path, scale = "", 1.0
    where = Path(path or text)
    if not where.is_file() or not math.isfinite(scale):
        raise WeightsError("LoRA not found", text, "--lora FILE or FILE:scale, a safetensors file", "check the path")
    return Lora(where, scale, read_header(where), declared_scale(where))


def declared_scale(path: Path) -> float | None:
    """alpha / rank as diffusers writes it into a file's metadata, None if it does not."""
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    try:
        adapter = json.loads(header["__metadata__"]["lora_adapter_metadata"])
    except (KeyError, TypeError, ValueError):
        return None
    named = {key.rpartition(".")[2]: value for key, value in adapter.items()}
    if named.get("alpha_pattern") or named.get("rank_pattern"):
        raise WeightsError(
            "LoRA not understood",
            f"{path} has its own alpha or rank for some layers",
            "one alpha",
            "merge it offline",
        )
    if not named.get("r"):
        return None
    return named.get("lora_alpha", named["r"]) / (math.sqrt(named["r"]) if named.get("use_rslora") else named["r"])


def changes(lora: Lora, mappings: Sequence[Mapping]) -> tuple[list[tuple[Spot, Change]], list[Problem]]:
    """What the file adds to which parameter, and every key of it that has no place."""
    places = known_names(mappings)
    modules: dict[str, dict[str, tuple[str, Tensor]]] = {}
    problems: list[Problem] = []

    def refuse(key: str, found: object, expected: str) -> None:
        problems.append(Problem("lora", key, str(found), expected, lora.path.name))

    for key, tensor in lora.tensors.items():
        suffix = next((suffix for suffix in ROLES if key.endswith(suffix)), None)
        if suffix is None:
            refuse(key, list(tensor.shape), "lora_A/B, lora_down/up, alpha, diff, diff_b or diff_m")
        elif tensor.dtype not in DTYPES:
            refuse(key, tensor.dtype, ", ".join(DTYPES))
        else:
            modules.setdefault(key.removesuffix(suffix), {})[ROLES[suffix]] = (key, tensor)

    found: list[tuple[Spot, Change]] = []

    def add(key: str, name: str, factor: float, *factors: Tensor) -> None:
        place = next((places[n] for n in candidates(name) if n in places), None)
        if place is None:
            refuse(key, list(factors[0].shape), "a layer of this model")
            return
        shape = product_shape(*(tensor.shape for tensor in factors))
        wanted = place.public_shape
        if shape is None or math.prod(shape) != math.prod(wanted) or (shape[:1] != wanted[:1] and len(factors) > 1):
            refuse(key, " x ".join(str(list(tensor.shape)) for tensor in factors), str(list(wanted)))
            return
        found.append(((place.path, place.layer), Change(factor, factors)))

    for module, roles in modules.items():
        factor = lora.scale * (1.0 if lora.alpha_over_rank is None else lora.alpha_over_rank)
        if "down" in roles and "alpha" in roles:
            rank = roles["down"][1].shape[0]
            factor = lora.scale * float(roles["alpha"][1].read().reshape(-1)[0]) / rank
        if "down" in roles and "up" in roles:
            add(roles["down"][0], f"{module}.weight", factor, roles["up"][1], roles["down"][1])
        else:
            for role in {"down", "up", "up_bias", "alpha"} & roles.keys():
                refuse(roles[role][0], list(roles[role][1].shape), "its partner: down and up")
        if "up_bias" in roles and "up" in roles:
            add(roles["up_bias"][0], f"{module}.bias", factor, roles["up_bias"][1])
        for role, leaf in (("diff", "weight"), ("diff_b", "bias"), ("diff_m", "modulation")):
            if role in roles:
                add(roles[role][0], f"{module}.{leaf}", lora.scale, roles[role][1])
    return found, problems


def candidates(name: str) -> list[str]:
    """A key's names, its prefix of whichever program taken off."""
    return [name] + [name.removeprefix(prefix).lstrip("_") for prefix in PREFIXES if name.startswith(prefix)]


def known_names(mappings: Sequence[Mapping]) -> dict[str, Place]:
    """Public names of all layouts, with kohya's dots-to-underscores beside them."""
    places: dict[str, Place] = {}
    for layout in mappings:
        for name, place in layout.places.items():
            module, _, leaf = name.rpartition(".")
            # diffusers calls a modulation table by another name; a change of it has one suffix only.
            leaf = "modulation" if leaf == "scale_shift_table" else leaf
            places[name] = places[f"{module}.{leaf}"] = places[f"{module.replace('.', '_')}.{leaf}"] = place
    return places


def product_shape(*shapes: Shape) -> Shape | None:
    """[out, in...] of up @ down, or the shape of a plain difference; None if they do not fit each other."""
    if len(shapes) == 1:
        return shapes[0]
    up, down = shapes
    if len(up) < 2 or len(down) < 2 or math.prod(up[1:]) != down[0]:
        return None
    return (up[0], math.prod(down[1:]))
