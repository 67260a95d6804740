"""The `openai` director against a server of our own: what is sent, and every way in which a server can fail."""

import base64
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from avatar_jax.director.cases import HEADS, PORTRAIT
from avatar_jax.director.choose import choose_director
from avatar_jax.director.mllm.director import director_of
from avatar_jax.director.mllm.draft import Limits
from avatar_jax.director.mllm.server import KEY, Server, open_server
from avatar_jax.director.storyline import Storyline, parse
from avatar_jax.director.voices import recording
from avatar_jax.media import BadInput
from tests.director.random_chat import RandomChat

Answer = Callable[["Handler", dict[str, Any]], None]


class Handler(http.server.BaseHTTPRequestHandler):
    """Does what the test's `answer` says, and keeps what it was sent."""

    server: "Fake"

    def do_GET(self) -> None:
        self.server.paths.append(self.path)
        self.reply(200, json.dumps({"data": [{"id": "tiny"}]}).encode())

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.paths.append(self.path)
        self.server.bodies.append(body)
        self.server.keys.append(self.headers.get("Authorization"))
        self.server.answer(self, body)

    def reply(self, status: int, content: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


class Fake(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.bodies: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.keys: list[str | None] = []
        self.chat = RandomChat()
        self.answer: Answer = well

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that hang up are part of these tests."""


def message(text: str) -> bytes:
    return json.dumps({"choices": [{"message": {"content": text}}]}).encode()


def well(handler: Handler, body: dict[str, Any]) -> None:
    schema = body["response_format"]["json_schema"]["schema"]
    handler.reply(200, message(json.dumps(handler.server.chat.value(schema))))


@pytest.fixture
def fake() -> Iterator[Fake]:
    server = Fake()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def url(fake: Fake) -> str:
    return f"http://127.0.0.1:{fake.server_address[1]}/v1"


def plan(fake: Fake, timeout: float = 5.0, waits: list[float] | None = None) -> Storyline:
    pauses = [] if waits is None else waits
    server = Server(url(fake), timeout=timeout, sleep=pauses.append)
    storyline = director_of(server, Limits(line=30, transcript=30, shots=3))(
        recording([("speech", 2)]), PORTRAIT, "furious", HEADS["half"]
    )
    assert parse(storyline.to_json()) == storyline
    return storyline


def test_sound_picture_schema_and_key_are_sent(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, "s3cret")
    storyline = plan(fake)
    assert not storyline.fallback and storyline.made_by.endswith("tiny") and "s3cret" not in storyline.to_json()
    parts = [
        p for body in fake.bodies for m in body["messages"] if isinstance(m["content"], list) for p in m["content"]
    ]
    sound = next(p["input_audio"] for p in parts if p["type"] == "input_audio")
    assert sound["format"] == "wav" and base64.b64decode(sound["data"]).startswith(b"RIFF")
    assert next(p for p in parts if p["type"] == "image_url")["image_url"]["url"].startswith("data:image/jpeg;base64,")
    assert all(body["response_format"]["type"] == "json_schema" for body in fake.bodies)
    assert set(fake.keys) == {"Bearer s3cret"} and set(fake.paths) == {"/v1/models", "/v1/chat/completions"}


def test_no_key_no_header(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY, raising=False)
    plan(fake)
    assert set(fake.keys) == {None}


def test_a_server_without_schemas_is_asked_without(fake: Fake) -> None:
    def old(handler: Handler, body: dict[str, Any]) -> None:
        if "response_format" in body:
            handler.reply(400, b'{"error": "unknown response_format"}')
        else:
            handler.reply(200, message("no JSON at all"))

    fake.answer = old
    assert "wrong form" in plan(fake).fallback
    kinds = [body.get("response_format", {}).get("type") for body in fake.bodies]
    assert kinds == ["json_schema", "json_object", None, None]


BROKEN: dict[str, tuple[Answer, str, int]] = {
    "garbage": (lambda h, b: h.reply(200, b"\x00\xff garbage"), "not JSON", 3),
    "half a reply": (lambda h, b: h.reply(200, message("{}")[:20]), "not JSON", 3),
    "half an answer": (lambda h, b: h.reply(200, message('{"report": "ab')), "wrong form", 2),
    "an answer of another form": (lambda h, b: h.reply(200, message('{"a": 1}')), "wrong form", 2),
    "nothing": (lambda h, b: h.reply(200, b""), "not JSON", 3),
    "an empty message": (lambda h, b: h.reply(200, message("")), "empty message", 1),
    "no message": (lambda h, b: h.reply(200, b'{"choices": []}'), "without a message", 1),
    "a list": (lambda h, b: h.reply(200, b"[]"), "not JSON", 3),
    "an error": (lambda h, b: h.reply(500, b"oops"), "HTTP 500", 3),
    "too many requests": (lambda h, b: h.reply(429, b"", Retry_After="7"), "HTTP 429", 3),
    "no permission": (lambda h, b: h.reply(401, b""), "HTTP 401", 1),
    "a redirect": (lambda h, b: h.reply(307, b"", Location="http://127.0.0.1:9/v1"), "HTTP 307", 1),
    "a broken line": (lambda h, b: h.connection.close(), "no reply", 3),
}


@pytest.mark.parametrize("name", BROKEN)
def test_failures_fall_back_to_the_rules_and_say_so(fake: Fake, name: str) -> None:
    fake.answer, says, asked = BROKEN[name]
    waits: list[float] = []
    storyline = plan(fake, waits=waits)
    assert storyline.made_by == "rules" and says in storyline.fallback
    assert storyline.shots[0].emotion == "anger"
    assert len(fake.bodies) == asked
    assert waits == sorted(waits) and (not waits or 1 <= waits[0] <= 30)
    if name == "too many requests":
        assert waits[0] == 7


@pytest.mark.parametrize("drip", [False, True])
def test_a_server_that_hangs_or_drips_is_left(fake: Fake, drip: bool) -> None:
    let_go = threading.Event()

    def slow(handler: Handler, body: dict[str, Any]) -> None:
        handler.send_response(200)
        handler.end_headers()
        while drip and not let_go.wait(0.02):
            handler.wfile.write(b" ")
        let_go.wait(5)

    fake.answer = slow
    storyline = plan(fake, timeout=0.15)
    let_go.set()
    assert "no reply" in storyline.fallback and len(fake.bodies) == 3


def test_a_server_that_recovers_is_used(fake: Fake) -> None:
    def flaky(handler: Handler, body: dict[str, Any]) -> None:
        if len(fake.bodies) in (1, 2, 5):
            handler.reply(503, b"")
        else:
            well(handler, body)

    fake.answer = flaky
    assert plan(fake).made_by.endswith("tiny")


def test_nobody_listens() -> None:
    server = Server("http://127.0.0.1:9/v1", "tiny", timeout=1, sleep=lambda _: None)
    storyline = director_of(server)(recording([("speech", 1)]), PORTRAIT, "", HEADS["half"])
    assert storyline.made_by == "rules" and "no reply" in storyline.fallback


BAD = [
    "x",
    "ftp://a/v1",
    "http://",
    "http://u:p@a/v1",
    "http://a/v1?key=b",
    "file:///etc/passwd",
    "http://a:b/v1",
    "http://a b",
]


@pytest.mark.parametrize("text", BAD)
def test_bad_addresses_are_refused(text: str) -> None:
    with pytest.raises(BadInput) as error:
        choose_director(f"openai:{text}")
    assert len(str(error.value).splitlines()) == 3


def test_the_model_is_named_after_a_hash() -> None:
    server = open_server("https://example.org:8000/v1#Qwen/Qwen3-Omni")
    assert (server.url, server.model) == ("https://example.org:8000/v1", "Qwen/Qwen3-Omni")


@pytest.mark.parametrize(
    "text", ["", "rule", "transformers:", "transformers:/nowhere", "openai:", "transformers:" + "x" * 300]
)
def test_unknown_directors_are_refused(text: str) -> None:
    with pytest.raises(BadInput):
        choose_director(text)
