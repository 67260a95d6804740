"""The table of docs/tpu.md: every shipped public config on every slice, one compilation each, made by one command.

    python -m tpu.table [--configs wan_t2v_1_3b,...] [--topologies v6e:2x4,...] [--decoder] [--again] [--show]

What is compiled already stands in docs/tpu_rows.jsonl and is not compiled again without --again: an interrupted run
goes on where it was, and two may share the work by topologies. --show writes the page from the rows that are there. A
row takes minutes on two cores.
"""

import argparse
import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from tqdm import tqdm

from tpu.topology import parse_topology

ROOT = Path(__file__).resolve().parents[1]
PAGE, ROWS = ROOT / "docs" / "tpu.md", ROOT / "docs" / "tpu_rows.jsonl"
BEGIN, END = "<!-- table: python -m tpu.table -->", "<!-- end of table -->"
TOPOLOGIES = ("v5e:2x4", "v5e:4x4", "v6e:2x4", "v6e:4x4", "v5p:2x2x2", "v5p:4x4x4")


@dataclass(frozen=True)
class Case:
    """A config, with arguments that change it. `name` stands in the table."""

    config: str
    name: str
    arguments: tuple[str, ...] = ()


CASES = (
    Case("wan_t2v_1_3b", "Wan 2.1 T2V 1.3B, 480p"),
    Case("echomimic_v3_flash", "EchoMimicV3-Flash 1.9B, 480p"),
    Case("wan_flf2v_14b", "Wan 2.1 FLF2V 14B, 720p"),
    Case("wan_flf2v_14b", "Wan 2.1 FLF2V 14B, 480p", ("--height", "480", "--width", "832")),
    Case("infinitetalk_14b", "InfiniteTalk 19B, 480p"),
    Case("skyreels_a2v_19b", "SkyReels-V3-A2V 19B, 480p"),
)


def command(case: Case, topology: str) -> list[str]:
    """What makes a row; run from the repository's root."""
    parts = ["--config", f"configs/{case.config}.py", "--topology", topology, "--what", "denoise", *case.arguments]
    return [*parts, "--no-decoder"]


def denser(case: Case, topology: str, row: dict[str, Any]) -> list[str] | None:
    """What makes the row of a mesh whose data axis splits weights too, for a row that does not fit.

    None where the row fits, failed, or has no such axis to give.
    """
    mesh = row.get("mesh") or {"data": 1}
    if row.get("fits") or row.get("error") or mesh["data"] == 1:
        return None
    sizes = mesh | {"data": 1, "fsdp": mesh["data"] * mesh["fsdp"]}
    return [*command(case, topology), "--mesh", ",".join(f"{axis}={size}" for axis, size in sizes.items())]


def row_of(case: Case, topology: str, rows: dict[str, dict[str, Any]]) -> dict[str, Any] | None:
    """The row of the default mesh, or of the denser one where that was needed and compiled."""
    row = rows.get(" ".join(command(case, topology)))
    other = None if row is None else denser(case, topology, row)
    return row if other is None else rows.get(" ".join(other), row)


def decoder_command(case: Case, topology: str, windows: int) -> list[str]:
    """What makes the row of the decoder, for the windows of one call."""
    parts = ["--config", f"configs/{case.config}.py", "--topology", topology, "--what", "vae", *case.arguments]
    return [*parts, "--batch", str(windows)]


def compiled(arguments: list[str]) -> dict[str, Any]:
    """The record of `python -m tpu.compile`, or {"error": ...} where it printed none."""
    process = subprocess.run(
        [sys.executable, "-m", "tpu.compile", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    lines = process.stdout.strip().splitlines()
    if process.returncode in (0, 1) and lines:
        return json.loads(lines[-1])
    said = [line for line in process.stderr.splitlines() if line.strip()]
    return {"error": (said[-1] if said else f"exit status {process.returncode}")[:200]}


def read_rows(path: Path = ROWS) -> dict[str, dict[str, Any]]:
    """Rows by their command line."""
    if not path.exists():
        return {}
    rows = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
    return {row["command"]: row for row in rows}


def write_whole(path: Path, text: str) -> None:
    part = path.with_name(path.name + ".part")
    part.write_text(text)
    part.replace(path)


def write_rows(rows: dict[str, dict[str, Any]], path: Path = ROWS) -> None:
    write_whole(path, "".join(json.dumps(row) + "\n" for row in rows.values()))


def line_of(case: Case, topology: str, row: dict[str, Any]) -> str:
    """One line of the table."""
    start = f"| {case.name} | {topology} |"
    if row.get("error"):
        return f"{start} | | | fails: {row['error'].replace('|', '/')} | | | |"
    mesh = " ".join(f"{axis} {size}" for axis, size in row["mesh"].items() if size > 1)
    memory = f"{row['peak_hbm_gib']:.1f} of {row['hbm_gib']}"
    head = f"{start} {mesh} | {row['batch']} | {memory} |"
    if not row["fits"]:
        return f"{head} does not fit | | | |"
    layer = row["cycles"]["per_layer"]
    moved = (layer["copy"] + layer["padding"]) / 1e6
    step = f"{row['static_s_per_step']:.3f} ({row['static_s_per_step_synchronous']:.3f})"
    return f"{head} {step} | {100 * row['static_mfu']:.1f} % | {moved:.2f} | {row['static_s_per_video_minute']:.0f} |"


def table(rows: dict[str, dict[str, Any]]) -> str:
    """All rows that there are, in the order of CASES and TOPOLOGIES."""
    lines = [
        "| model | slice | mesh | rows | peak GiB | static s per step (synchronous) | static MFU | copies + padding, "
        "M cycles per layer | static s per minute of video, without decoder |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    days, missing = [], []
    for case in CASES:
        for topology in TOPOLOGIES:
            row = row_of(case, topology, rows)
            if row is None:
                missing.append(f"{case.name} {topology}")
            else:
                lines.append(line_of(case, topology, row))
                days.append(row["date"])
    span = " to ".join(sorted({min(days), max(days)})) if days else ""
    said = f"Compiled {span} on two cores of a shared x86-64 server" if days else "No rows yet"
    rest = ["", f"Not yet compiled: {'; '.join(missing)}."] if missing else []
    end = f"{said}, JAX 0.10.2, libtpu 0.0.42.1; the rows are in `docs/tpu_rows.jsonl`."
    return "\n".join([*lines, "", end, *rest])


def with_table(page: str, text: str, begin: str = BEGIN, end: str = END) -> str:
    """The page, with the text between its marks."""
    before, _, rest = page.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}\n\n{text}\n\n{end}{after}"


def main(arguments: list[str] | None = None) -> int:
    p = argparse.ArgumentParser(prog="python -m tpu.table", description=str(__doc__).splitlines()[0])
    p.add_argument("--configs", default=",".join(dict.fromkeys(case.config for case in CASES)))
    p.add_argument("--topologies", default=",".join(TOPOLOGIES))
    p.add_argument("--decoder", action="store_true", help="compile the decoder too, for python -m tpu.scale")
    p.add_argument("--again", action="store_true", help="compile rows that are there already")
    p.add_argument("--show", action="store_true", help="compile nothing")
    args = p.parse_args(arguments)
    rows = read_rows()
    chosen, names = args.configs.split(","), args.topologies.split(",")
    for name in names:
        parse_topology(name)
    todo = [(case, name) for case in CASES if case.config in chosen for name in names]
    for case, name in tqdm([] if args.show else todo, unit="row"):
        row = made(command(case, name), rows, args.again)
        other = denser(case, name, row)
        row = row if other is None else made(other, rows, args.again)
        if args.decoder and row.get("fits"):
            made(decoder_command(case, name, row["windows"]), rows, args.again)
    write_whole(PAGE, with_table(PAGE.read_text(), table(rows)))
    return 0


def made(line: list[str], rows: dict[str, dict[str, Any]], again: bool) -> dict[str, Any]:
    """The row of a command line: the one that is there, or a new one, which is written down.

    `rows` gets what other processes wrote meanwhile: two may share the work.
    """
    key = " ".join(line)
    if key not in rows or rows[key].get("error") or again:
        row = {"command": key, "date": date.today().isoformat(), **compiled(line)}
        with alone(ROWS.parent):
            rows |= read_rows() | {key: row}
            write_rows(rows)
    return rows[key]


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """While no other process is between reading a file of this folder and writing it."""
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


if __name__ == "__main__":
    sys.exit(main())
