"""`python -m data_pipeline review DIR`: look at clips and vote, or write out what was voted."""

import argparse
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avatar_jax.media import BadInput

if TYPE_CHECKING:
    from data_pipeline.review.session import Session

EXTRA = "pip install 'avatar-jax[review]'"


def add(commands: "argparse._SubParsersAction[Any]") -> None:
    p = commands.add_parser("review", help="a local page on which people accept and reject clips")
    p.add_argument("folder", type=Path, help="videos, videos with clips.jsonl, or a finished set")
    p.add_argument("--host", default="127.0.0.1", help="another than loopback needs --token")
    p.add_argument("--port", type=int, default=8080, help="0 takes a free one")
    p.add_argument("--token", default="", help="letters and digits; 'new' makes one")
    p.add_argument("--repeats", type=float, default=0.08, help="share of clips that come twice")
    p.add_argument("--seed", type=int, default=0, help="of the raters' orders; the same for the whole of a review")
    p.add_argument("--export", type=Path, metavar="OUT", help="write votes, decisions and agreement; serve nothing")
    p.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Serve until interrupted, or export.

    Raises:
        BadInput: a mistake in the request, or the `review` extra is not installed.
    """
    try:
        from avatar_jax.web.serving import serve
        from data_pipeline.review.app import create_app
    except ModuleNotFoundError as error:
        raise BadInput("review", f"{error.name} is not installed", "the page needs the review extra", EXTRA) from error
    from data_pipeline.review.export import export

    session = opened(args.folder, args.repeats, args.seed)
    if args.export:
        found = export(args.export, session.clips, session.votes.standing())
        for who, told in [*found["self"].items(), *found["pairs"].items()]:
            print(f"{who}: {told['clips']} clips judged twice, agreement {told['agreement']}, kappa {told['kappa']}")
        return
    token = secrets.token_hex(16) if args.token == "new" else args.token
    serve(create_app(session), args.host, args.port, token)


def opened(folder: Path, repeats: float = 0.08, seed: int = 0) -> "Session":
    """The review of a folder; its votes lie in `folder/review/votes.sqlite`.

    Raises:
        BadInput: no clips, a video outside the folder, or a share of repeats that is none.
    """
    from avatar_jax.web.media import Media
    from avatar_jax.web.votes import Votes
    from data_pipeline.review.clips import FOLDER, read_clips
    from data_pipeline.review.session import Session

    if not 0 <= repeats <= 0.5:
        raise BadInput("--repeats", repeats, "a share from 0 to 0.5", "leave it out: 0.08")
    clips = read_clips(folder)
    try:
        media = Media(folder, [clip.video for clip in clips])
    except ValueError as error:
        raise BadInput(f"review {folder}", error, "videos lie inside the folder", "correct the list") from error
    (folder / FOLDER).mkdir(exist_ok=True)
    return Session(clips, media, Votes(folder / FOLDER / "votes.sqlite"), repeats, seed)
