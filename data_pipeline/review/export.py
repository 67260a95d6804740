"""What a review has found, for people, spreadsheets, other tools, and the pipeline's next stage."""

import csv
import io
import json
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from avatar_jax.web.agreement import agreement, cohen_kappa
from avatar_jax.web.votes import Vote
from data_pipeline.review.clips import Clip
from data_pipeline.review.session import AGAIN


def decisions(clips: Sequence[Clip], votes: Sequence[Vote]) -> list[dict[str, Any]]:
    """One line a clip. accept or reject where all who judged agree, "disputed" where they do not, else "open".

    Second showings and skips decide nothing. A clip that was voted on keeps its line when it is not listed any more:
    the build that it was rejected from does not list it, and must not take it back.
    """
    rows = []
    showings = (vote.item for vote in votes if not vote.item.endswith(AGAIN))
    for name in dict.fromkeys([*(clip.clip for clip in clips), *showings]):
        judged = [vote for vote in votes if vote.item == name and vote.choice != "skip"]
        said = {vote.choice for vote in judged}
        decision = said.pop() if len(said) == 1 else "disputed" if said else "open"
        reasons = sorted({reason for vote in judged for reason in vote.told["reasons"]})
        accepts = sum(vote.choice == "accept" for vote in judged)
        rows.append(
            {
                "clip": name,
                "decision": decision,
                "accepts": accepts,
                "rejects": len(judged) - accepts,
                "reasons": reasons,
            }
        )
    return rows


def agreements(votes: Sequence[Vote]) -> dict[str, Any]:
    """Every rater with themselves (clips that came twice) and every two raters, skips left out: share and kappa."""
    by_rater: dict[str, dict[str, str]] = {}
    for vote in votes:
        if vote.choice != "skip":
            by_rater.setdefault(vote.rater, {})[vote.item] = vote.choice

    def told(a: Sequence[str], b: Sequence[str]) -> dict[str, Any]:
        return {"clips": len(a), "agreement": agreement(a, b), "kappa": cohen_kappa(a, b)}

    alone, pairs = {}, {}
    for rater, choices in by_rater.items():
        twice = [item for item in choices if item + AGAIN in choices]
        alone[rater] = told([choices[item] for item in twice], [choices[item + AGAIN] for item in twice])
    for one, other in combinations(sorted(by_rater), 2):
        mine, theirs = by_rater[one], by_rater[other]
        both = [item for item in mine if item in theirs and not item.endswith(AGAIN)]
        pairs[f"{one} and {other}"] = told([mine[item] for item in both], [theirs[item] for item in both])
    return {"self": alone, "pairs": pairs}


def rows(votes: Sequence[Vote]) -> list[dict[str, Any]]:
    return [
        {
            "id": vote.id,
            "rater": vote.rater,
            "clip": vote.item.removesuffix(AGAIN),
            "showing": 2 if vote.item.endswith(AGAIN) else 1,
            "choice": vote.choice,
            "reasons": vote.told["reasons"],
            "seconds": vote.told["seconds"],
            "at": vote.at,
        }
        for vote in votes
    ]


def label_studio(clips: Sequence[Clip], votes: Sequence[Vote]) -> list[dict[str, Any]]:
    """Tasks with annotations, as Label Studio imports them: choices `verdict` and `reasons` on a video `video`."""

    def result(name: str, choices: Sequence[str]) -> dict[str, Any]:
        return {"from_name": name, "to_name": "video", "type": "choices", "value": {"choices": list(choices)}}

    return [
        {
            "data": {"clip": clip.clip, "video": clip.video.name},
            "annotations": [
                {
                    "completed_by": {"email": vote.rater},
                    "lead_time": vote.told["seconds"],
                    "result": [result("verdict", [vote.choice]), result("reasons", vote.told["reasons"])],
                }
                for vote in votes
                if vote.item == clip.clip
            ],
        }
        for clip in clips
    ]


def export(out: Path, clips: Sequence[Clip], votes: Sequence[Vote]) -> dict[str, Any]:
    """Write votes.jsonl, votes.csv, label_studio.json, decisions.jsonl and agreement.json; returns the agreements."""
    out.mkdir(parents=True, exist_ok=True)
    found, kept = agreements(votes), rows(votes)
    table = io.StringIO()
    writer = csv.DictWriter(table, list(rows([Vote(0, "", "", "", 0.0, {"reasons": [], "seconds": 0})])[0]))
    writer.writeheader()
    writer.writerows({**row, "reasons": "; ".join(row["reasons"])} for row in kept)
    _write(out / "votes.jsonl", "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in kept))
    _write(out / "votes.csv", table.getvalue())
    _write(out / "label_studio.json", json.dumps(label_studio(clips, votes), ensure_ascii=False, indent=1) + "\n")
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in decisions(clips, votes))
    _write(out / "decisions.jsonl", "".join(lines))
    _write(out / "agreement.json", json.dumps(found, ensure_ascii=False, indent=1) + "\n")
    return found


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_text(text)
    temporary.replace(path)
