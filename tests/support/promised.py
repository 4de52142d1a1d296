"""Whether a document is what its types promise: every key that must be there, none that is not told of."""

from __future__ import annotations

from enum import Enum
from types import UnionType
from typing import Any, NotRequired, get_args, get_origin, get_type_hints, is_typeddict


def keeps(value: Any, kind: Any) -> bool:
    origin, arguments = get_origin(kind), get_args(kind)
    if is_typeddict(kind):
        return isinstance(value, dict) and _keeps_keys(value, kind)
    if origin is UnionType:
        return any(keeps(value, each) for each in arguments)
    if origin is list:
        return isinstance(value, list) and all(keeps(each, arguments[0]) for each in value)
    if origin is tuple:
        return len(value) == len(arguments) and all(map(keeps, value, arguments))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return value in [each.value for each in kind]
    return type(value) is kind


def _keeps_keys(value: dict[str, Any], kind: Any) -> bool:
    told = get_type_hints(kind, include_extras=True)
    needed = {key for key, each in told.items() if get_origin(each) is not NotRequired}
    told = get_type_hints(kind)
    return needed <= value.keys() <= told.keys() and all(keeps(each, told[key]) for key, each in value.items())
