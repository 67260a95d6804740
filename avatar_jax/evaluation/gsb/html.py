"""The report as one HTML file that needs nothing else."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from avatar_jax.evaluation.gsb.dimensions import DIMENSIONS, NAMES
from avatar_jax.evaluation.gsb.tally import Verdict
from avatar_jax.metrics.gsb import BAD, GOOD, SAME

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 76em; padding: 0 1em; color: #1c2430; }
table { border-collapse: collapse; margin: .6em 0 1.6em; }
th, td { padding: .25em .6em; text-align: right; white-space: nowrap; border-bottom: 1px solid #dfe3ea; }
th:first-child, td:first-child { text-align: left; }
.bar { display: flex; width: 12em; height: 1.1em; border-radius: .2em; overflow: hidden; }
.good { background: #3b8f5c; } .same { background: #c9ced8; } .bad { background: #c2553f; }
td.good, td.same, td.bad { color: #fff; } td.same { color: #1c2430; }
small, .thin { color: #667; }
details { margin: .6em 0; } summary { cursor: pointer; font-weight: 600; }
"""
SHORT = {GOOD: "G", SAME: "S", BAD: "B", None: "open"}


def number(value: float | None, digits: int = 2) -> str:
    if value is None or math.isnan(value):
        return "-"
    return "&infin;" if math.isinf(value) else f"{value:.{digits}f}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Cells are HTML already; a cell that begins with `<td` stands as it is."""
    top = "".join(f"<th>{cell}</th>" for cell in head)
    body = "".join(
        "<tr>" + "".join(cell if cell.startswith("<td") else f"<td>{cell}</td>" for cell in row) + "</tr>\n"
        for row in rows
    )
    return f"<table><thead><tr>{top}</tr></thead><tbody>\n{body}</tbody></table>"


def headline(result: Mapping[str, Any]) -> str:
    rows = []
    for dimension in DIMENSIONS:
        row = result["dimensions"][dimension.name]
        shares = {part: row[f"{part}_percent"] for part in (GOOD, SAME, BAD)}
        bar = "".join(f'<span class="{part}" style="width:{number(share)}%"></span>' for part, share in shares.items())
        rows.append(
            [
                dimension.label,
                f'<td><div class="bar">{bar if row["cases"] else ""}</div></td>',
                *(f"{number(share, 1)} %" for share in shares.values()),
                f"<b>{number(row['score'])}</b>",
                f"{number(row['low'])} to {number(row['high'])}",
                str(row["cases"]),
                str(row["without_majority"]),
                str(row["open"]),
                number(result["agreement"]["fleiss"][dimension.name]),
            ]
        )
    rest = ["(G+S)/(B+S)", "95 % interval", "cases", "no majority", "open", "Fleiss &kappa;"]
    return table(["", "", "good", "same", "bad", *rest], rows)


def people(result: Mapping[str, Any]) -> str:
    rows = [
        [
            escape(told["rater"]),
            str(told["answers"]),
            str(told["cannot_tell"]),
            number(told["median_seconds"], 1),
            number(told["left_share"]),
        ]
        for told in result["raters"]
    ]
    alone = table(["rater", "answers", "cannot tell", "median seconds", "share of left among left and right"], rows)
    pairs = [
        [
            " and ".join(map(escape, told["raters"])),
            number(told["all"]["agreement"]),
            *(number(told[name]["kappa"]) for name in ("all", *NAMES)),
        ]
        for told in result["agreement"]["cohen"]
    ]
    labels = [dimension.label for dimension in DIMENSIONS]
    return alone + (table(["Cohen's &kappa;", "equal answers", "all", *labels], pairs) if pairs else "")


def category(tag: str, values: Mapping[str, Any]) -> str:
    rows = []
    for value, dimensions in values.items():
        cells = []
        for name in NAMES:
            row = dimensions[name]
            counts = f"<small>{row[GOOD]}/{row[SAME]}/{row[BAD]}</small>"
            cells.append(f"{number(row['score'])} {counts}")
        most = max(dimensions[name]["cases"] for name in NAMES)
        rows.append([escape(value), str(most), *cells])
    labels = [dimension.label for dimension in DIMENSIONS]
    return table([escape(tag), "cases", *labels], rows)


def cases(found: Sequence[Verdict]) -> str:
    by_case: dict[str, list[str]] = {}
    for verdict in found:
        said = list(verdict.answers.values())
        counts = "/".join(str(said.count(answer)) for answer in (GOOD, SAME, BAD))
        cell = f'<td class="{verdict.verdict or ""}">{SHORT[verdict.verdict]} <span>{counts}</span></td>'
        by_case.setdefault(verdict.case, []).append(cell)
    rows = [[escape(case), *cells] for case, cells in by_case.items()]
    return table(["case", *(dimension.label for dimension in DIMENSIONS)], rows)


def as_html(result: Mapping[str, Any], found: Sequence[Verdict]) -> str:
    one, other = (escape(name) for name in result["systems"].values())
    sections = [
        f"<h1>{one} against {other}, judged blind</h1>",
        f"<p>Good: {one} is better. Bad: {other} is better. Every case is the majority of {result['raters_wanted']} or "
        "more raters, who did not know which video was whose; where nobody has more than half, it counts as the same. "
        "Score (G+S)/(B+S), 1 is parity; interval: percentile bootstrap over cases. Open: raters are missing, or none "
        f"could tell. {result['cases']} cases.</p>",
        headline(result),
        "<h2>Raters</h2>",
        people(result),
    ]
    if result["categories"]:
        sections.append('<h2>By category</h2><p class="thin">Score, with good/same/bad.</p>')
        sections += [category(tag, values) for tag, values in result["categories"].items()]
    if result["left_out"]:
        rows = [[escape(case), escape(why)] for case, why in result["left_out"].items()]
        sections += [f"<h2>Left out: {len(rows)}</h2>", table(["case", "why"], rows)]
    if result["notes"]:
        rows = [[escape(case), escape("; ".join(notes))] for case, notes in result["notes"].items()]
        sections.append(f"<details><summary>Notes: {len(rows)}</summary>{table(['case', 'note'], rows)}</details>")
    sections.append(f"<details><summary>Every case: verdict, and good/same/bad votes</summary>{cases(found)}</details>")
    head = f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{one} against {other}</title>'
    return f"{head}<style>{STYLE}</style></head><body>\n" + "\n".join(sections) + "\n</body></html>\n"
