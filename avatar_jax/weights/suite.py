"""A folder of public weights -> the networks of a family, every file's header and key checked before any is read.

DIR/transformer      the video model, in either key layout, or what `python -m avatar_jax.weights` wrote
DIR/overlay          optional: safetensors laid over it (InfiniteTalk's audio adapter over Wan2.1-I2V-14B)
DIR/lora             optional: LoRA files, merged into it at full strength
DIR/blueprint        optional: another video model that makes the blueprint
DIR/vae              AutoencoderKLWan, diffusers layout
DIR/text_encoder     UMT5EncoderModel
DIR/tokenizer        tokenizer.json
DIR/image_encoder    CLIPVisionModel
DIR/wav2vec2         Wav2Vec2Model (families that hear)
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax.numpy as jnp
from jax.sharding import Mesh
from tqdm import tqdm

from avatar_jax.models.suite import Part, Suite
from avatar_jax.models.umt5 import PromptTokenizer
from avatar_jax.models.video_model import VideoModelConfig
from avatar_jax.weights.encoder_keys import clip_config, umt5_config, wav2vec2_config
from avatar_jax.weights.families import FAMILIES, sized
from avatar_jax.weights.folder import RECORD
from avatar_jax.weights.load import Request, Watch, is_converted, load, prepare, unwatched
from avatar_jax.weights.reader import read_json
from avatar_jax.weights.ship import WeightsError
from avatar_jax.weights.stream import Progress
from avatar_jax.weights.vae_keys import vae_config

NUMBERS: dict[str, Any] = {"bf16": jnp.bfloat16, "fp32": jnp.float32}
Files = list[tuple[str, int]]
Sizes = dict[str, Any]
"""A checkpoint's config.json."""


def open_suite(
    family: str,
    folder: Path,
    mesh: Mesh,
    dtype: Any = jnp.bfloat16,
    vae_dtype: Any = jnp.float32,
    draft_family: str = "",
    watch: Watch = unwatched,
) -> Suite:
    """The networks of `family` below `folder`, over `mesh`; the denoiser and the encoders compute in `dtype`.

    `draft_family` names what DIR/blueprint holds, where it is there; the speech encoder is always float32.

    Raises:
        WeightsError: a part is missing, or its files are not those of its model.
        ValueError: the tokenizer's file cannot be used.
    """
    if not folder.is_dir():
        raise WeightsError("no folder of weights", folder, f"--weights holds transformer/, vae/ ... of {family}", FIX)
    files: dict[str, Files] = {}

    def part(name: str, module: str, config_of: Callable[[Sizes], Any], numbers: Any, **more: Any) -> Part[Any]:
        request = Request(module, str(folder / name), **more)
        sizes, files[name] = checked(request, folder / name, family)
        config = replace(config_of(sizes), dtype=numbers) if module not in FAMILIES else config_of(sizes)
        return Part(config, lambda: load(request, mesh, numbers, watch).params)

    def video_model(name: str, module: str, **more: Any) -> Part[VideoModelConfig]:
        return part(name, module, lambda sizes: video_model_config(module, sizes, dtype), dtype, **more)

    overlays = tuple(str(folder / "overlay") for _ in range((folder / "overlay").is_dir()))
    loras = tuple(str(path) for path in sorted((folder / "lora").glob("*.safetensors")))
    if (overlays or loras) and is_converted(folder / "transformer"):
        rule = "DIR/transformer was converted, and overlays and LoRAs go into the conversion"
        raise WeightsError("weights are final", folder / ("overlay" if overlays else "lora"), rule, "take it away")
    denoiser = video_model("transformer", family, overlays=overlays, loras=loras)
    separate = bool(draft_family) and (folder / "blueprint").is_dir()
    draft = video_model("blueprint", draft_family) if separate else denoiser
    vae = part("vae", "wan_vae", vae_config, vae_dtype)
    text = part("text_encoder", "umt5_xxl", umt5_config, dtype)
    image = part("image_encoder", "clip_vit_h", clip_config, dtype)
    hears = FAMILIES[family].audio is not None
    speech = part("wav2vec2", "wav2vec2_base", wav2vec2_config, jnp.float32) if hears else None
    where = folder / "tokenizer"
    tokenizer = PromptTokenizer(where if where.is_dir() else folder / "text_encoder")
    fitting(denoiser, text, image, speech)
    return Suite(denoiser, draft, vae, text, tokenizer, image, speech, files)


def reading(total: int) -> Progress:
    """A progress bar over the bytes of a part while it is read; small parts show none."""
    shown = tqdm(total=total, unit="B", unit_scale=True, desc="weights", leave=False, disable=total < SHOWN)

    def progress(count: int) -> None:
        shown.update(count)
        if shown.n >= total:
            shown.close()

    return progress


SHOWN = 10**9
"""Bytes from which on reading a part takes long enough for a bar."""
FIX = "see the first lines of the config file for what goes where"


def checked(request: Request, folder: Path, family: str) -> tuple[Sizes, Files]:
    """(config.json, files) of one part, whose headers fit its model.

    Raises:
        WeightsError: where they do not.
    """
    if not folder.is_dir():
        raise WeightsError("a part is missing", folder, f"--weights holds {folder.name}/ for {family}", FIX)
    if not is_converted(folder):
        job = prepare(request)[0]
        return job.config, [(path.name, path.stat().st_size) for path in job.files]
    record = read_json(folder / RECORD)
    if record["family"] != request.family:
        raise WeightsError("wrong family", f"{folder} holds {record['family']}", f"weights of {request.family}", FIX)
    return record["configs"][""], [(name, size) for name, size, _ in record["files"]]


def video_model_config(family: str, sizes: Sizes, dtype: Any) -> VideoModelConfig:
    """A family's model with the sizes of its config.json."""
    found = sized(FAMILIES[family], sizes)
    audio = None if found.audio is None else replace(found.audio, dtype=dtype)
    return VideoModelConfig(replace(found.dit, dtype=dtype), audio)


def fitting(denoiser: Part[Any], text: Part[Any], image: Part[Any], speech: Part[Any] | None) -> None:
    """What the encoders give is as wide as what the denoiser reads.

    Raises:
        WeightsError: naming the first encoder of another model.
    """
    dit, audio = denoiser.config.dit, denoiser.config.audio
    pairs = [("text_encoder", text.config.width, dit.text_width)]
    if dit.image_width is not None:
        pairs.append(("image_encoder", image.config.width, dit.image_width))
    if audio is not None and speech is not None:
        pairs += [("wav2vec2", speech.config.width, audio.channels), ("wav2vec2", speech.config.depth, audio.layers)]
    for name, got, wanted in pairs:
        if got != wanted:
            rule = f"the video model reads {wanted}"
            raise WeightsError("encoder of another model", f"{name} has {got} (width or layers)", rule, FIX)
