# SPDX-License-Identifier: GPL-3.0-or-later
"""One declaration of an option serves the command line, the Blender property and the request file.

A stage's options are the fields of a frozen dataclass, each made by `option()`. `specs()` reads
them back; `add_arguments()` makes argparse flags, `from_mapping()` checks a request's values.
Types: bool, int, float, str.
"""

from __future__ import annotations

import argparse
import dataclasses
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from .errors import UsageError

T = TypeVar("T")


@dataclass(frozen=True)
class Choice:
    """One value of an option that offers a few: `value` is stored, `help` is the tooltip.

    `label` is what Blender shows; "" for the capitalized value. `flags` choose it without naming
    the option.
    """

    value: str
    help: str
    label: str = ""
    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class OptionSpec:
    """What one option is; `label` and `subtype` are Blender's name and property subtype for it.

    group    a heading, under which options that follow each other with the same one are drawn
    needs    the option without which this one means nothing; "" when there is none
    once     an order for one run, not a setting: no property, and outputs are not compared by it
    default_flags  spellings of a switch that say what holds anyway
    prominent      stands beside the stage's button, not among its other options
    variable       an environment variable that sets it where nothing else does; "" for none
    """

    name: str
    type: type
    default: Any
    help: str
    label: str
    flags: tuple[str, ...]
    minimum: float | None
    maximum: float | None
    choices: tuple[Choice, ...]
    unit: str
    subtype: str
    advanced: bool
    group: str
    needs: str
    once: bool
    check: Callable[[Any], object] | None
    default_flags: tuple[str, ...]
    prominent: bool
    variable: str


def option(
    default: Any,
    help: str,
    *,
    label: str,
    flags: tuple[str, ...],
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[Choice, ...] = (),
    unit: str = "",
    subtype: str = "NONE",
    advanced: bool = False,
    group: str = "",
    needs: str = "",
    once: bool = False,
    check: Callable[[Any], object] | None = None,
    default_flags: tuple[str, ...] = (),
    prominent: bool = False,
    variable: str = "",
) -> Any:
    """A dataclass field that knows how to show itself. `flags` are its command-line spellings.

    `check` is called with a value that is not the default and raises UsageError on a bad one.
    """
    metadata = {
        "help": help,
        "label": label,
        "flags": flags,
        "minimum": minimum,
        "maximum": maximum,
        "choices": choices,
        "unit": unit,
        "subtype": subtype,
        "advanced": advanced,
        "group": group,
        "needs": needs,
        "once": once,
        "check": check,
        "default_flags": default_flags,
        "prominent": prominent,
        "variable": variable,
    }
    return dataclasses.field(default=default, metadata=metadata)


def specs(options_class: type) -> tuple[OptionSpec, ...]:
    """The options of a dataclass, in their declared order."""
    types = typing.get_type_hints(options_class)
    return tuple(
        OptionSpec(name=field.name, type=types[field.name], default=field.default, **field.metadata)
        for field in dataclasses.fields(options_class)
    )


def setting_specs(options_class: type) -> tuple[OptionSpec, ...]:
    """The options that stay from run to run."""
    return tuple(spec for spec in specs(options_class) if not spec.once)


def lasting(options: Any) -> dict[str, Any]:
    """The values of the options that stay from run to run."""
    return {spec.name: getattr(options, spec.name) for spec in setting_specs(type(options))}


def orders(options: Any) -> bool:
    """Whether the options hold an order for this one run."""
    once = (spec for spec in specs(type(options)) if spec.once)
    return any(getattr(options, spec.name) != spec.default for spec in once)


def add_arguments(
    parser: argparse._ActionsContainer, options_class: type, prefix: str = ""
) -> None:
    """Adds one argument per option, stored under `prefix` and the option's name. Absent flags are
    left out of the parsed namespace."""
    for spec in specs(options_class):
        _add_argument(parser, spec, prefix + spec.name)


def _add_argument(parser: argparse._ActionsContainer, spec: OptionSpec, dest: str) -> None:
    common: dict[str, Any] = {"dest": dest, "default": argparse.SUPPRESS, "help": spec.help}
    if spec.type is bool:
        if spec.default:
            common["help"] = f"Do not {spec.help[0].lower()}{spec.help[1:]}"
        action = "store_false" if spec.default else "store_true"
        parser.add_argument(*spec.flags, action=action, **common)
        if spec.default_flags:
            anyway = "store_true" if spec.default else "store_false"
            same = common | {"help": f"{spec.help} (default)"}
            parser.add_argument(*spec.default_flags, action=anyway, **same)
        return
    common["help"] = _flag_help(spec)
    common["type"] = spec.type
    if spec.choices:
        common["choices"] = [choice.value for choice in spec.choices]
    else:
        common["metavar"] = spec.unit.upper() or spec.type.__name__.upper()
    parser.add_argument(*spec.flags, **common)
    for choice in spec.choices:
        if choice.flags:
            parser.add_argument(
                *choice.flags,
                dest=dest,
                action="store_const",
                const=choice.value,
                default=argparse.SUPPRESS,
                help=choice.help,
            )


def _flag_help(spec: OptionSpec) -> str:
    """The help of a flag; argparse fills in what follows a single percent sign."""
    choices = "; ".join(f"{choice.value}: {choice.help}" for choice in spec.choices)
    text = f"{spec.help}. {choices}" if choices else spec.help
    whole = f"{text} (default: {spec.default})" if spec.default else text
    return whole.replace("%", "%%")


def from_environment(options_class: type, variables: Mapping[str, str]) -> dict[str, Any]:
    """The options that environment variables set, as plain values. Raises UsageError."""
    found: dict[str, Any] = {}
    for spec in specs(options_class):
        text = variables.get(spec.variable, "") if spec.variable else ""
        if not text:
            continue
        try:
            found[spec.name] = _checked(spec, spec.type(text))
        except ValueError as error:
            raise UsageError(f"{spec.variable}: '{text}' is not a {spec.type.__name__}.") from error
    return found


def from_mapping(options_class: type[T], values: Mapping[str, Any]) -> T:
    """Builds the options from plain values, checked. Raises UsageError on an unknown or bad one."""
    known = {spec.name: spec for spec in specs(options_class)}
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise UsageError(f"Unknown option: {', '.join(unknown)}.")
    return options_class(**{name: _checked(known[name], value) for name, value in values.items()})


def _checked(spec: OptionSpec, value: Any) -> Any:
    if spec.type is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not spec.type:
        raise UsageError(f"{spec.label}: {value!r} is not a {spec.type.__name__}.")
    if spec.choices and value not in {choice.value for choice in spec.choices}:
        raise UsageError(f"{spec.label}: {value!r} is none of the choices.")
    if isinstance(value, int | float):
        _check_range(spec, value)
    if spec.check is not None and value != spec.default:
        spec.check(value)
    return value


def _check_range(spec: OptionSpec, value: float) -> None:
    if spec.minimum is not None and value < spec.minimum:
        raise UsageError(f"{spec.label}: {value} is under {spec.minimum:g}.")
    if spec.maximum is not None and value > spec.maximum:
        raise UsageError(f"{spec.label}: {value} is over {spec.maximum:g}.")
