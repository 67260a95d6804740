"""A network as the small change of another: low-rank differences of its matrices, plain differences of the rest.

What a student learned beyond its teacher is far smaller than the student (LCM-LoRA, Luo et al. 2023, arXiv 2311.05556).
The change is found once the student is trained: of every matrix's difference the singular vectors of the largest
singular values stay.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

DOWN, UP = ".down", ".up"
"""Endings of the names of the two factors."""


def flat(params: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Leaves by their '/'-joined names."""
    return {str(path): np.asarray(x) for path, x in flatten_dict(dict(params), sep="/").items()}


def change_of(before: Mapping[str, Any], after: Mapping[str, Any], rank: int) -> dict[str, Any]:
    """Leaves that `changed` adds to `before` to give `after`, nearly.

    Matrices `x` [..., in, out] whose sides both exceed `rank` become `x.down` [..., in, rank] and `x.up`
    [..., rank, out]; everything else is its difference, whole.

    Raises:
        ValueError: the two have other names or shapes.
    """
    old, new = flat(before), flat(after)
    if unlike := sorted(set(old) ^ set(new)) or [k for k in old if np.shape(old[k]) != np.shape(new[k])]:
        raise ValueError(f"not two sets of one network's parameters: {', '.join(unlike[:5])}")
    found: dict[str, Any] = {}
    for path, x in old.items():
        difference = np.asarray(new[path], np.float32) - np.asarray(x, np.float32)
        if difference.ndim > 1 and min(difference.shape[-2:]) > rank:
            u, s, v = np.linalg.svd(difference, full_matrices=False)
            # Half of each singular value on either side keeps both within float16.
            root = np.sqrt(s[..., :rank])
            found[f"{path}{DOWN}"] = u[..., :rank] * root[..., None, :]
            found[f"{path}{UP}"] = root[..., :, None] * v[..., :rank, :]
        else:
            found[path] = difference
    return unflatten_dict(found, sep="/")


def changed(before: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of the other network, in float32.

    Raises:
        ValueError: the change is of a network with other names or shapes.
    """
    old, leaves = flat(before), flat(change)
    added = {path: x for path, x in leaves.items() if not path.endswith((DOWN, UP))}
    for path in [path.removesuffix(DOWN) for path in leaves if path.endswith(DOWN)]:
        added[path] = leaves[f"{path}{DOWN}"] @ leaves[f"{path}{UP}"]
    if unlike := sorted(set(old) ^ set(added)) or [k for k in old if np.shape(old[k]) != np.shape(added[k])]:
        raise ValueError(f"a change of another network: {', '.join(unlike[:5])}")
    return unflatten_dict({path: x + added[path] for path, x in old.items()}, sep="/")
