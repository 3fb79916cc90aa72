"""Options of the output format on the command line: ``--compression 3`` and ``-O compression=3``.

The suffix of the output decides which options there are, and the module of its format is loaded for
them. Help without an output shows the options of all formats: those of imgpipe come from the table
of the registry, so that no format is loaded.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, BinaryIO

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

from imgpipe.cli.batchoptions import batch_options
from imgpipe.cli.filteroptions import names_of, option_names
from imgpipe.cli.options import common_options
from imgpipe.cli.scope import STANDARD, seems_batch
from imgpipe.cli.sections import help_all
from imgpipe.cli.valuetypes import Value
from imgpipe.errors import OutputError, UsageError
from imgpipe.registry import FORMATS, OptionHelp
from imgpipe.streams import is_filled_in

if TYPE_CHECKING:
    from imgpipe.formats.declaration import Format
    from imgpipe.parameters import Parameter

__all__ = [
    "SAVE",
    "SaveOption",
    "Saving",
    "help_of",
    "image_options",
    "standard_input",
    "standard_output",
]

SAVE = "save"
"""Name of the option that gives any option of the output format."""


class SaveOption(click.Option):
    """An option of the output format."""

    key = ""


class Saving:
    """The options of the output format, for one command.

    Attributes
    ----------
    output : str or None
        The output, if it is known.
    format : str or None
        The name of its format, if it is given.
    mixed : bool
        Whether there may be outputs of several formats, which are not known yet. Options of any
        format may be given then, and their values stay text.
    """

    def __init__(
        self, output: str | None, format: str | None = None, *, mixed: bool = False
    ) -> None:
        self.output, self.format, self.mixed = output or (format and STANDARD), format, mixed
        self._refusal: UsageError | None = None  # of the format of the output

    @cached_property
    def _formats(self) -> Sequence[Format]:
        from imgpipe.formats import formatchoice  # noqa: PLC0415 - takes NumPy along

        if self.output is None:
            return list(formatchoice.usable([]).values())
        try:
            if self.format is not None:
                return [formatchoice.format_called(self.format)]
            if self.output == STANDARD:
                return [formatchoice.loaded(formatchoice.FOR_DEVICES)]
            return [formatchoice.format_for(self.output)]
        except UsageError as error:
            self._refusal = error
            return []

    def options(self, taken: Iterable[click.Parameter]) -> list[SaveOption]:
        """Return an option for each of the format's own whose name is not taken."""
        used = {name for other in taken for name in names_of(other)} | {"--help", "-h"}
        made = self._listed() if self.output is None else self._made()
        return [each for each in made if not used & {*each.opts, *each.secondary_opts}]

    def table(self, taken: Iterable[click.Parameter]) -> tuple[str, list[tuple[str, str]]]:
        """Return a title and a row for each format: its name, and its options for help.

        An option whose name is taken has its other spelling, ``-O name=VALUE``.
        """
        used = {name for other in taken for name in names_of(other)}
        rows: dict[str, list[str]] = {}  # of formats with the same options
        for owner, options in _all_help():
            words = ", ".join(_spelled(each, used) for each in options)
            if words:
                rows.setdefault(words, []).append(owner)
        title = "Options of the output format (imgpipe formats explains them)"
        return title, [(", ".join(owners), words) for words, owners in rows.items()]

    @property
    def title(self) -> str:
        """The title for the options of the format of the output."""
        return f"Options of {self._formats[0].name}" if self._formats else ""

    def has(self, key: str) -> bool:
        """Return whether there is such an option."""
        return key in self._by_key()

    def words(self, key: str) -> tuple[str, ...]:
        """Return the values that an option takes, where they are few."""
        return tuple(word for _, each in self._by_key().get(key, ()) for word in each.words)

    def names(self) -> list[str]:
        """Return the names of all options."""
        return list(self._by_key())

    def given(self, ctx: click.Context) -> dict[str, Any]:
        """Take the values that were given from the parameters of the command.

        Raises
        ------
        UsageError
            If the format has no such option, or one is given twice.
        """
        found: dict[str, Any] = {}
        for option in (
            each for each in ctx.command.get_params(ctx) if isinstance(each, SaveOption)
        ):
            name = str(option.name)
            value, source = ctx.params.pop(name), ctx.get_parameter_source(name)
            if source is ParameterSource.COMMANDLINE:
                found[option.key] = value
        for key, text in ctx.params.pop(SAVE):
            if key in found:
                raise UsageError(f"{key} is given twice; leave one out")
            found[key] = self._parsed(key, text)
        return found

    def explain(self, option_name: str) -> None:
        """Say why there is no such option, if it is one of another format.

        Raises
        ------
        UsageError
            If that is so.
        """
        formats = self._formats
        if self._refusal is not None:
            raise self._refusal
        key = option_name.lstrip("-").replace("-", "_")
        if self.output is not None and Saving(None).has(key):
            name = "the output" if self.output == STANDARD else self.output
            formats[0].option(key, name)

    def _parsed(self, key: str, text: str) -> Any:
        if self.mixed and key not in (known := [each.key for each in self._listed()]):
            raise UsageError(f"no format has the option {key}; there are {', '.join(known)}")
        if self.output is None or not self._formats:
            return text  # the run will refuse it
        return self._formats[0].option(key, self.output).parse(text, self.output)

    def _by_key(self) -> Mapping[str, list[tuple[Format, Parameter]]]:
        found: dict[str, list[tuple[Format, Parameter]]] = {}
        for one in self._formats:
            for parameter in one.options:
                found.setdefault(parameter.name, []).append((one, parameter))
        return found

    def _made(self) -> list[SaveOption]:
        """Return the options of the format of the output, which check their values."""
        made = []
        for owners in self._by_key().values():
            _, parameter = owners[0]
            option = _option({help_of(parameter): []}, Value(parameter, str(self.output)))
            option.key = parameter.name
            option.name = f"{SAVE}.{option.key}"
            made.append(option)
        return made

    def _listed(self) -> list[SaveOption]:
        """Return the options of all formats, for help."""
        found: dict[str, dict[OptionHelp, list[str]]] = {}
        for owner, options in _all_help():
            for each in options:
                found.setdefault(each.names, {}).setdefault(each, []).append(owner)
        made = []
        for names, told in found.items():
            option = _option(told, Noun(next(iter(told)).noun))
            option.key = names.partition("/")[0].removeprefix("--").replace("-", "_")
            option.name = f"{SAVE}.{option.key}"
            made.append(option)
        return made


class Noun(click.ParamType):  # type: ignore[type-arg] # it takes none at run time before 8.4
    """The noun for values that are not checked."""

    def __init__(self, name: str) -> None:
        self.name = name


def help_of(option: Parameter) -> OptionHelp:
    """Return an option of a format as help shows it."""
    bounds = f" ({option.bounds})" if option.bounds else ""
    off = option.kind is bool and not option.default
    default = "" if option.default is None or off else f" [default: {option.default}]"
    noun = "" if option.kind is bool else Value(option, "").name
    return OptionHelp(option_names(option), noun, f"{option.text}{bounds}{default}")


def _all_help() -> Iterator[tuple[str, tuple[OptionHelp, ...]]]:
    """Yield each format that can be used, and its options."""
    for name, member in FORMATS.items():
        if name in FORMATS.built_in:
            yield member.name, member.options
            continue
        from imgpipe.formats import formatchoice  # noqa: PLC0415 - takes NumPy along

        with contextlib.suppress(UsageError):
            added = formatchoice.loaded(name)
            yield added.name, tuple(map(help_of, added.options))


def _spelled(option: OptionHelp, used: set[str]) -> str:
    """Return an option as it is written, with the noun for its values."""
    name, noun = option.names.partition("/")[0], option.noun.upper()
    if name not in used:
        return f"{name} {noun}".strip()
    return f"-O {name.removeprefix('--')}={noun or 'true'}"


def _option(told: dict[OptionHelp, list[str]], kind: click.ParamType[Any]) -> SaveOption:
    """Return an option with the explanations of the formats that have it, which may be one."""
    shown = next(iter(told))
    says = (f"{', '.join(owners)}: {each.text}".lstrip(": ") for each, owners in told.items())
    settings: dict[str, Any] = {"help": " ".join(says)}
    if shown.noun:
        settings["type"] = kind
    return SaveOption([shown.names], default=None, **settings)


class KeyValue(click.ParamType):  # type: ignore[type-arg] # it takes none at run time before 8.4
    """An option and its value, ``compression=3``."""

    name = "option=value"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """Return the option and the text of its value."""
        key, equals, text = str(value).partition("=")
        if not equals or not key:
            self.fail(f"{value!r} is not OPTION=VALUE, such as compression=3", param, ctx)
        return key.strip().replace("-", "_"), text

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Complete the name of an option, or a value where these are few."""
        name = ctx.params.get("format")
        saving = Saving(None if seems_batch(ctx.params) else ctx.params.get("output"), name)
        key, equals, _ = incomplete.partition("=")
        offers = [f"{each}=" for each in saving.names()]
        if equals:
            offers = [f"{key}={word}" for word in saving.words(key)]
        return [CompletionItem(each) for each in offers if each.startswith(incomplete)]


def image_options() -> list[click.Parameter]:
    """Return the options that follow the own parameters of every command that makes an image."""
    option = click.Option(
        ["-O", "--save", SAVE],
        type=KeyValue(),
        multiple=True,
        help="Option of the output format: -O compression=3 is the same as --compression 3. May be "
        "repeated.",
    )
    params = common_options()
    place = [param.name for param in params].index("jobs")
    return [*params[:place], option, *params[place:], *batch_options(), help_all()]


def standard_input(path: str) -> str | BinaryIO:
    """Return `path`, or standard input where it is ``-``."""
    return open(0, "rb", closefd=False) if path == STANDARD else path


def standard_output(path: str) -> str | BinaryIO:
    """Return `path`, or standard output where it is ``-``.

    Raises
    ------
    OutputError
        If standard output is closed.
    """
    if path == STANDARD and is_filled_in(1):
        raise OutputError("standard output: is closed; redirect it to a file, or give -o a path")
    # Not buffered: nothing may be left for the end of Python, where an error has no place.
    return open(1, "wb", buffering=0, closefd=False) if path == STANDARD else path
