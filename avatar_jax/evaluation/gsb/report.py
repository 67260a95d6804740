"""What a comparison has found: report.json for tools, report.csv for spreadsheets, report.html for people."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from avatar_jax.evaluation.gsb import comparison as kept
from avatar_jax.evaluation.gsb.comparison import Comparison
from avatar_jax.evaluation.gsb.dimensions import NAMES
from avatar_jax.evaluation.gsb.html import as_html
from avatar_jax.evaluation.gsb.session import SKIP, votes_of
from avatar_jax.evaluation.gsb.tally import Verdict, agreements, by_category, by_dimension, raters, verdicts
from avatar_jax.evaluation.scoring.results import plain, write_text
from avatar_jax.media import BadInput
from avatar_jax.metrics.gsb import BAD, GOOD, SAME
from avatar_jax.web.votes import Vote


def result_of(comparison: Comparison, votes: Sequence[Vote], wanted: int) -> tuple[dict[str, Any], list[Verdict]]:
    """Everything that the report says, with the verdicts that it rests on."""
    found = verdicts(comparison, votes, wanted)
    result = {
        "systems": {"good": comparison.systems[0], "bad": comparison.systems[1]},
        "comparison": comparison.id,
        "cases": len(comparison.pairs),
        "raters_wanted": wanted,
        "dimensions": by_dimension(found),
        "agreement": agreements(found),
        "raters": raters(votes),
        "categories": by_category(comparison, found),
        "notes": {pair.case: list(pair.notes) for pair in comparison.pairs if pair.notes},
        "left_out": dict(comparison.left_out),
    }
    return result, found


def report(folder: Path, wanted: int | None = None) -> dict[str, Any]:
    """Write the three files below `folder`; wanted: raters a case needs, as the comparison says if None.

    Raises:
        BadInput: no comparison there, no votes yet, or the files cannot be written.
    """
    comparison = kept.read(folder)
    votes = votes_of(folder, comparison).standing() if (folder / kept.VOTES).exists() else []
    if not votes:
        raise BadInput(f"report of {folder}", "nobody has voted", "a report needs votes", "serve the page first")
    result, found = result_of(comparison, votes, wanted or comparison.raters)
    write_text(folder / "report.csv", as_csv(comparison, found))
    write_text(folder / "report.html", as_html(result, found))
    write_text(folder / "report.json", json.dumps(plain(result), ensure_ascii=False, indent=1, allow_nan=False) + "\n")
    return result


def as_csv(comparison: Comparison, found: Sequence[Verdict]) -> str:
    """A line for every case and dimension, with the case's tags and every rater's answer."""
    tags = {pair.case: pair.tags for pair in comparison.pairs}
    names = sorted({tag for given in tags.values() for tag in given})
    people = sorted({rater for verdict in found for rater in verdict.answers})
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    head = ["case", "dimension", "verdict", "majority", "good", "same", "bad", "cannot_tell"]
    writer.writerow([*head, *(f"rater {name}" for name in people), *(f"tag {name}" for name in names)])
    for verdict in found:
        said = list(verdict.answers.values())
        writer.writerow(
            [
                verdict.case,
                verdict.dimension,
                verdict.verdict or "open",
                "no" if verdict.tied else "yes" if verdict.verdict else "",
                *(said.count(answer) for answer in (GOOD, SAME, BAD, SKIP)),
                *(verdict.answers.get(name, "") for name in people),
                *(tags[verdict.case].get(name, "") for name in names),
            ]
        )
    return table.getvalue()


def as_text(result: dict[str, Any]) -> str:
    """The table for a terminal."""
    lines = [
        f"good: {result['systems']['good']} is better; bad: {result['systems']['bad']} is better",
        f"{'dimension':18} {'good':>6} {'same':>6} {'bad':>6} {'cases':>6} {'(G+S)/(B+S)':>12}  95 % interval  Fleiss",
    ]
    for name in NAMES:
        row, fleiss = result["dimensions"][name], result["agreement"]["fleiss"][name]
        shares = " ".join(f"{row[f'{part}_percent']:5.1f}%" for part in (GOOD, SAME, BAD))
        spread = f"{row['low']:.2f} to {row['high']:.2f}"
        kappa = "" if fleiss is None else f"{fleiss:6.2f}"
        lines.append(f"{name:18} {shares} {row['cases']:6} {row['score']:12.2f}  {spread:13}  {kappa}")
    waiting = sum(row["open"] for row in result["dimensions"].values())
    ties = sum(row["without_majority"] for row in result["dimensions"].values())
    lines.append(f"{ties} without a majority count as the same; {waiting} wait for raters or could not be told")
    lines.append(f"{len(result['left_out'])} cases left out; {len(result['notes'])} with notes")
    return "\n".join(lines)
