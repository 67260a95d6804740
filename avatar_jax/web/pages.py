"""A page on which people judge: its own three files, the two that all such pages share, media, and three questions.

`state` tells what a rater judges next, `vote` keeps an answer, `undo` takes the last one back. Each is answered with
the next state, which comes from the votes file alone: a page that was closed goes on where it stood.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from avatar_jax.web.media import Media
from avatar_jax.web.raters import Refused

HERE = Path(__file__).parent
KINDS = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
POLICY = {"Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'", "Cache-Control": "no-store"}
LONGEST_BODY = 10_000

Answer = Callable[[dict[str, Any]], dict[str, Any]]


def rating_page(folder: Path, media: Media, state: Answer, vote: Answer, undo: Answer) -> Starlette:
    """The page whose page.html, page.js and page.css lie in `folder`; put it behind `avatar_jax.web.access.Guard`."""
    files = {f"/page{kind}": folder / f"page{kind}" for kind in KINDS if kind != ".html"}
    files |= {"/": folder / "page.html", "/rating.js": HERE / "rating.js", "/rating.css": HERE / "rating.css"}
    return Starlette(
        routes=[
            *(Route(path, _static(file)) for path, file in files.items()),
            Route("/media/{name}", media.serve),
            Route("/state", _answered(state)),
            Route("/vote", _answered(vote), methods=["POST"]),
            Route("/undo", _answered(undo), methods=["POST"]),
        ]
    )


def _static(file: Path) -> Callable[[Request], Response]:
    content, kind = file.read_bytes(), KINDS[file.suffix]
    return lambda request: Response(content, media_type=kind, headers=POLICY)


def _answered(answer: Answer) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            asked = dict(request.query_params) if request.method == "GET" else await _body(request)
            return JSONResponse(answer(asked), headers=POLICY)
        except (Refused, KeyError, TypeError, ValueError) as mistake:
            told = f"missing {mistake}" if isinstance(mistake, KeyError) else str(mistake)
            return JSONResponse({"error": told}, 409, headers=POLICY)

    return endpoint


async def _body(request: Request) -> dict[str, Any]:
    if int(request.headers.get("content-length", LONGEST_BODY + 1)) > LONGEST_BODY:
        raise Refused(f"a request has at most {LONGEST_BODY} bytes")
    body = await request.json()
    if not isinstance(body, dict):
        raise Refused("want a JSON object")
    return body
