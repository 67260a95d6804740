"""`python -m avatar_jax.evaluation run`: scores folders of videos, one or several systems, with or without a set.

    python -m avatar_jax.evaluation run --videos A [--against B ...] [--set SET] [--out OUT] [--workers N]
        [--by TAG ...] [--reference DIR] [--judge FILE] [--syncnet FILE] [--likeness SPEC] [--fid SPEC] [--fvd SPEC]
        [--previews-mb 20] [--json]

A folder is a system, its name the system's name; A/case.mp4 (or .mov, .webm, .mkv) is its video of a case. Writes
OUT/cases.jsonl, summary.json, plots/*.png and report.html. Killed, it goes on where it was. SPEC is
package.module:factory; for --likeness and --fid also a file or folder of DINOv2 or CLIP weights; for --fid and --fvd
also judge.
"""

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

from avatar_jax.media import BadInput, nameable

MEGABYTE = 1_000_000


def add(subparsers: Any) -> None:
    """Register the command; `args.go(args, overrides)` runs it."""
    parser = subparsers.add_parser(
        "run",
        help="score folders of videos",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--videos", type=Path, required=True, help="folder of the system to score")
    parser.add_argument("--against", type=Path, action="append", default=[], help="another system; may be repeated")
    parser.add_argument("--set", type=Path, help="folder of a frozen set: portraits, sounds, labels, storylines")
    parser.add_argument("--out", type=Path, default=Path("out/scores"))
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes, one thread each")
    parser.add_argument("--by", action="append", default=[], help="a table by this tag of the set; may be repeated")
    parser.add_argument("--reference", type=Path, help="folder of true videos, for FID and FVD")
    parser.add_argument("--judge", type=Path, help="file of the judge, if not the shipped one")
    parser.add_argument("--syncnet", type=Path, help="published SyncNet as safetensors, for photographed faces")
    parser.add_argument("--likeness", help="embedder of faces; default: the judge")
    parser.add_argument("--fid", help="features of pictures; default: none, no FID")
    parser.add_argument("--fvd", help="features of clips of 16 frames; default: none, no FVD")
    parser.add_argument("--previews-mb", type=float, default=20.0, help="most that videos inside report.html take")
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    parser.set_defaults(go=run, needs_pipeline=False)


def run(args: argparse.Namespace, overrides: tuple[str, ...]) -> int:
    """Score, compare, draw, write."""
    if overrides:
        raise BadInput("wrong arguments", overrides[0], "see --help", "python -m avatar_jax.evaluation run --help")
    systems = named_systems([args.videos, *args.against], args.reference)
    from avatar_jax.evaluation.benchmark.manifest import read_set
    from avatar_jax.evaluation.scoring.comparison import as_text, check_tags
    from avatar_jax.evaluation.scoring.readers import DEFAULT, Options
    from avatar_jax.evaluation.scoring.report import write_report
    from avatar_jax.evaluation.scoring.results import plain
    from avatar_jax.evaluation.scoring.run import score_systems

    check_tags({tag for case in read_set(args.set) for tag in case.tags} if args.set else set(), args.by)
    began = time.monotonic()
    options = Options(args.judge or DEFAULT.judge, args.syncnet, args.likeness, args.fid, args.fvd)
    out = nameable("--out", args.out)
    scores = score_systems(systems, args.set, out, args.workers, options)
    scored_s = time.monotonic() - began
    reference = next((name for name, folder in systems.items() if folder == args.reference), None)
    summary = write_report(scores, systems, out, tuple(args.by), reference, round(args.previews_mb * MEGABYTE))
    print(as_text(summary))
    print(f"{out / 'report.html'}")
    if args.json:
        took = {"scoring_s": scored_s, "all_s": time.monotonic() - began, "video_cpu_s": sum(s.took_s for s in scores)}
        print(json.dumps(plain({**took, **summary})))
    return 0 if any(score.scored for score in scores) else 1


def named_systems(folders: list[Path], reference: Path | None) -> dict[str, Path]:
    """Folders by their names; the reference is one more system, if it is not among them.

    Raises:
      BadInput: two folders of one name.
    """
    if reference is not None and reference not in folders:
        folders = [*folders, reference]
    found: dict[str, Path] = {}
    for folder in folders:
        name = nameable("videos", folder).resolve().name
        if name in found:
            rule = "systems are told apart by the names of their folders"
            raise BadInput("--against", f"two folders of the name {name}", rule, "rename one of them")
        found[name] = folder
    return found
