"""What a layer makes of conditions alone (keys and values of a prompt, a picture, the sound) is made once, then read.

`module.apply({"params": p}, ..., mutable=[READ])` leaves it in the collection READ; a call that is given that
collection reads it from there. Leaves have the batch as their first axis, and the layers of a stack as their second.
"""

from collections.abc import Callable
from typing import TypeVar, cast

import flax.linen as nn

READ = "read"
Made = TypeVar("Made")


def once(module: nn.Module, name: str, make: Callable[[], Made]) -> Made:
    """`make()`, or what it gave in the call that filled READ."""
    if module.is_initializing():
        return make()
    if module.has_variable(READ, name):
        return cast(Made, module.get_variable(READ, name))
    made = make()
    if module.is_mutable_collection(READ):
        module.put_variable(READ, name, made)
    return made
