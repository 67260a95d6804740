"""Which tensor of which file becomes which parameter: everything is checked here, before a number is read.

Several sources are laid over each other in order, the base first; where two hold the same parameter, the later one
wins. Every missing, unexpected and mis-shaped key of all sources and LoRAs together goes into one table.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from avatar_jax.weights.lora import Change, Lora, changes
from avatar_jax.weights.mapping import Mapping, Place, Target
from avatar_jax.weights.problems import KeyMismatch, Problem
from avatar_jax.weights.reader import DTYPES, Source, Tensor

Spot = tuple[str, int | None]
"""A parameter of ours, or one layer of it."""


@dataclass(frozen=True)
class Step:
    """One tensor's way: read, changed by LoRAs, laid out, put in its place."""

    name: str
    tensor: Tensor
    place: Place
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True)
class Plan:
    """All steps, in the order of the files on disk, and what the user may want to know."""

    steps: tuple[Step, ...]
    notes: tuple[str, ...]

    @property
    def nbytes(self) -> int:
        return sum(step.tensor.nbytes for step in self.steps)


def make_plan(what: str, target: Target, sources: Sequence[Source], loras: Sequence[Lora] = ()) -> Plan:
    """The steps that fill `target`; `what` names it in messages.

    Raises:
        KeyMismatch: with the table of everything that does not fit.
    """
    problems: list[Problem] = []
    chosen: dict[Spot, Step] = {}
    layouts = [best_mapping(source, target.mappings) for source in sources]
    replaced = 0
    for source, layout in zip(sources, layouts, strict=True):
        for name, tensor in source.tensors.items():
            place = layout.places.get(name)
            wanted = place.public_shape if place else layout.dead.get(name)
            if wanted is None:
                if not any(re.fullmatch(pattern, name) for pattern in layout.ignored):
                    problems.append(Problem("unexpected", name, str(list(tensor.shape)), "", tensor.path.name))
            elif tensor.shape != wanted:
                problems.append(Problem("shape", name, str(list(tensor.shape)), str(list(wanted)), tensor.path.name))
            elif tensor.dtype not in DTYPES:
                problems.append(Problem("dtype", name, tensor.dtype, ", ".join(DTYPES), tensor.path.name))
            if place:
                spot = (place.path, place.layer)
                replaced += spot in chosen
                chosen[spot] = Step(name, tensor, place)
    for name, place in layouts[0].places.items():
        if (place.path, place.layer) not in chosen:
            problems.append(Problem("missing", name, "", str(list(place.public_shape)), sources[0].where.name))

    merged: dict[Spot, list[Change]] = {}
    for lora in loras:
        found, wrong = changes(lora, target.mappings)
        problems += wrong
        for spot, change in found:
            merged.setdefault(spot, []).append(change)
    if problems:
        raise KeyMismatch(what, problems)

    steps = [Step(s.name, s.tensor, s.place, tuple(merged.get(spot, ()))) for spot, s in chosen.items()]
    steps.sort(key=lambda step: (str(step.tensor.path), step.tensor.start))
    return Plan(tuple(steps), tuple(notes(sources, layouts, steps, replaced, len(loras))))


def best_mapping(source: Source, mappings: Sequence[Mapping]) -> Mapping:
    """The key layout that knows most of a source's names; the first one if none knows any."""

    def known(layout: Mapping) -> int:
        return sum(name in layout.places or name in layout.dead for name in source.tensors)

    return max(mappings, key=known)


def notes(
    sources: Sequence[Source], layouts: Sequence[Mapping], steps: Sequence[Step], replaced: int, loras: int
) -> list[str]:
    """One line for each thing that is allowed but worth saying."""
    lines = [f"{s.where.name}: {len(s.tensors)} tensors, {m.name} keys" for s, m in zip(sources, layouts, strict=True)]
    if replaced:
        lines.append(f"overlays replace {replaced} tensors of earlier sources")
    dtypes = Counter(step.tensor.dtype for step in steps)
    if len(dtypes) > 1:
        found = ", ".join(f"{count} {dtype}" for dtype, count in dtypes.most_common())
        lines.append(f"mixed dtypes ({found}): each tensor is cast to the dtype that is asked for")
    if loras:
        lines.append(f"{loras} LoRA{'s' * (loras > 1)} change {sum(bool(s.changes) for s in steps)} tensors")
    return lines
