"""The raters' page: pairs, and three questions to the session."""

from pathlib import Path
from typing import Any

from starlette.applications import Starlette

from avatar_jax.evaluation.gsb.dimensions import DIMENSIONS
from avatar_jax.evaluation.gsb.session import Session
from avatar_jax.web.pages import rating_page


def create_app(session: Session) -> Starlette:
    """The page of one comparison; put it behind `avatar_jax.web.access.Guard`."""
    asked = [{"label": dimension.label, "question": dimension.question} for dimension in DIMENSIONS]

    def vote(told: dict[str, Any]) -> dict[str, Any]:
        return session.vote(told["rater"], told["item"], told["answer"], float(told["seconds"]))

    return rating_page(
        Path(__file__).parent,
        session.media,
        state=lambda told: {"dimensions": asked, **session.state(told["rater"])},
        vote=vote,
        undo=lambda told: session.undo(told["rater"]),
    )
