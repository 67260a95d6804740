"""The report of a comparison: one HTML file that needs no other, but for the videos that did not fit into it."""

import base64
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import quote

from avatar_jax.evaluation.scoring.comparison import Comparison, number
from avatar_jax.evaluation.scoring.measures import MEASURES, OF_SETS
from avatar_jax.evaluation.scoring.previews import HEIGHT, LONGEST_S, as_data, preview
from avatar_jax.evaluation.scoring.results import CaseScore

TEMPLATE = Path(__file__).with_name("page.html")
SURE = 0.05
IN_CAPTION = ("sync_corr", "sync_c", "identity", "motion_amount")


@dataclass
class Shelf:
    """Videos by (system, case) for a page in folder `home`: small copies inside it until `budget` bytes are spent, in
    the order in which they are asked for; links to the videos themselves from then on."""

    home: Path
    videos: Mapping[tuple[str, str], Path]
    budget: int
    spent: int = 0
    inside: int = 0
    linked: int = field(default=0)

    def row(self, keys: Sequence[tuple[str, str]]) -> list[str]:
        """Sources of the videos of one case: all inside, or all as links."""
        copies: list[Path] = []
        if self.spent < self.budget:
            found = [preview(self.videos[key], self.home / "previews" / f"{key[0]}_{key[1]}.mp4") for key in keys]
            copies = [path for path in found if path is not None]
        size = sum(path.stat().st_size for path in copies) * 4 // 3
        if len(copies) == len(keys) and self.spent + size <= self.budget:
            self.spent += size
            self.inside += len(keys)
            return [as_data(path) for path in copies]
        # One that does not fit ends it: later rows are links, however small.
        self.spent = self.budget
        self.linked += len(keys)
        return [quote(os.path.relpath(self.videos[key].resolve(), self.home.resolve())) for key in keys]

    def told(self) -> str:
        """Which videos lie where."""
        inside = f"{self.inside} videos are inside this file as copies of {HEIGHT} pixels and {LONGEST_S:g} s at most"
        if not self.linked:
            return f"{inside}; it needs no other file."
        return f"{inside}; {self.linked} more are links to the videos themselves, which must stay where they are."


def page(comparison: Comparison, summary: Mapping[str, Any], plots: Sequence[Path], shelf: Shelf) -> str:
    """The page's HTML."""
    first, *others = comparison.systems
    scored = sum(score.scored for score in comparison.scores)
    title = first + (f" against {', '.join(others)}" if others else "")
    cases = "\n".join(case_rows(comparison, shelf))
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        title=escape(title),
        lead="<br>".join(
            [
                f"{scored} videos scored, {len(comparison.scores) - scored} refused; {distances(summary)}",
                *(escape(note) for note in summary["notes"]),
            ]
        ),
        overall=overall(summary),
        first=escape(first),
        pictures="".join(f"<h2>{escape(path.stem)}</h2>{image(path)}" for path in plots),
        categories="".join(category(tag, kinds, summary) for tag, kinds in summary["by"].items()),
        videos=shelf.told(),
        cases=cases,
        refused=refused(summary),
        meanings=meanings(comparison),
    )


def distances(summary: Mapping[str, Any]) -> str:
    """FID and FVD in one sentence."""
    parts = []
    for feature in ("fid", "fvd"):
        found = {system: of[feature] for system, of in summary["systems"].items()}
        told = [
            f"{escape(s)} {number(x['value'])} ({escape(x['note'])})"
            for s, x in found.items()
            if x["value"] is not None
        ]
        note = next(iter(found.values()))["note"]
        parts.append(f"{feature.upper()}: {', '.join(told) if told else escape(note)}")
    return "; ".join(parts) + "."


def table(head: Sequence[str], rows: Sequence[str]) -> str:
    cells = "".join(f"<th>{escape(name)}</th>" for name in head)
    return f"<table><tr>{cells}</tr>{''.join(rows)}</table>"


def overall(summary: Mapping[str, Any]) -> str:
    """A row a measure, a column a system."""
    systems = list(summary["systems"])
    rows = []
    for name, about in summary["measures"].items():
        found = {system: summary["systems"][system]["metrics"][name] for system in systems}
        best = best_of({s: x["mean"] for s, x in found.items()}, about["better"])
        cells = [f'<td title="{escape(about["unit"])}">{name}</td>']
        for system in systems:
            x, kinds = found[system], []
            against = summary["differences"].get(system, {}).get(name)
            if against and against["cases"] and against["p"] < SURE:
                kinds.append("sure")
            if system == best:
                kinds.append("best")
            spread = f" [{number(x['low'])}, {number(x['high'])}]" if x["cases"] else ""
            p = f" p {number(against['p'])}" if against and against["cases"] else ""
            cells.append(f'<td class="{" ".join(kinds)}">{number(x["mean"])}<br><small>{spread}{p}</small></td>')
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return table(["", *systems], rows)


def best_of(means: Mapping[str, float], better: str) -> str | None:
    """The one system that is best; None where no direction is known or several are."""
    rank = {"higher": lambda x: x, "lower": lambda x: -x, "1": lambda x: -abs(x - 1)}.get(better)
    known = {system: rank(mean) for system, mean in means.items() if mean == mean} if rank else {}
    top = [system for system, value in known.items() if value == max(known.values())]
    return top[0] if len(top) == 1 and len(known) > 1 else None


def category(tag: str, kinds: Mapping[str, Any], summary: Mapping[str, Any]) -> str:
    """The means of every value of a tag, for every system."""
    columns = [(kind, system) for kind in kinds for system in summary["systems"]]
    rows = []
    for name in summary["measures"]:
        cells = "".join(f"<td>{number(kinds[kind][system][name]['mean'])}</td>" for kind, system in columns)
        rows.append(f"<tr><td>{name}</td>{cells}</tr>")
    head = ["", *(f"{kind}, {system}" for kind, system in columns)]
    return f'<h2>By {escape(tag)}</h2><div class="wide">{table(head, rows)}</div>'


def case_rows(comparison: Comparison, shelf: Shelf) -> Iterator[str]:
    """Every case with its videos side by side and its main numbers."""
    by_case: dict[str, list[CaseScore]] = {}
    for score in comparison.scores:
        if score.scored:
            by_case.setdefault(score.case, []).append(score)
    for case, scores in sorted(by_case.items()):
        sources = shelf.row([(score.system, case) for score in scores])
        figures = [
            f'<figure><video src="{source}" preload="{"metadata" if source.startswith("data:") else "none"}" controls>'
            f"</video><figcaption><b>{escape(score.system)}</b> {caption(score)}</figcaption></figure>"
            for source, score in zip(sources, scores, strict=True)
        ]
        tags = ", ".join(f"{name} {value}" for name, value in scores[0].tags.items())
        yield (
            f'<div class="case"><b>{escape(case)}</b><button data-play>play all</button>'
            f'<p class="small">{escape(tags)}</p><div class="row">{"".join(figures)}</div></div>'
        )


def caption(score: CaseScore) -> str:
    told = [f"{name} {number(score.value(name))}" for name in IN_CAPTION if score.metrics.get(name) is not None]
    return f"{', '.join(told)}<br>{'<br>'.join(escape(note) for note in score.notes)}"


def refused(summary: Mapping[str, Any]) -> str:
    if not summary["refused"]:
        return ""
    rows = [
        f'<tr><td>{escape(r["system"])}/{escape(r["case"])}</td><td class="left">{escape(r["reason"])}</td></tr>'
        for r in summary["refused"]
    ]
    return f"<h2>Refused</h2>{table(['video', 'reason'], rows)}"


def meanings(comparison: Comparison) -> str:
    there = set(comparison.names())
    rows = [
        f"<tr><td>{m.name}</td><td>{m.unit}</td><td>{m.better}</td>"
        f'<td class="left">{escape(m.definition)}</td><td class="left small">{escape(m.source)}</td></tr>'
        for m in (*MEASURES, *OF_SETS)
        if m.name in there or m in OF_SETS
    ]
    return table(["name", "unit", "better", "definition", "source"], rows)


def image(path: Path) -> str:
    return f'<img alt="{escape(path.stem)}" src="data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}">'
