"""The review page: the clips, and three questions."""

from pathlib import Path
from typing import Any

from starlette.applications import Starlette

from avatar_jax.web.pages import rating_page
from data_pipeline.review.session import REASONS, Session


def create_app(session: Session) -> Starlette:
    """The page of one review; put it behind `avatar_jax.web.access.Guard`."""

    def vote(asked: dict[str, Any]) -> dict[str, Any]:
        return session.vote(
            asked["rater"], asked["item"], asked["choice"], list(asked["reasons"]), float(asked["seconds"])
        )

    return rating_page(
        Path(__file__).parent,
        session.media,
        state=lambda asked: {"reasons": REASONS, **session.state(asked["rater"])},
        vote=vote,
        undo=lambda asked: session.undo(asked["rater"]),
    )
