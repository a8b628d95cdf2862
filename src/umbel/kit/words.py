"""Reads the words of a command that typer describes, where they are plain: `--name value` each.

In: the command's function; then words. Out: its arguments. This is for words of programs. People's
are for typer, which has Pydantic build a validator for each option that it reads.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Any, get_args, get_origin

import typer
from typer.models import OptionInfo, ParamMeta
from typer.utils import get_params_from_function


@dataclass(frozen=True, kw_only=True)
class _Option:
    """`convert` makes a value of a word; `is_list`: there may be several."""

    parameter: str
    info: OptionInfo
    convert: Callable[[str], Any]
    is_list: bool


class PlainWords:
    """The options of one command."""

    def __init__(self, command: Callable[..., Any]) -> None:
        self._command = command
        self._options = dict(map(_describe, get_params_from_function(command).values()))

    def run(self, words: Sequence[str], program: str) -> None:
        """Run the command with these words of `program`; typer says what is wrong with them."""
        try:
            arguments = self.read(words)
        except ValueError:
            app = typer.Typer(add_completion=False)
            app.command()(self._command)
            app(list(words), prog_name=program)
        else:
            self._command(**arguments)

    def read(self, words: Sequence[str]) -> dict[str, Any]:
        """The arguments, but for those that have their default. Raises ValueError for words that
        are wrong, and for those that only typer reads."""
        arguments: dict[str, Any] = {}
        for name, word in zip(words[::2], words[1::2], strict=True):
            if name not in self._options:
                raise ValueError(name)
            option = self._options[name]
            value = _convert(option, word)
            if option.is_list:
                arguments.setdefault(option.parameter, []).append(value)
            else:
                arguments[option.parameter] = value
        for option in self._options.values():
            if option.parameter not in arguments:
                arguments |= _unsaid(option)
        return arguments


def _describe(parameter: ParamMeta) -> tuple[str, _Option]:
    kind, info = parameter.annotation, parameter.default
    if get_origin(kind) is UnionType:
        [kind] = set(get_args(kind)) - {NoneType}
    is_list = get_origin(kind) is list
    [convert] = get_args(kind) if is_list else [kind]
    [name] = info.param_decls or ["--" + parameter.name.replace("_", "-")]
    return name, _Option(parameter=parameter.name, info=info, convert=convert, is_list=is_list)


def _convert(option: _Option, word: str) -> Any:
    value, info = option.convert(word), option.info
    is_below = info.min is not None and value < info.min
    if is_below or (info.max is not None and value > info.max):
        raise ValueError(word)
    return value


def _unsaid(option: _Option) -> dict[str, Any]:
    """What the environment says of an option."""
    variable = option.info.envvar
    word = os.environ.get(variable, "") if isinstance(variable, str) else ""
    if word:
        return {option.parameter: _convert(option, word)}
    if option.info.default is ...:
        raise ValueError(option.parameter)
    return {}
