"""What public checkpoints call our parameters and how they order their numbers: the interface of every loader.

A module that can be loaded says, for each public key layout, one `Rule` per parameter:

    RULES = [
        Rule("conv_in/kernel", "encoder.conv_in.weight", permuted(2, 3, 4, 1, 0)),
        Rule("blocks/layers/attn/q/kernel", "block.{n}.attn.q.weight", TRANSPOSED),   # stacked over layers
        Rule("norm/scale", "norm.weight"),
    ]
    def target(config: dict) -> Target:
        abstract = jax.eval_shape(Module(...).init, ...)["params"]
        return Target(abstract, (mapping("diffusers", RULES, flat_shapes(abstract)),))

The streamed, strict machinery (plan.py, stream.py) then needs nothing else. Rules for parameters that the configured
model does not have are left aside, so that one list serves all sizes and branches.
"""

from collections.abc import Callable, Iterable
from collections.abc import Mapping as Map
from dataclasses import dataclass, field
from typing import Any, cast

import flax.linen as nn
import numpy as np
from flax.traverse_util import flatten_dict

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Layout:
    """Order of one tensor's numbers: `ours` maps a public array to ours, `theirs` is its inverse; views are welcome."""

    ours: Callable[[np.ndarray], np.ndarray]
    theirs: Callable[[np.ndarray], np.ndarray]


def permuted(*axes: int) -> Layout:
    """Our axis i is the public axis axes[i]; (2, 3, 4, 1, 0) turns a torch conv kernel [O, I, t, h, w] into ours."""
    back = tuple(int(i) for i in np.argsort(axes))
    return Layout(lambda x: x.transpose(axes), lambda x: x.transpose(back))


SAME = Layout(lambda x: x, lambda x: x)
TRANSPOSED = permuted(1, 0)
"""Linear maps: torch keeps [out, in], we keep [in, out]."""
LEADING_ONE = Layout(lambda x: x[0], lambda x: x[None])
"""Tables that are kept with a batch axis of one: [1, ...] -> [...]."""


@dataclass(frozen=True)
class Rule:
    """One parameter: its '/'-joined path in our tree; its public name, with {n} where ours is stacked over layers."""

    path: str
    public: str
    layout: Layout = SAME


@dataclass(frozen=True)
class Place:
    """Where one public tensor goes: a parameter of ours or one layer of it; `shape` is ours, without the layers."""

    path: str
    layer: int | None
    shape: Shape
    layout: Layout

    @property
    def public_shape(self) -> Shape:
        return self.layout.theirs(np.broadcast_to(np.int8(0), self.shape)).shape


@dataclass(frozen=True)
class Mapping:
    """One model under one public key layout."""

    name: str
    places: Map[str, Place]
    """Public name -> where it goes; every one of them must be in a checkpoint."""
    dead: Map[str, Shape] = field(default_factory=dict)
    """Tensors that the released model holds and never reads: checked if present, then dropped."""
    ignored: tuple[str, ...] = ()
    """Patterns (full match) of further names that may be there and are not looked at."""

    def public_shapes(self) -> dict[str, Shape]:
        """Every tensor of the released model, by its public name."""
        return {name: place.public_shape for name, place in self.places.items()} | dict(self.dead)

    def public_arrays(self, params: Any) -> dict[str, np.ndarray]:
        """Our parameters under public names, layers split and layouts undone (without the dead tensors)."""
        flat = by_path(params)
        arrays = {}
        for name, place in self.places.items():
            whole = np.asarray(flat[place.path])
            arrays[name] = np.ascontiguousarray(
                place.layout.theirs(whole if place.layer is None else whole[place.layer])
            )
        return arrays


@dataclass(frozen=True)
class Target:
    """A model to be filled: parameters as `eval_shape(Module.init, ...)["params"]` gives them, boxes and all."""

    abstract: Any
    mappings: tuple[Mapping, ...]
    """The key layouts that a checkpoint may use; each source is read by the one that knows most of its names."""
    float32: str = r".*/(scale|bias|modulation|emb_pos)"
    """Paths (full match) that stay float32 in a bfloat16 conversion."""


def mapping(
    name: str,
    rules: Iterable[Rule],
    shapes: Map[str, Shape],
    dead: Map[str, Shape] | None = None,
    ignored: tuple[str, ...] = (),
) -> Mapping:
    """The rules applied to a model with these parameters; every parameter needs one.

    Raises:
        KeyError: if a parameter has no rule (a mistake in the rules, not in a checkpoint).
    """
    by_path = {rule.path: rule for rule in rules}
    places: dict[str, Place] = {}
    for path, shape in shapes.items():
        rule = by_path[path]
        if "{n}" in rule.public:
            for n in range(shape[0]):
                places[rule.public.replace("{n}", str(n))] = Place(path, n, shape[1:], rule.layout)
        else:
            places[rule.public] = Place(path, None, shape, rule.layout)
    return Mapping(name, places, dead or {}, ignored)


def flat_shapes(abstract: Any) -> dict[str, Shape]:
    """'/'-joined paths -> shapes of the parameters that `eval_shape` of a module's `init` gives."""
    return {path: tuple(leaf.shape) for path, leaf in by_path(nn.unbox(abstract)).items()}


def by_path(tree: Any) -> dict[str, Any]:
    """Nested dictionaries -> one, with '/'-joined paths."""
    return cast(dict[str, Any], flatten_dict(tree, sep="/"))
