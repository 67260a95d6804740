"""A model behind any OpenAI-compatible server (vLLM on TPU or GPU): audio and image parts, guided JSON, retries.

The API key comes from the environment variable OPENAI_API_KEY alone; it is sent to the given host only (redirects are
refused) and never written anywhere.
"""

import base64
import io
import json
import os
import random
import time
import urllib.error
import urllib.request
import wave
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from PIL import Image

from avatar_jax.director.mllm.chat import Message, NoAnswer, Picture, Sound
from avatar_jax.director.mllm.draft import most_bytes
from avatar_jax.media import BadInput
from avatar_jax.media.audio import MODEL_RATE

KEY = "OPENAI_API_KEY"
LARGEST = 1024
"""The longer side of the portrait as it is sent, in pixels."""
MOST_ANSWER, MOST_TOKENS = 4_000_000, 8192
"""Bytes of a reply that are read, tokens of an answer that are asked for."""
BUSY = (408, 409, 425, 429)
"""Status codes that are worth another try, as are those from 500 on."""
LONGEST_WAIT = 30.0


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the key to another host."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> None:
        return None


class _Refused(NoAnswer):
    """The server does not take the form in which the schema was sent."""


@dataclass
class Server:
    """`url` ends in /v1 as a rule; `model` "" takes the first that the server lists. Times are in seconds."""

    url: str
    model: str = ""
    timeout: float = 120.0
    tries: int = 3
    backoff: float = 1.0
    sleep: Callable[[float], None] = time.sleep
    _forms: list[str] = field(default_factory=lambda: ["json_schema", "json_object", "none"])

    @property
    def name(self) -> str:
        return f"openai:{urlsplit(self.url).netloc}{' ' if self.model else ''}{self.model}"

    def ask(self, messages: Sequence[Message], schema: dict[str, Any]) -> str:
        """The answer's text, constrained to the schema where the server can do that.

        Raises:
          NoAnswer: the server gave none, after all retries.
        """
        if not self.model:
            self.model = self._first_model()
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [_turn(message) for message in messages],
            "temperature": 0,
            "max_tokens": min(MOST_TOKENS, most_bytes(schema)),
        }
        while True:
            try:
                return _content(self._reply("chat/completions", body | _format(self._forms[0], schema)))
            except _Refused:
                if len(self._forms) == 1:
                    raise
                # Older servers know no schemas, or not all of their words; the answer is checked in any case.
                self._forms.pop(0)

    def _first_model(self) -> str:
        reply = self._reply("models", None)
        try:
            return str(reply["data"][0]["id"])
        except (KeyError, IndexError, TypeError) as error:
            raise NoAnswer("the server lists no models; name one as in openai:URL#MODEL") from error

    def _reply(self, place: str, body: dict[str, Any] | None) -> dict[str, Any]:
        """The server's JSON object, tried again with growing pauses where it is busy, silent or garbled."""
        why = ""
        for attempt in range(self.tries):
            wait = min(LONGEST_WAIT, self.backoff * 2**attempt * (1 + 0.1 * random.random()))
            try:
                return self._once(place, body)
            except urllib.error.HTTPError as error:
                why = f"HTTP {error.code}"
                if error.code in (400, 422) and body is not None and "response_format" in body:
                    raise _Refused(why) from error
                if error.code not in BUSY and error.code < 500:
                    raise NoAnswer(why) from error
                wait = max(wait, _seconds(error.headers.get("Retry-After")))
            except (urllib.error.URLError, TimeoutError, HTTPException, OSError) as error:
                why = f"no reply ({type(error).__name__}: {getattr(error, 'reason', error)})"
            except ValueError as error:
                why = f"a reply that is not JSON ({error})"
            if attempt + 1 < self.tries:
                self.sleep(wait)
        raise NoAnswer(f"{why}, {self.tries} times")

    def _once(self, place: str, body: dict[str, Any] | None) -> dict[str, Any]:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if key := os.environ.get(KEY, ""):
            headers["Authorization"] = f"Bearer {key}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url.rstrip('/')}/{place}", data, headers)
        deadline = time.monotonic() + self.timeout
        received = bytearray()
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=self.timeout) as reply:
            # A socket's timeout begins anew with every byte; a server that drips must not hold us for ever.
            while part := reply.read1(65536):
                received += part
                if len(received) > MOST_ANSWER:
                    raise ValueError(f"more than {MOST_ANSWER} bytes")
                if time.monotonic() > deadline:
                    raise TimeoutError(f"more than {self.timeout:g} s")
        parsed = json.loads(received)
        if not isinstance(parsed, dict):
            raise ValueError("no object")
        return parsed


def open_server(text: str) -> Server:
    """The server of `--director openai:URL` or `openai:URL#MODEL`.

    Raises:
      BadInput: not a http or https address, or one with a password in it.
    """
    what, fix = "--director openai:", "for example --director openai:http://localhost:8000/v1#Qwen/Qwen3-Omni"
    try:
        parts = urlsplit(text)
        known = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        parts, known = urlsplit(""), False
    if not known or any(c.isspace() or not c.isprintable() for c in text):
        raise BadInput(what, text, "the http or https address of an OpenAI-compatible server", fix)
    if parts.username or parts.password or parts.query:
        raise BadInput(what, "user, password or query in it", f"a key comes from the environment: {KEY}", fix)
    return Server(f"{parts.scheme}://{parts.netloc}{parts.path}", parts.fragment)


def _format(form: str, schema: dict[str, Any]) -> dict[str, Any]:
    if form == "none":
        return {}
    if form == "json_object":
        return {"response_format": {"type": form}}
    named = {"name": "answer", "strict": True, "schema": schema}
    return {"response_format": {"type": form, "json_schema": named}}


def _content(reply: dict[str, Any]) -> str:
    try:
        content = reply["choices"][0]["message"]["content"]
    except (KeyError, IndexError, TypeError) as error:
        raise NoAnswer("a reply without a message") from error
    if not isinstance(content, str) or not content.strip():
        raise NoAnswer("an empty message")
    return content


def _seconds(text: str | None) -> float:
    """Seconds of a Retry-After header, at most LONGEST_WAIT; dates count as 0."""
    try:
        return min(LONGEST_WAIT, max(0.0, float(text or 0)))
    except ValueError:
        return 0.0


def _turn(message: Message) -> dict[str, Any]:
    if all(isinstance(part, str) for part in message.parts):
        return {"role": message.role, "content": " ".join(str(part) for part in message.parts)}
    return {"role": message.role, "content": [_part(part) for part in message.parts]}


def _part(part: str | Sound | Picture) -> dict[str, Any]:
    match part:
        case Sound():
            return {"type": "input_audio", "input_audio": {"data": _base64(_wav(part.mono)), "format": "wav"}}
        case Picture():
            return {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{_base64(_jpeg(part.rgb))}"}}
        case str():
            return {"type": "text", "text": part}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _wav(mono: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((1, 2, MODEL_RATE, 0, "NONE", ""))
        file.writeframes((np.clip(mono, -1, 1) * 32767).astype("<i2").tobytes())
    return buffer.getvalue()


def _jpeg(rgb: np.ndarray) -> bytes:
    picture = Image.fromarray(rgb)
    picture.thumbnail((LARGEST, LARGEST))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()
