"""Who sees which clip when, and what they said of it. All that is remembered lies in the votes file.

Every rater has an order of their own, drawn from their name. Some clips come a second time, some way later, so that
a rater's agreement with themselves is known; the page does not tell which. What experts said of a clip is told only
after the vote.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from avatar_jax.web.media import Media
from avatar_jax.web.raters import Refused, known_rater, rater_rng
from avatar_jax.web.votes import AlreadyVoted, Votes
from data_pipeline.review.clips import Clip

CHOICES = ("accept", "reject", "skip")
REASONS = ("mouth not clear", "cut or jump", "sound out of sync", "several speakers", "ugly picture", "other")
"""In the order of keys 1 to 6."""
AGAIN = " (again)"
"""Ends an item that is a clip's second showing."""
GAP = 5
"""Least number of other clips between the two showings, where there are as many."""


@dataclass(frozen=True)
class Session:
    """The review of one folder; `repeats`: share of clips that come twice, of ten clips at least one."""

    clips: Sequence[Clip]
    media: Media
    votes: Votes
    repeats: float = 0.08
    seed: int = 0

    def plan(self, rater: str) -> tuple[str, ...]:
        """Items in this rater's order: names of clips, with `AGAIN` for second showings."""
        rng = rater_rng(self.seed, rater)
        order = [self.clips[i].clip for i in rng.permutation(len(self.clips))]
        least = 1 if self.repeats > 0 and len(order) >= 10 else 0
        count = max(least, round(self.repeats * len(order)))
        # A clip from the last places could not come again after a gap.
        early = order[: max(1, len(order) - GAP)]
        places = {clip: order.index(clip) for clip in rng.choice(early, min(count, len(early)), replace=False)}
        shown = [(float(place), clip) for place, clip in enumerate(order)]
        for clip, place in places.items():
            first = min(place + GAP, len(order) - 1)
            shown.append((rng.integers(first, len(order)) + rng.uniform(0.1, 0.9), str(clip) + AGAIN))
        return tuple(item for _, item in sorted(shown))

    def state(self, rater: str) -> dict[str, Any]:
        """What the page shows next, and what experts said of the clip that was just voted on."""
        plan, given = self.plan(known_rater(rater)), self.votes.standing(rater)
        voted = {vote.item for vote in given}
        open_items = [item for item in plan if item not in voted]
        last = given[-1] if given else None
        return {
            "rater": rater,
            "done": len(plan) - len(open_items),
            "total": len(plan),
            "item": self._public(rater, open_items[0]) if open_items else None,
            "video": self._video(open_items[0]) if open_items else None,
            "next": self._video(open_items[1]) if len(open_items) > 1 else None,
            "last": last and {"choice": last.choice, **last.told, **self._experts(last.item)},
        }

    def vote(self, rater: str, item: str, choice: str, reasons: Sequence[str], seconds: float) -> dict[str, Any]:
        """Keep a vote on the item that is shown; the next state.

        Raises:
            Refused: not a choice, an unknown reason, or another item than the rater's current one.
        """
        voted = {vote.item for vote in self.votes.standing(known_rater(rater))}
        current = next((item for item in self.plan(rater) if item not in voted), None)
        if choice not in CHOICES or not set(reasons) <= set(REASONS):
            raise Refused(f"choices are {', '.join(CHOICES)}; reasons {', '.join(REASONS)}")
        if current is None or item != self._public(rater, current):
            raise Refused("this is not the clip to vote on; another page of yours may have moved on")
        told = {"reasons": sorted(set(reasons)), "seconds": round(float(seconds), 2)}
        try:
            self.votes.add(rater, current, choice, told)
        except AlreadyVoted as error:
            raise Refused(str(error)) from error
        return self.state(rater)

    def undo(self, rater: str) -> dict[str, Any]:
        """Take the rater's last vote back, so that its clip is shown again; the next state."""
        self.votes.take_back(known_rater(rater))
        return self.state(rater)

    def _clip(self, item: str) -> Clip:
        return next(clip for clip in self.clips if clip.clip == item.removesuffix(AGAIN))

    def _video(self, item: str) -> str:
        return f"media/{self.media.name(self._clip(item).video)}"

    def _public(self, rater: str, item: str) -> str:
        """A name that does not tell first showings from second ones."""
        return hashlib.sha256(f"{self.seed} {rater} {item}".encode()).hexdigest()[:16]

    def _experts(self, item: str) -> dict[str, Any]:
        clip = self._clip(item)
        return {"clip": clip.clip, "scores": dict(clip.scores), "caption": clip.caption}
