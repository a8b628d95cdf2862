#!/usr/bin/env python3
"""Prints the OpenAPI document of the control plane, without a server, for the web app's types.

In: the routes of the portal. Out: JSON on stdout: every path, operation and schema, but no prose,
so that a better sentence changes no type, and no failures, which all have the shape `Problem`.
Neighbours: make/web.mk (`make web-types`), tests/api/test_web_types.py.
"""

import json
import sys
from types import SimpleNamespace
from typing import Any

from umbel.kit.config import Settings
from umbel.portal import app as portal

PROSE = frozenset({"description", "summary", "title", "example", "examples"})


def document() -> dict[str, Any]:
    """The whole document, as a running `umbel serve` has it at /openapi.json."""
    system: Any = SimpleNamespace(journal=None, settings=Settings(), clock=None)
    described: dict[str, Any] = portal.create_app(system).openapi()
    return described


def text() -> str:
    """What is printed."""
    found = document()
    for item in found["paths"].values():
        for operation in item.values():
            responses = operation["responses"].items()
            operation["responses"] = {code: one for code, one in responses if code < "400"}
    return json.dumps(_without_prose(found), indent=1) + "\n"


def _without_prose(value: Any, *, names: bool = False) -> Any:
    """`value` without descriptions; `names` where the keys are names of properties or schemas."""
    if isinstance(value, list):
        return [_without_prose(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _without_prose(one, names=not names and key in {"properties", "schemas"})
        for key, one in value.items()
        if names or key not in PROSE
    }


if __name__ == "__main__":
    sys.stdout.write(text())
