"""The embedded model against ground truth: held-out characters with held-out voices, through the whole cascade.

Every case is a synthetic clip whose mouth is known at every frame. The video that `sample.py` makes for its portrait,
sound and storyline is read back from the mp4 and read by the `judge`, a network that the cascade never uses. What the
judge reads from the true frames is the ceiling: no video can be expected to score higher.
"""

import resource
import sys
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from tqdm import tqdm

from avatar_jax.evaluation import making, summary
from avatar_jax.evaluation.case import Case
from avatar_jax.evaluation.making import EmbeddedConfig
from data_pipeline.synthetic.clip import Clip
from data_pipeline.synthetic.voice import flite_installed


def run(config: EmbeddedConfig) -> dict[str, Any]:
    """Make and read every case; numbers pooled over all frames, with their spread and their ceiling."""
    eyes = making.Eyes.open(config.judge or config.weights / "judge.safetensors")
    flite = config.flite if flite_installed() else 0
    clips: Iterable[Clip] = tqdm(
        [
            *making.held_out_clips(config.cases, config.seconds, config.still),
            *making.flite_clips(flite, config.seconds),
        ],
        "cases",
        disable=not sys.stderr.isatty(),
    )
    identities, cases = [], []
    for number, clip in enumerate(clips):
        identities.append(clip.identity.seed)
        cases.append(making.make_case(clip, number, eyes, config))
    gallery_ND = making.gallery(eyes, identities, config.portraits)
    cases = with_others(cases)
    main, unseen = cases[: config.cases], cases[config.cases :]

    wanted = summary.all_columns(threshold := summary.shut_threshold(cases), gallery_ND)
    result: dict[str, Any] = {"cases": len(main), "seconds_each": config.seconds}
    result |= summary.summarise(main, wanted)
    result["shut_below"] = threshold
    result["codec_psnr"] = float(np.mean([case.codec_psnr for case in main]))
    result["spread"]["codec_psnr"] = summary.spread([case.codec_psnr for case in main])
    # The first case compiles; the others show the speed that a user sees from the second video on.
    pace = [case.seconds / (case.length / case.fps) for case in main[1:] or main]
    result["seconds_per_video_second"] = float(np.median(pace))
    result["spread"]["seconds_per_video_second"] = summary.spread(pace)
    result["peak_rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    result["lifeless"] = [case.number for case in main if case.looks["made"].lifeless]
    result["identity_candidates"] = len(gallery_ND)
    result["reader"] = summary.reader(main)
    if unseen:
        result["unseen_voice_family"] = summary.table(unseen, "voice", wanted)["flite"]
    if config.by:
        result["by"] = {by: summary.table(cases if by == "voice" else main, by, wanted) for by in config.by}
    return result


def with_others(cases: list[Case]) -> list[Case]:
    """The cases, each with the mouth of the next one, which it must not follow. Closures count while both speak: a
    mouth at rest is shut whatever is said elsewhere."""
    out = []
    for case, other in zip(cases, cases[1:] + cases[:1], strict=True):
        take = np.arange(case.length) % other.length
        out.append(
            replace(case, other_open_T=other.truth["open"][take], other_closed_T=other.closed_T[take] & ~case.silent_T)
        )
    return out
