"""Pydantic's errors in our words: what is wrong; what is allowed. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel

from vipd.config import schema
from vipd.config.document import Path
from vipd.config.values import did_you_mean, printable, quote_hint, shown
from vipd.model.director import Method, OnServerRemoved, Scheduler

_EXPECTED: Final = {
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a whole number that small",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "string_type": "text",
}

_CHOICES: Final[dict[str | int, list[str]]] = {
    "method": list(Method),
    "scheduler": list(Scheduler),
    "on_server_removed": list(OnServerRemoved),
}

_LEGACY: Final = {
    "<<": "YAML's merge key is not understood; write the keys out",
    "backends": "a service's machines are called 'servers'",
    "real_servers": "a service's machines are called 'servers'",
    "vip": "a service's address stands in 'listen', as in 192.0.2.10:80/tcp",
    "algorithm": "how a server is chosen is called 'scheduler'",
}


def path_text(path: Path) -> str:
    """`services.web.servers[1].weight`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{step_text(step)}" if text else step_text(step)
    return text


def step_text(key: str) -> str:
    return printable(key) if key else "''"


def model_at(path: Path) -> type[BaseModel] | None:
    """What the mapping at a place is made of."""
    match path:
        case ():
            return schema.Document
        case ("services", _):
            return schema.Service
        case ("services", _, "servers", _):
            return schema.Server
        case ("vips", _):
            return schema.VipSettings
        case ("timeouts",):
            return schema.TimeoutSettings
        case ("tunnel",):
            return schema.TunnelSettings
        case _:
            return None


def allowed(path: Path) -> str:
    """What may stand at a place, as its field says."""
    for size in range(len(path), 0, -1):
        owner, name = model_at(path[: size - 1]), path[size - 1]
        here = model_at(path[:size])
        if here is not None and name not in ("timeouts", "tunnel"):
            noun = {schema.VipSettings: "VIP", schema.Server: "server"}.get(here, "service")
            short = "ADDRESS, ADDRESS:PORT or " if here is schema.Server else ""
            return f"a {noun} is {short}a mapping of {', '.join(here.model_fields)}"
        if owner is not None and isinstance(name, str) and name in owner.model_fields:
            return owner.model_fields[name].description or ""
    return "a configuration is a mapping of " + ", ".join(schema.Document.model_fields)


def message(error: Mapping[str, Any], path: Path) -> str:
    """The sentence for one of pydantic's errors."""
    kind, given, context = error["type"], error["input"], error.get("ctx", {})
    rules = f"; {told}" if (told := allowed(path)) else ""
    match kind:
        case "value_error":
            return str(context["error"])
        case "missing":
            return f"is missing{rules}"
        case "extra_forbidden":
            return unknown_key(path)
        case "greater_than_equal":
            return f"{shown(given)} is below {context['ge']}{rules}"
        case "less_than_equal":
            return f"{shown(given)} is above {context['le']}{rules}"
        case "enum":
            return f"{shown(given)} is not possible{did_you_mean(given, _CHOICES.get(path[-1], []))}{rules}"
        case "too_short":
            return f"is an empty list{rules}"
        case "too_long":
            return f"has {context['actual_length']} entries, {context['max_length']} are possible{rules}"
        case _ if kind in _EXPECTED:
            return f"{shown(given)} where {_EXPECTED[kind]} is expected{quote_hint(given)}{rules}"
        case _:
            return f"{shown(given)}: {error['msg']}{rules}"


def unknown_key(path: Path) -> str:
    model, key = model_at(path[:-1]), path[-1]
    known = list(model.model_fields) if model is not None else []
    near = did_you_mean(key, known)
    if not near and isinstance(key, str) and key in _LEGACY:
        return f"an unknown key; {_LEGACY[key]}"
    return f"an unknown key{near}; the keys here are {', '.join(known)}"
