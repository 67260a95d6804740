"""Tiny random checkpoints in the public layouts, as files."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from avatar_jax.weights.families import FAMILIES, Family, dit_target, sized
from avatar_jax.weights.rename import ORIGINAL

ORIGINAL_SIZES = {
    "dim": 48,
    "num_heads": 4,
    "num_layers": 2,
    "ffn_dim": 64,
    "text_dim": 16,
    "freq_dim": 32,
    "clip_dim": 20,
    "audio_layers": 3,
    "audio_channels": 8,
    "intermediate_dim": 16,
    "context_tokens": 4,
    "audio_output_dim": 24,
}
"""Wan's own words, for every family: channels are left as released."""
Arrays = dict[str, np.ndarray]


def tiny_family(name: str) -> Family:
    return sized(FAMILIES[name], ORIGINAL_SIZES)


def tiny_tensors(name: str, layout: str = ORIGINAL, seed: int = 0) -> Arrays:
    """Random float32 tensors under their public names."""
    rng = np.random.default_rng(seed)
    table = next(m for m in dit_target(tiny_family(name)).mappings if m.name == layout)
    return {key: rng.normal(size=shape).astype(np.float32) / 4 for key, shape in table.public_shapes().items()}


def write(folder: Path, tensors: Mapping[str, np.ndarray], config: dict | None = None, shards: int = 1) -> Path:
    """A checkpoint folder: one file, or several with an index; config.json where one is given."""
    folder.mkdir(parents=True, exist_ok=True)
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    if shards == 1:
        save_file(dict(tensors), folder / "diffusion_pytorch_model.safetensors")
        return folder
    names = [f"diffusion_pytorch_model-{i + 1:05}-of-{shards:05}.safetensors" for i in range(shards)]
    owners = {key: names[i % shards] for i, key in enumerate(tensors)}
    for name in names:
        save_file({key: x for key, x in tensors.items() if owners[key] == name}, folder / name)
    index = {"metadata": {}, "weight_map": owners}
    (folder / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))
    return folder
