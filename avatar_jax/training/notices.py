"""What asks a run to stop: signals, and the notice of a cloud that a machine will be taken away."""

import signal
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager

GCE = "http://metadata.google.internal/computeMetadata/v1/instance/preempted"
"""Answers TRUE once a preemptible machine of Google Cloud is to be stopped, thirty seconds before it is."""
EVERY_S = 2.0


@contextmanager
def stop_asked(notice: str = "") -> Iterator[Callable[[], bool]]:
    """Within: SIGINT and SIGTERM are noted, not obeyed, and the function given says whether one came.

    Args:
        notice: "gce", or a URL whose text turns to TRUE: asked every two seconds, and counts like a signal.
    """
    came = threading.Event()
    ended = threading.Event()
    before = {s: signal.signal(s, lambda *_: came.set()) for s in (signal.SIGINT, signal.SIGTERM)}
    if notice:
        url = GCE if notice == "gce" else notice
        threading.Thread(target=listen, args=(url, came, ended), name="notice", daemon=True).start()
    try:
        yield came.is_set
    finally:
        ended.set()
        for number, handler in before.items():
            signal.signal(number, handler)


def listen(url: str, came: threading.Event, ended: threading.Event) -> None:
    """Set `came` when the URL answers TRUE; one that cannot be reached has said nothing."""
    asked = urllib.request.Request(url, headers={"Metadata-Flavor": "Google"})
    while not ended.wait(EVERY_S) and not came.is_set():
        try:
            with urllib.request.urlopen(asked, timeout=EVERY_S) as answer:
                if answer.read(16).strip().upper() == b"TRUE":
                    came.set()
        except (OSError, ValueError):
            continue
