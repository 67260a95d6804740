"""Who writes the storyline: `rules`, `transformers:PATH` or `openai:URL`, by the word on the command line."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from avatar_jax.director.mllm.director import director_of
from avatar_jax.director.mllm.server import open_server
from avatar_jax.director.rules import direct
from avatar_jax.director.storyline import Storyline
from avatar_jax.media import BadInput, Recording, nameable
from avatar_jax.media.face import Box

Director = Callable[[Recording, np.ndarray, str, Box | None], Storyline]
"""(recording, picture RGB, the user's words, box of the head in the picture) -> storyline."""
FIX = "--director rules, transformers:FOLDER or openai:URL"


def require_director(text: str) -> None:
    """What can be said about the name of a director before anything is loaded.

    Raises:
      BadInput: no such director, no address of a server, or no folder of a model.
    """
    kind, _, where = text.partition(":")
    if kind == "openai" and where:
        open_server(where)
    elif kind == "transformers" and where:
        if not (nameable("--director", Path(where)) / "config.json").is_file():
            raise BadInput("--director", text, "the folder of a saved model, with a config.json", "check the path")
    elif text != "rules":
        raise BadInput("--director", text, "who writes the storyline", FIX)


def choose_director(text: str) -> Director:
    """The director of that name; a model is loaded here, once, a server is first spoken to when it is needed.

    Raises:
      BadInput: what `require_director` says, no model that fits, or its extra is not installed.
    """
    require_director(text)
    kind, _, where = text.partition(":")
    if text == "rules":
        return direct
    if kind == "openai":
        return director_of(open_server(where))
    try:
        from avatar_jax.director.mllm.thinker import open_thinker
    except ImportError as error:
        rule = f"a model in this process needs the extra `director` ({error})"
        raise BadInput("--director", text, rule, "pip install 'avatar-jax[director]'") from error
    return director_of(open_thinker(Path(where)))
