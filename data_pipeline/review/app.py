"""The review page: three static files, the clips, and three questions."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from data_pipeline.review.session import REASONS, Refused, Session

HERE = Path(__file__).parent
STATIC = {
    "/": ("page.html", "text/html"),
    "/page.js": ("page.js", "text/javascript"),
    "/page.css": ("page.css", "text/css"),
}
POLICY = {"Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'", "Cache-Control": "no-store"}
LONGEST_BODY = 10_000


def create_app(session: Session) -> Starlette:
    """The page of one review; put it behind `avatar_jax.web.access.Guard`."""

    def static(file: str, kind: str) -> Callable[[Request], Response]:
        content = (HERE / file).read_bytes()
        return lambda request: Response(content, media_type=kind, headers=POLICY)

    def answered(answer: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            try:
                asked = dict(request.query_params) if request.method == "GET" else await _body(request)
                return JSONResponse(answer(asked), headers=POLICY)
            except (Refused, KeyError, TypeError, ValueError) as mistake:
                told = f"missing {mistake}" if isinstance(mistake, KeyError) else str(mistake)
                return JSONResponse({"error": told}, 409, headers=POLICY)

        return endpoint

    def vote(asked: dict[str, Any]) -> dict[str, Any]:
        return session.vote(
            asked["rater"], asked["item"], asked["choice"], list(asked["reasons"]), float(asked["seconds"])
        )

    return Starlette(
        routes=[
            *(Route(path, static(*told)) for path, told in STATIC.items()),
            Route("/media/{name}", session.media.serve),
            Route("/state", answered(lambda asked: {"reasons": REASONS, **session.state(asked["rater"])})),
            Route("/vote", answered(vote), methods=["POST"]),
            Route("/undo", answered(lambda asked: session.undo(asked["rater"])), methods=["POST"]),
        ]
    )


async def _body(request: Request) -> dict[str, Any]:
    if int(request.headers.get("content-length", LONGEST_BODY + 1)) > LONGEST_BODY:
        raise Refused(f"a request has at most {LONGEST_BODY} bytes")
    body = await request.json()
    if not isinstance(body, dict):
        raise Refused("want a JSON object")
    return body
