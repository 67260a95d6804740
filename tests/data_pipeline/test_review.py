"""A review: orders with repeats, scores after the vote only, exports by hand, and ten clips by keyboard in Chromium."""

import csv
import json
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("starlette", reason="needs the review extra")
pytest.importorskip("uvicorn", reason="needs the review extra")

from avatar_jax.media import BadInput, write_video
from avatar_jax.web.serving import running
from avatar_jax.web.votes import Vote
from data_pipeline import __main__ as command
from data_pipeline.review.app import create_app
from data_pipeline.review.clips import Clip, read_clips, write_clips
from data_pipeline.review.command import opened
from data_pipeline.review.export import agreements, decisions, export
from data_pipeline.review.session import AGAIN, GAP, REASONS, Refused, Session

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
COUNT = 10


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips") / "видео <b>"
    frames = [np.full((64, 64, 3), level, np.uint8) for level in range(0, 250, 25)]
    clips = []
    for number in range(COUNT):
        path = folder / f"clip {number}.mp4"
        write_video(path, frames, 25)
        scores = {"sync": {"value": 0.125 * number, "threshold": 0.5, "passed": number > 3}}
        clips.append(Clip(f"clip-{number}", path, scores, f"says {number}"))
    write_clips(folder, clips)
    return folder


@pytest.fixture
def session(videos: Path, tmp_path: Path) -> Session:
    copy = tmp_path / "copy"
    shutil.copytree(videos, copy, ignore=shutil.ignore_patterns("review"))
    return opened(copy, repeats=0.1)


def answer(session: Session, rater: str, choose=lambda clip: "accept") -> list[str]:
    """Review to the end as the page would; the names of the clips, in order."""
    seen, state = [], session.state(rater)
    for item in session.plan(rater):
        state = session.vote(rater, state["item"], choose(item.removesuffix(AGAIN)), [], 1.0)
        seen.append(state["last"]["clip"])
    assert state["item"] is None and state["done"] == state["total"]
    return seen


def test_orders(session: Session) -> None:
    plan = session.plan("ana")
    assert len(plan) == 11 and {item.removesuffix(AGAIN) for item in plan} == {f"clip-{n}" for n in range(COUNT)}
    again = next(item for item in plan if item.endswith(AGAIN))
    assert plan.index(again) - plan.index(again.removesuffix(AGAIN)) >= GAP
    assert session.plan("bo") != plan == opened(session.media.root, 0.1).plan("ana")
    assert not any(item.endswith(AGAIN) for item in opened(session.media.root, 0).plan("ana"))


def test_scores_are_hidden_until_voted(session: Session) -> None:
    state = session.state("ana")
    assert "sync" not in json.dumps(state) and "clip-" not in json.dumps(state) and state["last"] is None
    after = session.vote("ana", state["item"], "reject", [REASONS[2]], 3.2)
    first = session.plan("ana")[0]
    assert after["last"]["clip"] == first and after["last"]["reasons"] == [REASONS[2]]
    assert after["last"]["scores"]["sync"]["value"] == 0.125 * int(first[5:])
    back = session.undo("ana")
    assert back["item"] == state["item"] and back["last"] is None and back["done"] == 0


def test_strange_votes_are_refused(session: Session) -> None:
    now = session.state("ana")["item"]
    wrong = [
        ("ana", now, "maybe", []),
        ("ana", now, "reject", ["dull"]),
        ("ana", "other", "accept", []),
        ("ana", session.state("bo")["item"], "accept", []),
        ("", now, "accept", []),
        ("a\nb", now, "accept", []),
        ("x" * 41, now, "accept", []),
    ]
    for rater, item, choice, reasons in wrong:
        with pytest.raises(Refused):
            session.vote(rater, item, choice, reasons, 0)
    session.vote("ana", now, "accept", [], 0)
    with pytest.raises(Refused):
        session.vote("ana", now, "accept", [], 0)
    assert session.votes.count() == 1


def test_two_reviewers(session: Session, tmp_path: Path) -> None:
    answer(session, "ana", lambda clip: "accept" if clip < "clip-5" else "reject")
    answer(session, "bo", lambda clip: "accept" if clip < "clip-7" else "reject")
    found = export(tmp_path / "out", session.clips, session.votes.standing())
    # Both accept 5 and reject 3 of 10, expected by chance .5 * .7 + .5 * .3 = .5.
    assert found["pairs"]["ana and bo"] == {"clips": 10, "agreement": 0.8, "kappa": pytest.approx(0.6)}
    assert found["self"]["ana"]["clips"] == 1 and found["self"]["ana"]["agreement"] == 1
    lines = [json.loads(line) for line in (tmp_path / "out" / "decisions.jsonl").read_text().splitlines()]
    assert [line["decision"] for line in lines] == ["accept"] * 5 + ["disputed"] * 2 + ["reject"] * 3
    with (tmp_path / "out" / "votes.csv").open() as file:
        table = list(csv.DictReader(file))
    assert len(table) == 22 == len((tmp_path / "out" / "votes.jsonl").read_text().splitlines())
    assert sum(row["showing"] == "2" for row in table) == 2
    tasks = json.loads((tmp_path / "out" / "label_studio.json").read_text())
    first = tasks[0]["annotations"][0]["result"][0]
    assert len(tasks) == 10 and first["value"] == {"choices": ["accept"]} and first["to_name"] == "video"


def test_skips_and_second_showings_decide_nothing(tmp_path: Path) -> None:
    told = {"reasons": [], "seconds": 1}
    votes = [Vote(i, "ana", *given, 0.0, told) for i, given in enumerate([("a", "skip"), ("b" + AGAIN, "reject")])]
    clips = [Clip("a", tmp_path), Clip("b", tmp_path)]
    assert [row["decision"] for row in decisions(clips, votes)] == ["open", "open"]
    assert agreements(votes)["self"]["ana"] == {"clips": 0, "agreement": None, "kappa": None}


def test_a_list_that_leaves_its_folder_is_refused(videos: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.mp4").write_bytes(b"x")
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "clips.jsonl").write_text('{"clip": "a", "video": "../secret.mp4"}\n')
    with pytest.raises(BadInput, match="inside the folder"):
        opened(inner)
    for text in ('{"clip": "a"}', "no json", "[]", ""):
        (inner / "clips.jsonl").write_text(text)
        with pytest.raises(BadInput):
            read_clips(inner)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nowhere"], "no such folder"),
        (["{videos}", "--host", "0.0.0.0"], "needs a token"),
        (["{videos}", "--host", "0.0.0.0", "--token", "abc"], "12 or more"),
        (["{videos}", "--repeats", "2"], "0 to 0.5"),
    ],
)
def test_command_refuses(arguments: list[str], told: str, videos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["review", *(a.format(videos=videos) for a in arguments)]) == 2
    said = capsys.readouterr().err.strip()
    assert told in said and len(said.splitlines()) <= 3


def test_ten_clips_by_keyboard(session: Session) -> None:
    playwright = pytest.importorskip("playwright.sync_api", reason="needs the playwright package")
    if not Path(CHROMIUM).exists():
        pytest.skip("needs Debian's chromium: apt-get install chromium")
    keys = ["a", "2", "r", "a", "s", "a", "z", "a", "r", "a", "a", "a", "a", "a"]
    want = ["accept", "reject", "accept", "skip", "accept", "reject", *["accept"] * 5]
    options = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
    with running(create_app(session), "0123456789abcdef") as address, playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=options)
        page = browser.new_page()
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("requestfailed", lambda request: problems.append(request.url) if "media" not in request.url else None)
        page.goto(address)
        page.keyboard.type("Ana")
        page.keyboard.press("Enter")
        video = page.locator("#video")
        playwright.expect(video).to_be_visible()
        while not video.evaluate("video => video.currentTime > 0"):
            page.wait_for_timeout(20)
        assert "threshold" not in page.inner_text("body") and "token" not in page.url
        done = 0
        for key in keys:
            page.keyboard.press(key)
            done += {"z": -1, "2": 0}.get(key, 1)
            playwright.expect(page.locator(f"body[data-done='{done}']")).to_be_attached()
        assert "All clips are reviewed" in page.inner_text("#note") and "threshold" in page.inner_text("#scores")
        browser.close()
    assert not problems
    with sqlite3.connect(session.votes.path) as base:
        assert base.execute("SELECT COUNT(*) FROM votes WHERE rater = 'Ana'").fetchone() == (13,)
    given = session.votes.standing("Ana")
    assert [vote.choice for vote in given] == want and given[1].told["reasons"] == [REASONS[1]]
    assert [vote.item for vote in given] == list(session.plan("Ana"))
