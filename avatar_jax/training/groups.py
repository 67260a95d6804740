"""Parts of a model by the names that people use for them: what to freeze, and what learns faster than the rest."""

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from avatar_jax.training.stage import CannotTrain

GROUPS: dict[str, str] = {
    "audio": r"audio_projector/.*|(.*/)?(audio_cross_attn|norm_x|k_audio|v_audio|norm_k_audio|audio_proj|sound)/.*",
    "director": r"(.*/)?(storyline_attn|plan)/.*",
    "text": r"(.*/)?cross_attn/(q|k|v|o|norm_q|norm_k)/.*",
    "image": r"(.*/)?(k_img|v_img|norm_k_img|img_emb)/.*",
    "self": r"(.*/)?self_attn/.*",
    "ffn": r"(.*/)?ffn/.*",
    "lora": r".*/lora_(down|up)",
}
"""Names -> parameters, as a pattern of whole '/'-joined paths. `text` is the attention to prompts alone: what hears or
looks inside the same module (EchoMimicV3, image-to-video) is `audio` or `image`."""


@dataclass(frozen=True)
class Group:
    """Parameters whose learning rate is `rate` times that of the rest; 0 freezes them.

    `name` is one of GROUPS, or a pattern of whole paths such as `dit/head/.*`.
    """

    name: str
    rate: float = 1.0

    def holds(self, path: str) -> bool:
        return re.fullmatch(GROUPS.get(self.name, self.name), path) is not None


def path_of(keys: Any) -> str:
    """'/'-joined path of a leaf, from the keys that JAX gives."""
    return "/".join(str(getattr(k, "key", getattr(k, "name", getattr(k, "idx", k)))) for k in keys)


def labels(params: Any, groups: Sequence[Group]) -> Any:
    """For every leaf the name of the first group that holds it, or "".

    Raises:
        CannotTrain: a group holds nothing, so its name is a mistake, or it is no pattern.
    """
    unused = {group.name for group in groups}
    for name in unused - GROUPS.keys():
        try:
            re.compile(name)
        except re.error as error:
            rule, fix = "a regular expression of whole paths", "without brackets, which mean a list: dit/head/.*"
            raise CannotTrain("a group that is no pattern", f"{name} ({error})", rule, fix) from error

    def label(keys: Any, leaf: Any) -> str:
        del leaf
        path = path_of(keys)
        for group in groups:
            if group.holds(path):
                unused.discard(group.name)
                return group.name
        return ""

    found = jax.tree_util.tree_map_with_path(label, params)
    if unused:
        name = min(unused)
        near = difflib.get_close_matches(name, GROUPS, 1)
        rule = f"a group is one of {', '.join(GROUPS)}, or a pattern of paths, and the model has such parameters"
        fix = f"did you mean {near[0]}?" if near and near[0] != name else "see avatar_jax/training/groups.py"
        raise CannotTrain("a group of no parameters", name, rule, fix)
    return found


def frozen_to_zero(grads: Any, groups: Sequence[Group]) -> Any:
    """The gradients, zero where a group is frozen: neither the norm nor the compiler sees them then."""
    still = {group.name for group in groups if group.rate == 0}
    if not still:
        return grads
    return jax.tree.map(lambda g, name: jnp.zeros_like(g) if name in still else g, grads, labels(grads, groups))
