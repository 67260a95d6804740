"""A portrait in which something hides the mouth: it is animated all the same, and the user is told."""

from avatar_jax.metrics.reading import read_frames
from avatar_jax.models.reader import Reader
from avatar_jax.sampling.request import Prepared

COVERED = 0.3
"""Hidden part of the mouth from which on the user is told. Of 250 held-out drawings the reader says so of 95 % of those
whose mouth is hidden by more than half, and of 0.5 % of those whose mouth is free."""
WARNING = "something hides the mouth in the portrait; it is drawn over that as soon as the avatar speaks"


def covered(prepared: Prepared, reader: Reader, params: dict) -> Prepared:
    """With a warning for the user where the gate's reader sees a hidden mouth."""
    hidden = read_frames(reader, params, [prepared.framing.portrait]).of("occlude")[0]
    return prepared.warned(WARNING) if hidden >= COVERED else prepared
