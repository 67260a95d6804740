"""A storyline for reading: a page of Markdown with a table, and a picture of energy, pitch and shots in time."""

import html
import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from avatar_jax.director.experts.audio import FLOOR_DB, Heard, hear
from avatar_jax.director.storyline import Shot, Storyline
from avatar_jax.media import Recording, unwritable

COLOURS = {
    "calm": "#9ecae1",
    "excitement": "#fdae6b",
    "confusion": "#bcbddc",
    "sadness": "#6b8fb5",
    "surprise": "#fdd95b",
    "anger": "#e5695b",
    "joy": "#a1d99b",
    "neutral": "#d9d9d9",
}
MOST_ROWS = 300
"""Shots of a table; the JSON holds all."""
MOST_POINTS = 4000
"""Points of a curve; more would be finer than the picture."""


def write_sheet(storyline: Storyline, recording: Recording, json_path: Path) -> None:
    """`storyline.md` and `storyline.png` beside `storyline.json`, each whole or not at all.

    Raises:
      BadInput: they cannot be written.
    """
    picture = json_path.with_suffix(".png")
    page = json_path.with_suffix(".md")
    for path, content in (
        (picture, draw(storyline, hear(recording))),
        (page, describe(storyline, picture.name).encode()),
    ):
        part = path.with_name(f".{path.name}.part")
        try:
            part.write_bytes(content)
            part.replace(path)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise unwritable(path, error) from error


def describe(storyline: Storyline, picture: str) -> str:
    """The page. Texts of users and models stay text: they can neither break the table nor become links or HTML."""
    fallback = f" {_plain(storyline.fallback)}" if storyline.fallback else ""
    facts = {
        "length": f"{float(storyline.sound.seconds):.3f} s",
        "language": storyline.language,
        "written by": f"{_plain(storyline.made_by)}{fallback}",
        "wish": _plain(storyline.wish) or "none",
        "transcript": _plain(storyline.transcript) or "none",
        "character": _plain(storyline.character),
        "background": _plain(storyline.background),
        "style": _plain(storyline.style),
    }
    lines = ["# Storyline", "", f"![energy, pitch and shots]({picture})", ""]
    lines += [f"- **{name}**: {value}" for name, value in facts.items()]
    lines += ["", "| # | seconds | voice | emotion | action | gaze | camera | motion | not shown |", "|" + "---|" * 9]
    lines += [_row(i, shot) for i, shot in enumerate(storyline.shots[:MOST_ROWS])]
    if len(storyline.shots) > MOST_ROWS:
        lines.append(f"\n{len(storyline.shots) - MOST_ROWS} more shots are in the JSON file.")
    if storyline.conflicts:
        lines += ["", "## Conflicts", ""]
        lines += [
            f"- {_code(c.path)}: **{_plain(c.chosen)}**, not {_plain(c.rejected)}: {_plain(c.reason)}"
            for c in storyline.conflicts
        ]
    if storyline.evidence:
        lines += ["", "## Evidence", ""]
        lines += [f"- {e.expert}: {_plain(e.finding)} ({_plain(e.seen_in)})" for e in storyline.evidence]
    if storyline.inferred:
        lines += ["", "## Inferred", "", ", ".join(_code(path) for path in storyline.inferred)]
    return "\n".join(lines) + "\n"


def _row(index: int, shot: Shot) -> str:
    camera = shot.camera if shot.camera == "static" else f"{shot.camera} {shot.camera_amount:.1f}"
    cells = (
        str(index),
        f"{shot.start} - {shot.end}",
        shot.voice,
        f"{shot.emotion} {shot.intensity:.1f}",
        shot.action,
        shot.gaze,
        camera,
        f"{shot.motion:.1f}",
        _plain(shot.negative_prompt),
    )
    return f"| {' | '.join(cells)} |"


def _code(path: str) -> str:
    return f"`{' '.join(path.split()).replace('`', '')}`"


def _plain(text: str) -> str:
    """One line in which no character means anything to Markdown."""
    line = html.escape(" ".join(text.split()), quote=False)
    return "".join(f"\\{c}" if c in "\\`*_{}[]()#|!~" else c for c in line)


def draw(storyline: Storyline, heard: Heard) -> bytes:
    """A PNG: level and pitch of the recording above the shots, coloured by emotion."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib.figure import Figure

    seconds = float(storyline.sound.seconds)
    figure = Figure(figsize=(12, 4.2), layout="constrained")
    rows = figure.subplots(3, 1, sharex=True, height_ratios=(2, 2, 2.2))
    step = max(1, len(heard.level_db) // MOST_POINTS)
    times = np.arange(len(heard.level_db))[::step] / 50
    rows[0].plot(times, np.maximum(heard.level_db, FLOOR_DB)[::step], color="#404040", linewidth=0.8)
    rows[0].set_ylabel("energy, dB")
    hertz = 55 * 2 ** (heard.pitch.semitones[::step] / 12)
    rows[1].plot(times, hertz, ".", color="#2b6cb0", markersize=2)
    rows[1].set_ylabel("pitch, Hz")
    for start, end in heard.silences:
        for row in rows[:2]:
            row.axvspan(float(start), float(end), color="#eeeeee")
    for shot in storyline.shots:
        _draw_shot(rows[2], shot, seconds)
    rows[2].set(xlim=(0, seconds), ylim=(0, 1), yticks=[], xlabel="seconds", ylabel="shots")
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # Labels hold no letters of users; a missing glyph would be ours and is not worth a line on the terminal.
        warnings.simplefilter("ignore")
        figure.savefig(buffer, format="png", dpi=100)
    return buffer.getvalue()


def _draw_shot(row: Any, shot: Shot, seconds: float) -> None:
    start, length = float(shot.start), float(shot.end - shot.start)
    hatch = "//" if shot.voice == "listening" else None
    row.broken_barh([(start, length)], (0.05, 0.9), facecolor=COLOURS[shot.emotion], hatch=hatch, edgecolor="white")
    words = [f"{shot.emotion} {shot.intensity:.1f}", shot.voice, shot.action, shot.camera]
    if length > seconds / 12:
        said = "\n".join(word for word in words if word not in ("none", "static", "speaking"))
        row.text(start + length / 2, 0.5, said, ha="center", va="center", fontsize=8)
