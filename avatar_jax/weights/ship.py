"""Trained parameters as small files: float16 safetensors with '/'-joined names and a JSON note in the header.

    python train.py --config configs/embedded.py --out DIR --stage codec --export [FOLDER]

writes FOLDER/codec.safetensors (default: DIR, where the end of a stage also leaves it); with
`--export avatar_jax/weights/shipped` the file becomes part of the package.
"""

import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

SHIPPED = Path(__file__).parent / "shipped"
NOTE = "avatar_jax"
"""Key of the JSON note in the file's metadata."""


class WeightsError(ValueError):
    """A file of weights that is missing or cannot be read; `str()` has three lines."""

    def __init__(self, what: str, got: object, rule: str, fix: str):
        super().__init__(f"{what}: {got}\nrule: {rule}\nfix: {fix}")


def export(params: Any, path: Path, note: dict[str, Any]) -> int:
    """Write `params` (nested dictionaries of arrays) and `note` (JSON values) to `path`, whole or not at all.

    Floating-point arrays become float16.

    Returns:
        the file's size in bytes.

    Raises:
        OverflowError: if a value does not fit float16.
    """
    arrays = {name: halved(name, np.asarray(x)) for name, x in flatten_dict(jax.device_get(params), sep="/").items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_bytes(save(arrays, {NOTE: json.dumps(note)}))
    temporary.replace(path)
    return path.stat().st_size


def halved(name: str, x: np.ndarray) -> np.ndarray:
    """A floating-point array as contiguous float16, any other as it is."""
    if not np.issubdtype(x.dtype, np.floating):
        return np.ascontiguousarray(x)
    with np.errstate(over="ignore"):
        half = np.ascontiguousarray(x.astype(np.float16))
    if not np.isfinite(half).all():
        raise OverflowError(f"{name} does not fit float16: largest value {np.abs(x).max()}")
    return half


def load(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """(nested parameters in float32, the note) of a file that `export` wrote.

    Raises:
        WeightsError: if the file is missing or is not such a file.
    """
    if not Path(path).is_file():
        raise WeightsError(
            "weights not found", path, "a file that a finished training stage wrote", "train it, or give another folder"
        )
    try:
        with safe_open(str(path), "numpy") as file:
            note = json.loads((file.metadata() or {})[NOTE])
            arrays = {name: widened(file.get_tensor(name)) for name in list(file.keys())}
    except (SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise WeightsError(
            "cannot read weights", f"{path} ({error})", "safetensors with this project's note", "export them again"
        ) from error
    return unflatten_dict(arrays, sep="/"), note


def widened(x: np.ndarray) -> np.ndarray:
    return x.astype(np.float32) if np.issubdtype(x.dtype, np.floating) else x


def shipped(name: str) -> Path:
    """Where the package keeps the weights of a stage (audio, codec, gate, judge, dit)."""
    return SHIPPED / f"{name}.safetensors"
