"""Everything that can be loaded, by name: the video families and the frozen modules beside them."""

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avatar_jax.weights import dinov2_keys, encoder_keys, expert_keys, vae_keys
from avatar_jax.weights.families import FAMILIES, Expert, Family, dit_target, sized
from avatar_jax.weights.mapping import Target
from avatar_jax.weights.ship import WeightsError


@dataclass(frozen=True)
class Part:
    """One checkpoint of a family: its name in our tree (empty: the tree itself), where it lies, and what it fills."""

    name: str
    folders: tuple[str, ...]
    """Sub-folders of a repository that may hold it; the repository's own folder where none is there."""
    target: Callable[[dict[str, Any]], Target]
    """From the checkpoint's config.json."""
    released: bool = False
    """Sizes are known without a config.json."""


MODULES = {
    "wan_vae": Part("", ("vae",), vae_keys.target),
    "umt5_xxl": Part("", ("text_encoder",), encoder_keys.umt5_target),
    "clip_vit_h": Part("", ("image_encoder",), encoder_keys.clip_target),
    "wav2vec2_base": Part("", (), encoder_keys.wav2vec2_target),
    "syncnet": Part("", ("syncnet",), expert_keys.syncnet_target, released=True),
    "clip_embedding": Part("", ("image_encoder",), expert_keys.clip_embedding_target, released=True),
    "dinov2": Part("", (), dinov2_keys.dinov2_target, released=True),
}
"""Frozen modules; both video VAEs are one module. The last three judge clips and finished videos."""


def parts(name: str) -> tuple[Part, ...]:
    """The checkpoints that make up a family or module.

    Raises:
        WeightsError: on an unknown name.
    """
    if name in MODULES:
        return (MODULES[name],)
    if name not in FAMILIES:
        known = [*FAMILIES, *MODULES]
        near = difflib.get_close_matches(name, known, n=3) or known
        raise WeightsError("unknown family", name, f"one of {', '.join(known)}", f"--family {' or '.join(near[:3])}")
    return tuple(part_of(FAMILIES[name], expert) for expert in FAMILIES[name].experts)


def part_of(family: Family, expert: Expert) -> Part:
    return Part(expert.name, expert.folders, lambda config: dit_target(sized(family, config)), released=True)


def folder_of(root: Path, part: Part) -> Path:
    """Where a part lies below a repository's folder; a file is itself, if the family has one part only.

    Raises:
        WeightsError: if one of two experts is not there.
    """
    for name in part.folders:
        if (root / name).is_dir():
            return root / name
    if part.name:
        rule = f"the folder holds {' or '.join(part.folders)} for the {part.name}-noise expert"
        raise WeightsError("expert not found", root, rule, "give the folder above both experts")
    return root
