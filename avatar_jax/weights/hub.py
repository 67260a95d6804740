"""Where a checkpoint's files are on this machine: a local path as it is, a repository of the model hub downloaded."""

import re
from collections.abc import Sequence
from pathlib import Path

from avatar_jax.weights.ship import WeightsError

REPOSITORY = re.compile(r"(?P<name>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./-]+))?")


def located(source: str, folders: Sequence[str]) -> Path:
    """The local folder or file of `source`: a path, or `owner/name` or `owner/name@revision` on the hub.

    Of a repository only safetensors and JSON files are fetched: those below `folders` if it has any of these, else
    those at its top.

    Raises:
        WeightsError: if it is neither, or cannot be downloaded.
    """
    path = Path(source).expanduser()
    if path.exists():
        return path
    match = REPOSITORY.fullmatch(source)
    if match is None or source.startswith("."):
        raise WeightsError("weights not found", source, "a folder, a file or owner/name on the hub", "check the path")
    # Imported here: local files need no network library.
    import huggingface_hub

    name, revision = match["name"], match["revision"]
    try:
        files = huggingface_hub.HfApi().list_repo_files(name, revision=revision)
        return Path(huggingface_hub.snapshot_download(name, revision=revision, allow_patterns=wanted(files, folders)))
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise WeightsError(
            "weights not found",
            f"{source} is no local path, and the hub says: {reason}",
            "a folder, a file or owner/name on the hub",
            "check the name and the network, or download it and give the folder",
        ) from error


def wanted(files: Sequence[str], folders: Sequence[str]) -> list[str]:
    """Names of the safetensors and JSON files of a repository that belong to one model."""
    found = [name for name in files if name.endswith((".safetensors", ".json"))]
    inside = [name for name in found if name.split("/")[0] in folders]
    has_weights = any(name.endswith(".safetensors") for name in inside)
    return inside if has_weights else [name for name in found if "/" not in name]
