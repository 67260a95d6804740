"""When the steps of a wish happen: "then", "at 3 s" and "finally" laid out over a recording."""

from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise

from avatar_jax.director.experts.text import Step, Wish
from avatar_jax.director.storyline import Conflict

SHORTEST = Fraction(4, 10)
"""Seconds below which a shot cannot show anything."""
ACT_S = Fraction(5, 2)
"""Seconds given to an action that is asked for at one instant."""

Span = tuple[Fraction, Fraction]


@dataclass(frozen=True)
class Slot:
    """[start, end) seconds in which `step` holds (None: only what is said of the whole video).

    `acting` is False where the step's action is over and only its mood goes on. `asked`: how many seconds the user
    wanted, 0 where nobody said.
    """

    start: Fraction
    end: Fraction
    step: Step | None
    acting: bool = True
    asked: Fraction = Fraction(0)


def lay_out(wish: Wish, seconds: Fraction, silences: list[Span]) -> tuple[list[Slot], list[Conflict]]:
    """Slots that cover [0, seconds) in order, and the steps that found no place.

    Steps with a time begin there; "then" steps share the time up to the next such step equally, and begin after a
    pause of the voice where one is near. A step that the user gave a length takes that, as far as there is room.
    "Finally" after a single step takes the last third.
    """
    groups, conflicts = _groups(wish.steps[1:], seconds)
    slots: list[Slot] = []
    for i, (start, until, steps) in enumerate(groups):
        limit = groups[i + 1][0] if i + 1 < len(groups) else seconds
        end = min(until or limit, limit)
        edges = _edges(steps, start, end, silences)
        for k, step in enumerate(steps):
            slots += _slots(step, edges[k], edges[k + 1])
        if edges[-1] < limit:
            slots.append(Slot(edges[-1], limit, None))
    return _without_slivers(slots, conflicts), conflicts


def _length(step: Step | None) -> Fraction:
    """Seconds that the user gave a step without saying when; 0 for none."""
    timed = step is not None and step.timing[0] in ("start", "then", "end", "for")
    return Fraction(str(step.timing[2])) if step is not None and timed else Fraction(0)


def _edges(steps: list[Step | None], start: Fraction, end: Fraction, silences: list[Span]) -> list[Fraction]:
    """Where each of `steps` begins, and where the last ends."""
    lengths = [_length(step) for step in steps]
    free = sum(not length for length in lengths)
    if free == len(steps):
        edges = [start + (end - start) * k / len(steps) for k in range(len(steps) + 1)]
        if len(steps) == 2 and steps[1] is not None and steps[1].timing[0] == "end":
            edges[1] = start + (end - start) * 2 / 3
        edges[1:-1] = [_after_pause(edge, silences, (end - start) / len(steps) / 3) for edge in edges[1:-1]]
        return edges
    # Steps without a length get what is left, and a second each at least where the recording has it.
    room = end - start - free * min(Fraction(1), (end - start) / (len(steps) + 1))
    shrink = min(Fraction(1), room / sum(lengths))
    share = (end - start - shrink * sum(lengths)) / free if free else Fraction(0)
    edges = [start]
    for length in lengths:
        edges.append(edges[-1] + (shrink * length or share))
    return edges


def _groups(
    steps: list[Step], seconds: Fraction
) -> tuple[list[tuple[Fraction, Fraction | None, list]], list[Conflict]]:
    """Steps with a time of their own, each with the "then" steps that follow it, by time."""
    groups: list[tuple[Fraction, Fraction | None, list[Step | None]]] = []
    conflicts: list[Conflict] = []
    for step in steps:
        start, until = _anchor(step, seconds)
        if start is None:
            if not groups:
                groups.append((Fraction(0), None, [] if step.timing[0] == "for" else [None]))
            elif (over := groups[-1][1]) is not None and over < seconds:
                groups.append((over, None, []))
            groups[-1][2].append(step)
        elif start > seconds - min(SHORTEST, seconds / 2) or (until is not None and until <= start):
            reason = f"the recording lasts {float(seconds):.3f} s"
            conflicts.append(Conflict(path="$.shots", chosen="left out", rejected=step.seen_in, reason=reason))
        else:
            groups.append((start, until, [step]))
    groups.sort(key=lambda group: group[0])
    for group, later in pairwise(list(groups)):
        if later[0] <= group[0]:
            said, instead = (" ".join(s.seen_in for s in steps if s) for steps in (group[2], later[2]))
            reason = "both begin at the same time; the later said one holds"
            conflicts.append(Conflict(path="$.shots", chosen=instead[:300], rejected=said[:300], reason=reason))
            groups.remove(group)
    if not groups or groups[0][0] > 0:
        groups.insert(0, (Fraction(0), None, [None]))
    return groups, conflicts


def _anchor(step: Step, seconds: Fraction) -> tuple[Fraction | None, Fraction | None]:
    kind, a, b = step.timing[0], Fraction(str(step.timing[1])), Fraction(str(step.timing[2]))
    match kind:
        case "start":
            return Fraction(0), None
        case "at":
            return a, None
        case "span":
            return a, min(b, seconds)
        case "last":
            return max(Fraction(0), seconds - a), None
        case "half":
            return seconds / 2, None
    return None, None


def _slots(step: Step | None, start: Fraction, end: Fraction) -> list[Slot]:
    if step is None:
        return [Slot(start, end, None)]
    acts = any(f.kind == "action" and not f.negated for f in step.findings)
    asked = _length(step)
    if step.timing[0] == "span":
        asked = Fraction(str(step.timing[2])) - Fraction(str(step.timing[1]))
    if step.timing[0] == "at" and acts and end - start > ACT_S + 1:
        return [Slot(start, start + ACT_S, step), Slot(start + ACT_S, end, step, acting=False)]
    return [Slot(start, end, step, asked=asked)]


def _after_pause(edge: Fraction, silences: list[Span], reach: Fraction) -> Fraction:
    """The end of the pause nearest to `edge`, where one lies within `reach`."""
    ends = [end for _, end in silences if abs(end - edge) <= min(reach, Fraction(2))]
    return min(ends, key=lambda end: abs(end - edge), default=edge)


def _without_slivers(slots: list[Slot], conflicts: list[Conflict]) -> list[Slot]:
    out: list[Slot] = []
    for slot in slots:
        if slot.end - slot.start >= SHORTEST or len(slots) == 1:
            out.append(replace(slot, start=out[-1].end if out else Fraction(0)))
        else:
            said = slot.step.seen_in if slot.step else ""
            if said:
                reason = f"only {float(slot.end - slot.start):.2f} s would be left for it"
                conflicts.append(Conflict(path="$.shots", chosen="left out", rejected=said, reason=reason))
            if out:
                out[-1] = replace(out[-1], end=slot.end)
    return out or [Slot(slots[0].start, slots[-1].end, slots[0].step)]
