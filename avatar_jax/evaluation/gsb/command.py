"""`python -m avatar_jax.evaluation gsb`: serve the raters' page, or write what they found."""

import argparse
import json
import secrets
from pathlib import Path
from typing import Any

from avatar_jax.media import BadInput

EXTRA = "pip install 'avatar-jax[review]'"
NAMED = 8
"""Cases left out that are named on the terminal; comparison.json and the report name all."""


def add(commands: "argparse._SubParsersAction[Any]") -> None:
    p = commands.add_parser("gsb", help="two systems' videos judged blind, side by side, by several people")
    p.add_argument("folders", nargs="*", type=Path, metavar="A B", help="folders of videos named after their cases")
    p.add_argument("--set", type=Path, help="the benchmark set: tags for tables, portrait and prompt for the page")
    p.add_argument("--out", type=Path, default=Path("out/gsb"), help="folder of the comparison; without A B it goes on")
    p.add_argument("--report", type=Path, metavar="DIR", help="write DIR/report.json, .csv and .html; serve nothing")
    p.add_argument("--raters", type=int, help="people whose majority decides a case; 3 if not given")
    p.add_argument("--seed", type=int, default=0, help="of orders and sides")
    p.add_argument("--host", default="127.0.0.1", help="another than loopback needs --token")
    p.add_argument("--port", type=int, default=8080, help="0 takes a free one")
    p.add_argument("--token", default="", help="letters and digits; 'new' makes one")
    p.add_argument("--json", action="store_true", help="with --report: one JSON object on the last line")
    p.set_defaults(go=run, needs_pipeline=False)


def run(args: argparse.Namespace, overrides: tuple[str, ...]) -> int:
    """Serve until interrupted, or report.

    Raises:
        BadInput: a mistake in the request, or the `review` extra is not installed.
    """
    fix = "gsb A B --out DIR, gsb --out DIR, or gsb --report DIR"
    if overrides or len(args.folders) not in (0, 2) or (args.report and args.folders):
        got = " ".join([*map(str, args.folders), *overrides])
        raise BadInput("gsb", got, "two folders, or none to go on or to report", fix)
    if args.raters is not None and not 1 <= args.raters <= 1000:
        raise BadInput("--raters", args.raters, "1 or more people", "leave it out: 3")
    try:
        from avatar_jax.evaluation.gsb.report import as_text, plain, report
        from avatar_jax.web.access import require_token
        from avatar_jax.web.serving import serve
    except ModuleNotFoundError as error:
        raise BadInput("gsb", f"{error.name} is not installed", "the page needs the review extra", EXTRA) from error
    if args.report:
        result = report(args.report, args.raters)
        print(as_text(result))
        print(f"wrote {args.report / 'report.html'}, report.json, report.csv")
        if args.json:
            print(json.dumps(plain(result), ensure_ascii=False))
        return 0
    from avatar_jax.evaluation.gsb.app import create_app
    from avatar_jax.evaluation.gsb.prepare import prepare
    from avatar_jax.evaluation.gsb.session import opened

    token = secrets.token_hex(16) if args.token == "new" else args.token
    require_token(args.host, token)
    if args.folders:
        a, b = args.folders
        prepare(a, b, args.set, args.out, args.seed, args.raters or 3)
    session = opened(args.out)
    told = session.comparison
    print(f"{told.systems[0]} against {told.systems[1]}: {len(told.pairs)} pairs, {len(told.left_out)} cases left out")
    for case, why in list(told.left_out.items())[:NAMED]:
        print(f"  {case}: {why}")
    if len(told.left_out) > NAMED:
        print(f"  and {len(told.left_out) - NAMED} more, in {args.out / 'comparison.json'}")
    serve(create_app(session), args.host, args.port, token)
    print(f"next: python -m avatar_jax.evaluation gsb --report {args.out}")
    return 0
