"""Everything beside cases.jsonl: summary.json, plots and the page, each whole or not at all."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from avatar_jax.evaluation.scoring.comparison import Comparison, summary_of
from avatar_jax.evaluation.scoring.footage import videos_of
from avatar_jax.evaluation.scoring.page import Shelf, page
from avatar_jax.evaluation.scoring.plots import draw_all
from avatar_jax.evaluation.scoring.results import CaseScore, plain, write_text
from avatar_jax.evaluation.scoring.run import tracks_of
from avatar_jax.media import unwritable


def write_report(
    scores: Sequence[CaseScore],
    systems: Mapping[str, Path],
    out: Path,
    by: tuple[str, ...] = (),
    reference: str | None = None,
    budget: int = 20_000_000,
) -> dict[str, Any]:
    """Write out/summary.json, out/plots and out/report.html; returns the summary.

    by: tags to make tables and bars of; reference: the system that FID and FVD compare with; budget: bytes that videos
    inside the page may take.

    Raises:
      BadInput: an output that cannot be written.
    """
    tracks = {(s.system, s.case): tracks_of(out, s.key) for s in scores if s.scored}
    comparison = Comparison(tuple(systems), scores, tracks, by, reference)
    summary = summary_of(comparison)
    write_text(out / "summary.json", json.dumps(plain(summary), indent=1, ensure_ascii=False) + "\n")
    videos = {(system, case): path for system, folder in systems.items() for case, path in videos_of(folder).items()}
    try:
        plots = draw_all(comparison, out / "plots")
        write_text(out / "report.html", page(comparison, summary, plots, Shelf(out, videos, budget)))
    except OSError as error:
        raise unwritable(out, error) from error
    return summary
