"""A network as the change of another: exact where the change is of low rank, near where it is not."""

import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from avatar_jax.models.low_rank import change_of, changed


def network(seed: int) -> dict:
    rng = np.random.default_rng(seed)
    stacked, narrow = rng.normal(size=(2, 12, 20)), rng.normal(size=(12, 3))
    return {"blocks": {"q": {"kernel": stacked, "bias": rng.normal(size=(2, 20))}}, "out": {"kernel": narrow}}


def test_a_change_of_low_rank_is_exact() -> None:
    before, rng = network(0), np.random.default_rng(1)
    after = network(0)
    after["blocks"]["q"]["kernel"] += rng.normal(size=(2, 12, 4)) @ rng.normal(size=(2, 4, 20))
    after["blocks"]["q"]["bias"] += 0.5
    after["out"]["kernel"] *= 2
    change = change_of(before, after, 4)
    assert {k: v.shape for k, v in flatten_dict(change, sep="/").items()} == {
        "blocks/q/kernel.down": (2, 12, 4),
        "blocks/q/kernel.up": (2, 4, 20),
        "blocks/q/bias": (2, 20),
        "out/kernel": (12, 3),
    }
    found, want = (flatten_dict(x, sep="/") for x in (changed(before, change), after))
    assert found.keys() == want.keys()
    for name in want:
        np.testing.assert_allclose(found[name], want[name], atol=1e-5)


def test_the_largest_part_of_any_change_is_kept() -> None:
    before, after = network(0), network(2)
    away = [
        np.abs(changed(before, change_of(before, after, r))["blocks"]["q"]["kernel"] - after["blocks"]["q"]["kernel"])
        for r in (2, 6, 11)
    ]
    assert away[0].mean() > away[1].mean() > away[2].mean() > 1e-6


def test_another_networks_change_is_refused() -> None:
    before, other = network(0), network(1) | {"more": {"kernel": np.zeros((9, 9))}}
    with pytest.raises(ValueError, match=r"not two sets.*more/kernel"):
        change_of(before, other, 2)
    with pytest.raises(ValueError, match="change of another network: more/kernel"):
        changed(before, change_of(other, other, 2))
