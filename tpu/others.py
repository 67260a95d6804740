"""Training steps, what sound and director cost, decoder and text encoder: the tables of docs/tpu.md beside the first.

    python -m tpu.others [--show]

Works like tpu.table: rows are kept in docs/tpu_rows.jsonl, what is there is not compiled again; --show compiles
nothing.
"""

import argparse
import sys
from dataclasses import dataclass
from typing import Any

from tqdm import tqdm

from tpu.table import CASES, PAGE, command, decoder_command, made, read_rows, with_table, write_whole

BEGIN, END = "<!-- table: python -m tpu.others -->", "<!-- end of the other tables -->"
HEARING = CASES[5]
MISSING = "not yet compiled"
Rows = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Line:
    """A row by its command."""

    name: str
    command: str


def other(config: str, topology: str, *more: str) -> str:
    return " ".join(["--config", f"configs/{config}.py", "--topology", topology, "--what", *more])


TRAINING = (
    Line("14B, all but text attention, 720p, 81 frames | v5p:4x4x4", other("wan_flf2v_14b", "v5p:4x4x4", "train")),
    Line("19B, hearing and director, 480p, 81 frames | v5p:2x2x4", other("skyreels_a2v_19b", "v5p:2x2x4", "train")),
    Line("19B, hearing and director, 480p, 81 frames | v6e:4x4", other("skyreels_a2v_19b", "v6e:4x4", "train")),
    Line(
        "19B, hearing and director, 480p, 81 frames | v6e:4x4",
        other("skyreels_a2v_19b", "v6e:4x4", "train", "--mesh", "data=1,fsdp=2,seq=8"),
    ),
)
WAYS = {
    "deaf": ("--deaf",),
    "with sound": (),
    "and two shots": ("--shots", "2"),
    "and storyline attention": ("--storyline", "--shots", "2"),
    "or with queries of its own": ("--storyline", "own", "--shots", "2"),
}
"""What sound and director add, one after the other, and its arguments. Public weights run with the first three."""
LARGE = ("--height", "720", "--width", "1280")
SIZES = {"480p": ((), 12), "720p": (LARGE, 7)}
"""Name -> (arguments, what sound and director may add, in per cent)."""
PROGRAMS = (
    Line("decoder, 1.3B, 480p", " ".join(decoder_command(CASES[0], "v6e:2x4", 1))),
    Line("decoder, 14B, 720p", " ".join(decoder_command(CASES[2], "v6e:2x4", 1))),
    Line("decoder, 14B, 480p", " ".join(decoder_command(CASES[3], "v6e:2x4", 1))),
    Line("decoder, 19B, 480p, two windows", " ".join(decoder_command(HEARING, "v6e:2x4", 2))),
    Line("text encoder, four prompts", other("wan_t2v_1_3b", "v6e:2x4", "text")),
)


def hearing(size: str, *more: str) -> str:
    """The denoiser of the family that hears, on v6e:2x4."""
    parts = [part for part in command(HEARING, "v6e:2x4") if part != "--no-decoder"]
    return " ".join([*parts, *SIZES[size][0], *more, "--no-decoder"])


def lines() -> list[str]:
    """All commands, the most asked for first."""
    found = [line.command for line in TRAINING]
    for size in SIZES:
        found += [hearing(size, *way) for way in WAYS.values()]
    return found + [line.command for line in PROGRAMS]


def known(rows: Rows, key: str) -> dict[str, Any] | None:
    """The row, if it is there, was made and fits."""
    row = rows.get(key, {})
    return row if row.get("fits") and not row.get("error") else None


def state_of(rows: Rows, key: str) -> str:
    """Why a row has no figures."""
    row = rows.get(key)
    if row is None:
        return MISSING
    return f"fails: {row['error'].replace('|', '/')}" if row.get("error") else "does not fit"


def mesh_of(row: dict[str, Any]) -> str:
    return " ".join(f"{axis} {size}" for axis, size in row["mesh"].items() if size > 1)


def training(rows: Rows) -> list[str]:
    text = [
        "| training step | slice | mesh | windows | peak GiB | static s per step | static MFU | M cycles per layer: "
        "matmul / kernels / elementwise / copies + padding + slices | s waited for exchanges |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for line in TRAINING:
        row = known(rows, line.command)
        if row is None:
            text.append(f"| {line.name} | | | | {state_of(rows, line.command)} | | | |")
            continue
        layer = row["cycles"]["per_layer"]
        moved = sum(layer[name] for name in ("copy", "padding", "slice"))
        parts = (layer["matmul"], row["kernel_cycles_per_layer"], layer["elementwise"], moved)
        waited = sum(kind["waited"] for kind in row["collectives"].values())
        text.append(
            f"| {line.name} | {mesh_of(row)} | {row['windows']} | {row['peak_hbm_gib']:.1f} of {row['hbm_gib']} "
            f"| {row['static_s_per_step']:.2f} | {100 * row['static_mfu']:.1f} % "
            f"| {' / '.join(f'{part / 1e6:.1f}' for part in parts)} | {waited:.2f} |"
        )
    return text


def added(rows: Rows) -> list[str]:
    """What sound and director add to a step of the family that hears."""
    text = [
        f"| {HEARING.name.split(',')[0]} on v6e:2x4, s per step | {' | '.join(WAYS)} | the limit for all |",
        "|---" * (len(WAYS) + 2) + "|",
    ]
    for size, (_, most) in SIZES.items():
        found = [known(rows, hearing(size, *way)) for way in WAYS.values()]
        cells = [MISSING if row is None else f"{row['static_s_per_step']:.3f}" for row in found]
        alone = found[0]["static_s_per_step"] if found[0] is not None else None
        for n, row in enumerate(found[1:], 1):
            if row is not None and alone is not None:
                cells[n] += f" (+{100 * (row['static_s_per_step'] / alone - 1):.1f} %)"
        text.append(f"| {size} | {' | '.join(cells)} | {most} % |")
    return text


def programs(rows: Rows) -> list[str]:
    text = ["| program on v6e:2x4 | peak GiB | static s | static MFU |", "|---|---|---|---|"]
    for line in PROGRAMS:
        row = known(rows, line.command)
        figures = f"{state_of(rows, line.command)} | | |"
        if row is not None:
            figures = f"{row['peak_hbm_gib']:.1f} of {row['hbm_gib']} | {row['static_s_per_step']:.3f} "
            figures += f"| {100 * row['static_mfu']:.1f} % |"
        text.append(f"| {line.name} | {figures}")
    return text


def main(arguments: list[str] | None = None) -> int:
    p = argparse.ArgumentParser(prog="python -m tpu.others", description=str(__doc__).splitlines()[0])
    p.add_argument("--show", action="store_true", help="compile nothing")
    args = p.parse_args(arguments)
    rows = read_rows()
    for key in tqdm([] if args.show else lines(), unit="row"):
        made(key.split(), rows, again=False)
    text = "\n".join([*training(rows), "", *added(rows), "", *programs(rows)])
    write_whole(PAGE, with_table(PAGE.read_text(), text, BEGIN, END))
    return 0


if __name__ == "__main__":
    sys.exit(main())
