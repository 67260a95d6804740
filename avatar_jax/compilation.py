"""Compiled programs kept between runs: a second start takes seconds instead of a compilation.

The folder is $JAX_COMPILATION_CACHE_DIR, else $XDG_CACHE_HOME/avatar_jax/jax, else ~/.cache/avatar_jax/jax. An empty
$JAX_COMPILATION_CACHE_DIR turns it off. It may be shared: entries are named by program, options, devices and versions,
and appear whole. On TPU a folder in a bucket serves all hosts, the new ones after a preemption included.
"""

import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax

from avatar_jax.mesh import platform

WORTH_KEEPING_S = 0.3
"""Programs that compile faster than this are compiled again."""


def folder() -> str:
    """Where compiled programs are kept; empty for nowhere. May be an address of a bucket, gs://..."""
    caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return os.environ.get("JAX_COMPILATION_CACHE_DIR", str(Path(caches).expanduser() / "avatar_jax" / "jax"))


def keep_programs() -> str:
    """Keep compiled programs in `folder()`, or say on standard error why not. Returns the folder, or an empty text.

    Call before anything is compiled.
    """
    where = folder()
    if where and "://" not in where:
        try:
            Path(where).mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=where):
                pass
        except OSError as error:
            reason = error.strerror or error
            print(f"warning: compiled programs are not kept: {where}: {reason}; starts will be slow", file=sys.stderr)
            where = ""
    jax.config.update("jax_compilation_cache_dir", where or None)
    if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
        jax.config.update("jax_persistent_cache_min_compile_time_secs", WORTH_KEEPING_S)
    return where


class Program:
    """`jax.jit` of a function, with options for the compiler where the program is for a TPU (no other knows them)."""

    def __init__(self, function: Callable[..., Any], tpu_options: dict[str, str], static: Sequence[int] = ()) -> None:
        """`static`: places of arguments that are part of the program, as `static_argnums` of `jax.jit`."""
        self.anywhere = jax.jit(function, static_argnums=static)
        self.on_tpu = jax.jit(function, static_argnums=static, compiler_options=tpu_options)

    def chosen(self) -> Any:
        """The `jax.jit` for the mesh that is set, or for the devices that are here."""
        return self.on_tpu if platform() == "tpu" else self.anywhere

    def __call__(self, *args: Any) -> Any:
        return self.chosen()(*args)

    def lower(self, *args: Any) -> Any:
        """As of `jax.jit`."""
        return self.chosen().lower(*args)
