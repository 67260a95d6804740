"""Who may use a page: this machine alone, or whoever has the token.

Without a token only loopback addresses are listened on, and only requests that name such a host are answered (a
foreign page whose name was made to point here is not). Changes are taken from the page itself alone.
"""

import hmac
import ipaddress
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlencode, urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from avatar_jax.media import BadInput

COOKIE = "avatar_review"
SHORTEST_TOKEN = 12


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine and nothing else."""
    name = host.strip("[]").lower()
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def require_token(host: str, token: str) -> None:
    """Refuse to listen beyond this machine without a token.

    Raises:
        BadInput: as said, or the token is short.
    """
    fix = "--token with at least 12 letters and digits, for example from `openssl rand -hex 16`"
    if not token and not is_loopback(host):
        raise BadInput("--host", host, "another host than 127.0.0.1 needs a token", fix)
    if token and (len(token) < SHORTEST_TOKEN or not token.isascii() or not token.isalnum()):
        raise BadInput("--token", f"{len(token)} characters", "12 or more letters and digits", fix)


class Guard:
    """ASGI middleware. The token comes as `?token=` (then kept in a cookie) or as `Authorization: Bearer`."""

    def __init__(self, app: ASGIApp, token: str = ""):
        self.app, self.token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        refusal = self._refusal(scope)
        return await (refusal or self.app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        """What to answer instead; None lets the request in."""
        headers, query = Headers(scope=scope), parse_qs(scope.get("query_string", b"").decode("latin-1"))
        if self.token:
            if given := query.pop("token", None):
                if not self._right(given[0]):
                    return PlainTextResponse("wrong token", 403)
                rest = urlencode(query, doseq=True)
                answer = RedirectResponse(f"{scope['path']}?{rest}" if rest else scope["path"], 303)
                answer.set_cookie(COOKIE, self.token, httponly=True, samesite="strict")
                return answer
            bearer = headers.get("authorization", "").removeprefix("Bearer ")
            if not self._right(bearer) and not self._right(_cookie(headers)):
                return PlainTextResponse("this page needs its token: open the address that was printed", 403)
        elif not is_loopback(urlsplit(f"//{headers.get('host', '')}").hostname or ""):
            return PlainTextResponse("this page is for its own machine", 403)
        if scope["method"] not in ("GET", "HEAD"):
            origin = headers.get("origin")
            if origin is not None and urlsplit(origin).netloc != headers.get("host"):
                return PlainTextResponse("changes come from the page itself", 403)
            if headers.get("content-type", "").split(";")[0] != "application/json":
                return PlainTextResponse("want application/json", 415)
        return None

    def _right(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self.token.encode())


def _cookie(headers: Headers) -> str:
    try:
        kept = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return ""
    return kept[COOKIE].value if COOKIE in kept else ""
