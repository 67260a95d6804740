"""Three raters judge ten pairs by keyboard in Chromium, two of them at once, one of whom closes the page half way."""

import random
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette", reason="needs the review extra")
pytest.importorskip("uvicorn", reason="needs the review extra")

from avatar_jax.evaluation.gsb.app import create_app
from avatar_jax.evaluation.gsb.dimensions import NAMES
from avatar_jax.evaluation.gsb.prepare import prepare
from avatar_jax.evaluation.gsb.report import report
from avatar_jax.evaluation.gsb.session import Session, opened
from avatar_jax.metrics.gsb import BAD, GOOD, SAME
from avatar_jax.web.serving import running
from tests.evaluation.gsb_folders import write_systems

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
PAIRS, ASKED = 10, len(NAMES)
RATERS = ("ana", "bo", "cy")

WANTED = {
    "overall": ("GGS GGG SGG GSG GBG SSS SBS BBG BSB GSB", (5, 3, 2)),
    "lip_sync": ("GGG GGG GGG GGG GGG GGG GGG SSS SSS BBB", (7, 2, 1)),
    "visual_quality": ("BBB BBG BSB SBB BBB BGB SSB SGS GGG GSB", (1, 3, 6)),
    "control_response": ("SSS SSS SSS SSS SSS GSB BSG SGB GBS SSS", (0, 10, 0)),
    "identity": ("GBB GGB GSS BSS BGG BBS SGG GGG BBB SSS", (4, 3, 3)),
}
"""By dimension: what ana, bo and cy say of the ten pairs, and how many are good, same and bad by majority, by hand."""
LETTERS = {"G": GOOD, "S": SAME, "B": BAD}


def key(session: Session, rater: str, number: int) -> str:
    """The key that says what this rater is to say to the question of that number."""
    plan = session.plan(rater)
    case, dimension = plan.cases[number // ASKED], NAMES[number % ASKED]
    letter = WANTED[dimension][0].split()[int(case.removeprefix("case-"))][RATERS.index(rater)]
    if letter == "S":
        return "2"
    return "1" if (letter == "G") == (case in plan.first_left) else "3"


class Person:
    """A rater at a page."""

    def __init__(self, session: Session, name: str, address: str, browser: Any):
        self.session, self.name, self.address, self.browser = session, name, address, browser
        self.done, self.problems = session.state(name)["done"], []
        self.come()

    def come(self) -> None:
        self.page = self.browser.new_context().new_page()
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.goto(self.address)
        self.page.keyboard.type(self.name.title())
        assert self.page.input_value("#name") == self.name.title()
        self.page.keyboard.press("Enter")
        self.at(self.done)
        self.seen()

    def at(self, done: int) -> None:
        self.done = done
        self.shows("done", str(done))

    def judge(self, count: int) -> None:
        for _ in range(count):
            if self.done % ASKED == 0:
                self.seen()
            self.page.keyboard.press(key(self.session, self.name, self.done))
            self.at(self.done + 1)

    def seen(self) -> None:
        """Until both videos of the pair run, before which no answer is taken."""
        self.shows("seen", self.session.state(self.name)["left"])

    def shows(self, name: str, value: str) -> None:
        self.page.wait_for_function("told => document.body.dataset[told[0]] === told[1]", arg=[name, value])

    def leave(self) -> None:
        self.page.context.close()


@contextmanager
def browsing(session: Session) -> Iterator[Any]:
    """A function that lets a rater come to the page."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs the playwright package")
    if not Path(CHROMIUM).exists():
        pytest.skip("needs Debian's chromium: apt-get install chromium")
    with running(create_app(session), "0123456789abcdef") as address, playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield lambda name: Person(session, name, address, browser)
        browser.close()


def test_three_raters_and_ten_pairs(tmp_path: Path) -> None:
    prepare(*write_systems(tmp_path, PAIRS), None, tmp_path / "out", 0, 3)
    session = opened(tmp_path / "out")
    with browsing(session) as person:
        ana, bo = person("ana"), person("bo")
        ana.page.keyboard.press("z")
        ana.judge(1)
        check_players(ana)
        turns = random.Random(0)
        while ana.done + bo.done < 42:
            turns.choice((ana, bo)).judge(turns.randrange(1, 4))
        ana.leave()
        assert not (tmp_path / "out" / "report.html").exists()
        check_undo_and_second_tab(bo, person("bo"))
        bo.judge(PAIRS * ASKED - bo.done)
        ana.come()
        ana.judge(PAIRS * ASKED - ana.done)
        cy = person("cy")
        cy.judge(PAIRS * ASKED)
        assert "All pairs are judged" in cy.page.inner_text("#question")
        for rater in (ana, bo, cy):
            text = rater.page.content()
            assert not rater.problems and "ours" not in text and "theirs" not in text and "case-" not in text
    result = report(tmp_path / "out")
    for name, (_, (good, same, bad)) in WANTED.items():
        row = result["dimensions"][name]
        assert (row["good"], row["same"], row["bad"], row["open"]) == (good, same, bad, 0)
        assert row["score"] == pytest.approx((good + same) / (bad + same))
    assert [told["answers"] for told in result["raters"]] == [PAIRS * ASKED] * 3
    with sqlite3.connect(tmp_path / "out" / "votes.sqlite") as base:
        # One undo, and the answer given anew.
        assert base.execute("SELECT COUNT(*) FROM votes").fetchone() == (3 * PAIRS * ASKED + 2,)


def check_players(ana: Person) -> None:
    """Both run together, one is heard, and S and the space bar do what they say."""
    told = "() => players.map(p => [p.currentTime, p.muted, p.paused, p.videoWidth, p.duration])"
    together = "Math.abs(players[0].currentTime - players[1].currentTime) < 0.1"
    ana.page.wait_for_function(f"() => players.every(p => p.currentTime > 0.2 && !p.paused) && {together}")
    left, right = ana.page.evaluate(told)
    assert not left[1] and right[1]
    assert {left[3], right[3]} == {64, 96} and abs(left[4] - 1) < 0.1
    ana.page.wait_for_function("() => players[0].currentTime > 0.5")
    ana.page.wait_for_function("() => players[0].currentTime < 0.4 && !players[0].paused && !players[1].paused")
    ana.page.keyboard.press("s")
    ana.page.keyboard.press(" ")
    left, right = ana.page.evaluate(told)
    assert left[1] and not right[1] and left[2] and right[2]
    ana.page.keyboard.press(" ")


def check_undo_and_second_tab(bo: Person, tab: Person) -> None:
    """An answer is taken back and given anew in one tab; the other, which still shows it, is told and moves on."""
    done = bo.session.state("bo")["done"]
    bo.page.keyboard.press("z")
    bo.at(done - 1)
    bo.seen()
    bo.judge(1)
    bo.seen()
    bo.judge(1)
    tab.page.keyboard.press("2")
    tab.at(bo.done)
    assert "another page" in tab.page.inner_text("#note")
    tab.leave()
