"""A model that knows nothing: it answers any schema of the director with random values that fit it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from avatar_jax.director.mllm.chat import Message, NoAnswer

LETTERS = "abc äé 悲しい 기쁨 高兴 😀 {}<>/.,:;|`*_#$%\u202e\u200b"


@dataclass
class RandomChat:
    """`fails` are the numbers of the asks that get no answer."""

    seed: int = 0
    fails: frozenset[int] = frozenset()
    name: str = "random"
    asked: list[Sequence[Message]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)

    def ask(self, messages: Sequence[Message], schema: dict[str, Any]) -> str:
        self.asked.append(messages)
        if len(self.asked) - 1 in self.fails:
            raise NoAnswer("planned failure")
        return json.dumps(self.value(schema), ensure_ascii=False)

    def value(self, schema: dict[str, Any]) -> Any:
        if "enum" in schema:
            return schema["enum"][self.rng.integers(len(schema["enum"]))]
        match schema["type"]:
            case "string":
                return "".join(self.rng.choice(list(LETTERS), self.rng.integers(schema["maxLength"] + 1)))
            case "integer":
                return int(self.rng.integers(schema["minimum"], schema["maximum"] + 1))
            case "boolean":
                return bool(self.rng.integers(2))
            case "array":
                count = self.rng.integers(schema["minItems"], schema["maxItems"] + 1)
                return [self.value(schema["items"]) for _ in range(count)]
            case "object":
                return {key: self.value(value) for key, value in schema["properties"].items()}
        raise AssertionError(schema)
