"""Configs: frozen dataclasses in a Python file, changed from the command line by `--dotted.name=value`.

The type of a value is the type that the field declares, so that `--dit.batch=8.5` is refused and
`--audio.optimiser.rate=1e-3` is a float. An unknown name is answered with the nearest ones that exist.
"""

import ast
import difflib
import runpy
import types
from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints


class ConfigError(ValueError):
    """A user's mistake in a config or an override; `str()` has three lines, entry points exit with status 2."""

    def __init__(self, what: str, got: object, rule: str, fix: str):
        super().__init__(f"{what}: {got}\nrule: {rule}\nfix: {fix}")


def load(path: str | Path) -> Any:
    """The frozen dataclass that a config file names CONFIG."""
    if not Path(path).is_file():
        near = difflib.get_close_matches(str(path), [str(p) for p in Path("configs").rglob("*.py")], 1, 0.5)
        fix = f"did you mean {near[0]}?" if near else "see the folder configs/"
        raise ConfigError("no such config", path, "--config is a Python file that defines CONFIG", fix)
    config = runpy.run_path(str(path)).get("CONFIG")
    if not is_dataclass(config) or isinstance(config, type):
        raise ConfigError("not a config", path, "a config file sets CONFIG to a dataclass", "see configs/embedded.py")
    return config


def override(config: Any, arguments: Sequence[str], options: Sequence[str] = ()) -> Any:
    """`config` with every argument of the form `--dotted.name=value` applied, in order.

    Args:
        arguments: what argparse did not know (`parse_known_args`).
        options: the names that argparse does know, to suggest them too.

    Raises:
        ConfigError: on an unknown name or a value of another type.
    """
    for argument in arguments:
        name, equals, text = argument.removeprefix("--").partition("=")
        if not argument.startswith("--"):
            raise ConfigError("unexpected argument", argument, "options start with --", "see --help")
        known = names(config)
        if name not in known:
            raise unknown(argument, name, known, options)
        if not equals:
            raise ConfigError("override without a value", argument, "write --name=value", f"--{name}=VALUE")
        config = changed(config, name.split("."), text, name)
    return config


def names(config: Any, under: str = "") -> list[str]:
    """Dotted names of all values that can be overridden."""
    found = []
    for field in fields(config):
        value = getattr(config, field.name)
        inner = is_dataclass(value) and not isinstance(value, type)
        found += names(value, f"{under}{field.name}.") if inner else [under + field.name]
    return found


def unknown(argument: str, name: str, known: list[str], options: Sequence[str]) -> ConfigError:
    """The error for a name that is not there, with the nearest names, or the same last part elsewhere."""
    candidates = [f"--{n}" for n in known] + list(options)
    near = difflib.get_close_matches(f"--{name}", candidates, 3, 0.6)
    last = name.rpartition(".")[2]
    same = [c for c in candidates if c.rpartition(".")[2].lstrip("-") == last]
    suggestion = ", ".join(list(dict.fromkeys(same + near))[:3])
    fix = f"did you mean {suggestion}?" if suggestion else f"names begin with {', '.join(_first_parts(known))}"
    return ConfigError("unknown option", argument, "overrides name a value of the config", fix)


def changed(config: Any, parts: list[str], text: str, name: str) -> Any:
    """`config` with one value replaced, deep inside."""
    head, *rest = parts
    if rest:
        return replace(config, **{head: changed(getattr(config, head), rest, text, name)})
    kind = get_type_hints(type(config))[head]
    try:
        value = parse(text, kind)
        return replace(config, **{head: value})
    except ConfigError:
        raise
    except ValueError as error:
        was = getattr(config, head)
        raise ConfigError(
            f"wrong value for --{name}", repr(text), f"{error}", f"for example --{name}={_shown(was)}"
        ) from error


def parse(text: str, kind: Any) -> Any:
    """`text` as a value of type `kind`.

    Raises:
        ValueError: with the rule as its message.
    """
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return parse_union(text, inner)
    if origin is Literal:
        for choice in inner:
            if text == str(choice):
                return choice
        raise ValueError(f"it is one of {', '.join(map(str, inner))}")
    if kind is bool:
        if text.lower() in ("true", "false", "1", "0", "yes", "no"):
            return text.lower() in ("true", "1", "yes")
        raise ValueError("it is true or false")
    if kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            raise ValueError(f"it is {'a whole' if kind is int else 'a'} number") from None
    if kind in (str, Path):
        return kind(text)
    if origin in (tuple, list):
        return parse_sequence(text, origin, inner)
    raise ValueError("it cannot be set from the command line; write a config file")


def parse_union(text: str, choices: tuple[Any, ...]) -> Any:
    """The first choice that the text fits; `none` is None."""
    if type(None) in choices and text.lower() in ("none", ""):
        return None
    rules = []
    for choice in (c for c in choices if c is not type(None)):
        try:
            return parse(text, choice)
        except ValueError as error:
            rules.append(str(error))
    raise ValueError(", or ".join(rules + ["it is none"] * (type(None) in choices)))


def parse_sequence(text: str, origin: type, inner: tuple[Any, ...]) -> Any:
    """Values between commas, with or without brackets."""
    parts = [part.strip() for part in text.strip("()[]").split(",") if part.strip()]
    if inner and inner[-1] is not Ellipsis and origin is tuple:
        if len(parts) != len(inner):
            raise ValueError(f"it is {len(inner)} values between commas")
        return tuple(parse(_unquoted(p), k) for p, k in zip(parts, inner, strict=True))
    return origin(parse(_unquoted(part), inner[0] if inner else str) for part in parts)


def _unquoted(text: str) -> str:
    return str(ast.literal_eval(text)) if text[:1] in "'\"" and text[-1:] == text[:1] and len(text) > 1 else text


def _first_parts(known: list[str]) -> list[str]:
    return sorted({f"--{n.partition('.')[0]}" for n in known})


def _shown(value: Any) -> str:
    return ",".join(map(_shown, value)) if isinstance(value, list | tuple) else str(value)
