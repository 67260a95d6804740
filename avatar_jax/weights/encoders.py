"""The encoders of a public family alone, as data is prepared: the denoiser's files need not be there.

Folders are those of `weights.suite`: DIR/vae, text_encoder, tokenizer, image_encoder where the family reads pictures,
wav2vec2 where it hears or where the folder is there (a family that is to learn to hear).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax.numpy as jnp
from jax.sharding import Mesh

from avatar_jax.models.clip_vision import CLIPVisionConfig
from avatar_jax.models.suite import Part
from avatar_jax.models.umt5 import PromptTokenizer, UMT5Config
from avatar_jax.models.vae_stages import VAEConfig
from avatar_jax.models.wav2vec2 import Wav2Vec2Config
from avatar_jax.weights.encoder_keys import clip_config, umt5_config, wav2vec2_config
from avatar_jax.weights.families import FAMILIES
from avatar_jax.weights.load import Request, load
from avatar_jax.weights.ship import WeightsError
from avatar_jax.weights.suite import FIX, Files, checked
from avatar_jax.weights.vae_keys import vae_config


@dataclass(frozen=True)
class Encoders:
    """What turns clips into what a family's denoiser reads; `image` and `speech` are None where it reads none.

    pictures: how many it is shown tokens of (none, the first, the first and the last). files: names and sizes by part.
    """

    vae: Part[VAEConfig]
    text: Part[UMT5Config]
    tokenizer: PromptTokenizer
    image: Part[CLIPVisionConfig] | None
    speech: Part[Wav2Vec2Config] | None
    pictures: int
    files: dict[str, Files]


def open_encoders(family: str, folder: Path, mesh: Mesh, dtype: Any = jnp.bfloat16) -> Encoders:
    """The encoders of `family` below `folder`, checked and not yet read; text and pictures compute in `dtype`.

    Raises:
        WeightsError: there is no such family, a part is missing, or its files are not those of its model.
        ValueError: the tokenizer's file cannot be used.
    """
    if family not in FAMILIES:
        raise WeightsError("no such family", family, f"one of {', '.join(FAMILIES)}", "give another")
    if not folder.is_dir():
        raise WeightsError("no folder of weights", folder, f"it holds vae/, text_encoder/ ... of {family}", FIX)
    files: dict[str, Files] = {}

    def part(name: str, module: str, config_of: Callable[[Any], Any], numbers: Any) -> Part[Any]:
        request = Request(module, str(folder / name))
        sizes, files[name] = checked(request, folder / name, family)
        return Part(replace(config_of(sizes), dtype=numbers), lambda: load(request, mesh, numbers).params)

    dit, hears = FAMILIES[family].dit, FAMILIES[family].audio is not None
    hears = hears or (folder / "wav2vec2").is_dir()
    looks = dit.image_width is not None
    vae = part("vae", "wan_vae", vae_config, jnp.float32)
    text = part("text_encoder", "umt5_xxl", umt5_config, dtype)
    image = part("image_encoder", "clip_vit_h", clip_config, dtype) if looks else None
    speech = part("wav2vec2", "wav2vec2_base", wav2vec2_config, jnp.float32) if hears else None
    where = folder / "tokenizer"
    tokenizer = PromptTokenizer(where if where.is_dir() else folder / "text_encoder")
    pictures = 0 if not looks else 1 if dit.image_tokens is None else 2
    return Encoders(vae, text, tokenizer, image, speech, pictures, files)
