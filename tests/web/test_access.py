"""Nobody comes in without the token, nothing but the listed files goes out, and videos can be sought in."""

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

pytest.importorskip("starlette", reason="needs the review extra")
pytest.importorskip("uvicorn", reason="needs the review extra")

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from avatar_jax.media import BadInput
from avatar_jax.web.access import COOKIE, is_loopback, require_token
from avatar_jax.web.media import Media
from avatar_jax.web.serving import running

TOKEN = "0123456789abcdef"
CONTENT = bytes(range(256)) * 40


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Media:
    root = tmp_path_factory.mktemp("set")
    for name in ("a.mp4", "later.mp4", "unlisted.mp4"):
        (root / name).write_bytes(CONTENT)
    (root.parent / "secret.mp4").write_bytes(b"secret")
    return Media(root, [root / "a.mp4", root / "later.mp4"])


def app(media: Media) -> Starlette:
    async def change(request: Request) -> JSONResponse:
        return JSONResponse(await request.json())

    return Starlette(routes=[Route("/media/{name}", media.serve), Route("/change", change, methods=["POST"])])


@pytest.fixture(scope="module")
def address(media: Media) -> Iterator[str]:
    with running(app(media)) as address:
        yield address


@pytest.fixture(scope="module")
def guarded(media: Media) -> Iterator[str]:
    with running(app(media), TOKEN) as address:
        yield address


def ask(address: str, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> tuple:
    """(status, headers, body); the path goes out as it is, dots and all."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=10)
    connection.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
    answer = connection.getresponse()
    return answer.status, dict(answer.getheaders()), answer.read()


def test_ranges(address: str, media: Media) -> None:
    path = f"/media/{media.name(media.root / 'a.mp4')}"
    status, headers, body = ask(address, path)
    assert (status, body, headers["content-type"], headers["accept-ranges"]) == (200, CONTENT, "video/mp4", "bytes")
    status, headers, body = ask(address, path, Range="bytes=100-199")
    assert (status, body) == (206, CONTENT[100:200]) and headers["content-range"] == f"bytes 100-199/{len(CONTENT)}"
    assert ask(address, path, Range="bytes=-10")[::2] == (206, CONTENT[-10:])
    assert ask(address, path, Range="bytes=99999-")[0] == 416


@pytest.mark.parametrize(
    "name",
    ["unlisted.mp4", "a.mp4", "../secret.mp4", "..%2fsecret.mp4", "%2e%2e/secret.mp4", "....//secret.mp4", "%00", ""],
)
def test_only_listed_files_go_out(address: str, name: str) -> None:
    status, _, body = ask(address, f"/media/{name}")
    assert status == 404 and b"secret" not in body and CONTENT[:50] not in body


def test_files_outside_are_refused(media: Media, tmp_path: Path) -> None:
    link = media.root / "link.mp4"
    link.symlink_to(media.root.parent / "secret.mp4")
    for path in (link, media.root / ".." / "secret.mp4", media.root.parent / "secret.mp4", media.root / "none.mp4"):
        with pytest.raises(ValueError, match="not a file inside"):
            Media(media.root, [path])
    (media.root / "folder").symlink_to(media.root.parent)
    with pytest.raises(ValueError, match="not a file inside"):
        Media(media.root, [media.root / "folder" / "secret.mp4"])


def test_a_file_that_became_a_link_is_not_served(address: str, media: Media) -> None:
    path = media.root / "later.mp4"
    path.unlink()
    path.symlink_to(media.root.parent / "secret.mp4")
    assert ask(address, f"/media/{media.name(path)}")[0] == 404


def test_names_are_neutral(media: Media) -> None:
    other = Media(media.root, [media.root / "a.mp4"], salt="another page")
    names = {media.name(media.root / "a.mp4"), other.name(media.root / "a.mp4")}
    assert len(names) == 2 and not any("a.mp4" in name for name in names)


def test_token(guarded: str, media: Media) -> None:
    base, path = guarded.split("?")[0], f"/media/{media.name(media.root / 'a.mp4')}"
    assert ask(base, path)[0] == ask(base, f"{path}?token=wrong")[0] == 403
    assert ask(base, path, Authorization="Bearer nonsense")[0] == ask(base, path, Cookie=f"{COOKIE}=x")[0] == 403
    status, headers, _ = ask(base, f"{path}?token={TOKEN}&t=1")
    assert (status, headers["location"]) == (303, f"{path}?t=1") and "HttpOnly" in headers["set-cookie"]
    kept = headers["set-cookie"].split(";")[0]
    assert ask(base, path, Cookie=kept)[0] == ask(base, path, Authorization=f"Bearer {TOKEN}")[0] == 200


def test_foreign_pages_change_nothing(address: str) -> None:
    body, json_type = json.dumps({"x": 1}).encode(), "application/json"
    assert ask(address, "/change", "POST", body, Content_Type=json_type)[0] == 200
    own = address.rstrip("/")
    assert ask(address, "/change", "POST", body, Content_Type=json_type, Origin=own)[0] == 200
    assert ask(address, "/change", "POST", body, Content_Type=json_type, Origin="http://evil.example")[0] == 403
    assert ask(address, "/change", "POST", body, Content_Type="text/plain")[0] == 415
    # A name of somebody else's that was made to point to this machine.
    assert ask(address, "/change", "POST", body, Content_Type=json_type, Host="evil.example:80")[0] == 403


def test_other_hosts_need_a_token() -> None:
    assert is_loopback("127.0.0.1") and is_loopback("localhost") and is_loopback("[::1]")
    assert not is_loopback("0.0.0.0") and not is_loopback("localhost.evil.example")
    require_token("127.0.0.1", "")
    require_token("0.0.0.0", TOKEN)
    for host, token in (
        ("0.0.0.0", ""),
        ("192.168.0.7", ""),
        ("", ""),
        ("127.0.0.1", "short"),
        ("::", "a b c d e f g"),
    ):
        with pytest.raises(BadInput):
            require_token(host, token)
