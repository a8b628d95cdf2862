"""What pydantic finds wrong, in lines for people."""

from pydantic import ValidationError


def describe_errors(title: str, error: ValidationError) -> list[str]:
    """What is wrong with the titled thing, a line for each field."""
    lines = []
    for found in error.errors(include_url=False):
        where = ".".join(str(part) for part in found["loc"])
        lines.append(f"{title}: {where + ': ' if where else ''}{found['msg']}")
    return lines
