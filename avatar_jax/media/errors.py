"""The one error for a user's mistake: it says what was wrong, what was got, the rule and the fix."""

import errno
import os
from pathlib import Path
from typing import Any

SHOWN = 160
"""Characters of a user's value that a message repeats."""
LONGEST_NAME = 255
"""Bytes of a file's name on the usual file systems."""


def _line(text: Any) -> str:
    """One printable line of at most `SHOWN` characters, whatever the user sent."""
    words = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    return words if len(words) <= SHOWN else words[: SHOWN - 3] + "..."


class BadInput(ValueError):
    """A user's mistake; entry points print it and exit with status 2. `str()` has three lines, never more."""

    def __init__(self, what: Any, got: Any, rule: Any, fix: Any):
        self.what, self.got, self.rule, self.fix = (_line(part) for part in (what, got, rule, fix))
        super().__init__(f"{self.what}: {self.got}\nrule: {self.rule}\nfix: {self.fix}")

    def __reduce__(self) -> tuple[type["BadInput"], tuple[str, str, str, str]]:
        """Workers send errors back to their parent process."""
        return BadInput, (self.what, self.got, self.rule, self.fix)


def nameable(what: str, path: Path) -> Path:
    """The path, if a file can have such a name at all; most calls on one that no file can have raise OSError.

    Raises:
      BadInput: a part of it is too long, or holds what no name may hold.
    """
    try:
        usable = "\0" not in str(path) and all(len(os.fsencode(part)) <= LONGEST_NAME for part in path.parts)
    except UnicodeError:
        usable = False
    if not usable:
        rule = f"every part of a path has at most {LONGEST_NAME} bytes, none of them 0"
        raise BadInput(what, path, rule, "check the path")
    return path


def unwritable(path: Any, error: OSError) -> BadInput:
    """The message for an output that could not be written: no space, read-only, no permission, not a folder."""
    reasons = {
        errno.ENOSPC: ("no space left on the device", "free some space or choose another --out"),
        errno.EDQUOT: ("disk quota exceeded", "free some space or choose another --out"),
        errno.EROFS: ("the file system is read-only", "choose a writable --out"),
        errno.ENOTDIR: ("a file stands where a folder is needed", "choose another --out"),
        errno.ENAMETOOLONG: ("the name is too long", "choose a shorter --out"),
    }
    got, fix = reasons.get(error.errno or 0, (error.strerror or str(error), "choose a writable --out"))
    return BadInput(f"cannot write {path}", got, "the output must lie in a folder that can be written", fix)
