"""Many chips on one video, or many videos: the second table of docs/tpu.md, from the rows of the first.

    python -m tpu.scale

Segments do not depend on each other, so a program of one slice runs on any number of them, each with windows of its
own and nothing to exchange (tpu.minute has the formula). A *place* is what compiled a row: a slice, or as many chips of
a larger one, where the mesh's data axis goes over the places. The blueprint is one call in one place.
"""

import math
import sys
from dataclasses import dataclass
from typing import Any

from avatar_jax import config as configs
from avatar_jax.sampling.public.config import PublicConfig
from tpu.minute import Costs, Video, costs_of, video
from tpu.programs import model_of
from tpu.table import CASES, PAGE, ROOT, Case, decoder_command, read_rows, row_of, with_table, write_whole
from tpu.topology import parse_topology

BEGIN, END = "<!-- table: python -m tpu.scale -->", "<!-- end of the table of many chips -->"
MINUTES = (1, 2, 4, 8, 16, 32)
CHIPS = (8, 64, 256)
PLACES = ("v6e:2x4", "v6e:4x4")


@dataclass(frozen=True)
class Place:
    """A row of the first table: one program on one slice."""

    case: Case
    config: PublicConfig
    topology: str
    costs: Costs
    decodes: bool
    """Whether the decoder's seconds are known."""

    @property
    def chips(self) -> int:
        return parse_topology(self.topology).chips


def places(rows: dict[str, dict[str, Any]]) -> list[Place]:
    """All rows of the first table that fit, for the slices of PLACES."""
    found = []
    for case in CASES:
        config = configs.load(ROOT / "configs" / f"{case.config}.py").sample
        for topology in PLACES:
            row = row_of(case, topology, rows)
            if row is None or row.get("error") or not row["fits"]:
                continue
            decoder = rows.get(" ".join(decoder_command(case, topology, row["windows"])), {})
            seconds = decoder.get("static_s_per_step")
            costs = costs_of(config, model_of(config), row, seconds or 0.0)
            found.append(Place(case, config, topology, costs, seconds is not None))
    return found


def efficiency(place: Place, minutes: int) -> float:
    """Seconds of one minute on one slice by those of `minutes` minutes on as many slices."""
    return video(place.config, place.costs).seconds / video(place.config, place.costs, 60 * minutes, minutes).seconds


def alone(place: Place, chips: int) -> Video:
    """One minute on all places of so many chips."""
    return video(place.config, place.costs, 60, chips // place.chips)


def share(part: float, whole: Video) -> str:
    return f"{100 * part / whole.seconds:.1f} %"


def line_of(place: Place, chips: int) -> str:
    """One minute alone."""
    made = alone(place, chips)
    slots = place.costs.windows * (chips // place.chips)
    decoder = share(made.decoder_s, made) if place.decodes else "not in it"
    where = f"{chips // place.chips} of {place.topology}"
    return (
        f"| {place.case.name} | {chips} | {where} | {math.ceil(made.segments)} / {slots} | {made.waves} "
        f"| {made.seconds:.0f} | {share(made.blueprint_s, made)} | {decoder} |"
    )


def table(found: list[Place]) -> str:
    """Both halves: k minutes on k slices, and one minute alone."""
    heads = " | ".join(f"{minutes} on {minutes}" for minutes in MINUTES)
    lines = [f"| k minutes of video on k slices: efficiency | slice | {heads} |", "|---|---|" + "---|" * len(MINUTES)]
    for place in found:
        values = " | ".join(f"{efficiency(place, minutes):.3f}" for minutes in MINUTES)
        lines.append(f"| {place.case.name} | {place.topology} | {values} |")
    lines += [
        "",
        "| one minute alone | chips | places | segments / slots | waves | static s | blueprint | decoder |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [line_of(place, chips) for chips in CHIPS for place in found if chips >= place.chips]
    return "\n".join(lines)


def main() -> int:
    write_whole(PAGE, with_table(PAGE.read_text(), table(places(read_rows())), BEGIN, END))
    return 0


if __name__ == "__main__":
    sys.exit(main())
