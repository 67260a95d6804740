"""Experts: each gives its verdict; one that cannot judge leaves the clip unavailable, and never passes it."""

import functools
from dataclasses import replace
from typing import Any

from avatar_jax.media import BadInput
from avatar_jax.weights.ship import WeightsError
from data_pipeline.chain import Build, Stage
from data_pipeline.protocol import Expert, to_result
from data_pipeline.records import Record, Result
from data_pipeline.settings import Settings
from data_pipeline.stages.faces import tracked
from data_pipeline.stages.finders import named

VERSION = "1"
FACTORIES = {
    "mouth": "data_pipeline.experts.mouth:mouth_expert",
    "camera": "data_pipeline.experts.camera:camera_expert",
    "sync": "data_pipeline.experts.sync:sync_expert",
}
"""Experts whose weights ship. Others are told by their factory's dotted name, which must need no arguments."""


@functools.cache
def expert(name: str) -> Expert | str:
    """The expert, made once per process, or why it cannot be made."""
    try:
        return named(FACTORIES.get(name, name))()
    except (BadInput, WeightsError, OSError) as error:
        return str(error).split("\n")[0]


def versions(settings: Settings) -> Any:
    """What verdicts depend on: each expert's version and threshold, or that it is missing."""
    made = [expert(name) for name in settings.experts.names]
    told = [
        [name, None if isinstance(one, str) else [one.version, one.threshold]]
        for name, one in zip(settings.experts.names, made, strict=True)
    ]
    return [told, list(settings.experts.allowed)]


def verdicts(record: Record, build: Build) -> list[Record]:
    """Adds a result for each expert; all of them speak, so that every score is there to look at."""
    clip = tracked(record, build)
    results = []
    for name in build.settings.experts.names:
        one = expert(name)
        if isinstance(one, str):
            result = Result(f"experts.{name.rpartition(':')[2]}", "", "unavailable", one)
        else:
            result = to_result(one, one.judge(clip))
        if result.status == "unavailable" and name in build.settings.experts.allowed:
            note = f"not judged by {name}: {result.reason}"
            result = replace(result, status="passed", reason="", notes=(*result.notes, note))
        results.append(result)
    return [record.plus(*results, Result("experts", VERSION, "passed"))]


EXPERTS = Stage("experts", VERSION, verdicts, versions)
