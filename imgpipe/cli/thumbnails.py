"""The command ``thumbnail``, whose outputs may have several sizes and formats."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from imgpipe.cli.commands import FilterCommand
from imgpipe.cli.filteroptions import FilterOption
from imgpipe.cli.pages import write_examples
from imgpipe.cli.saving import Saving
from imgpipe.cli.scope import STANDARD, is_batch
from imgpipe.cli.valuetypes import MemberName
from imgpipe.errors import UsageError
from imgpipe.registry import FORMATS, format_name

if TYPE_CHECKING:
    from imgpipe.chains.chain import Chain
    from imgpipe.cli.batchruns import Work
    from imgpipe.formats.declaration import Format

__all__ = ["ThumbnailCommand"]


class _Formats(MemberName):
    """Names of formats, separated by commas."""

    name = "name,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the names, separated by commas."""
        convert = super().convert
        return ",".join(convert(one.strip(), param, ctx) for one in str(value).split(","))


class _Sizes(click.ParamType):  # type: ignore[type-arg] # it takes none at run time before 8.4
    """Sizes of thumbnails, separated by commas."""

    name = "size,..."

    def __init__(self, one: click.ParamType) -> None:  # type: ignore[type-arg]
        self._one = one

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> list[str]:
        """Return the sizes."""
        texts = value if isinstance(value, list) else str(value).split(",")
        made = [self._one.convert(text.strip(), param, ctx) for text in texts]
        return list(dict.fromkeys(made))


class _SavingAll(Saving):
    """The options of several formats."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(STANDARD)
        self._names = names

    @property
    def _formats(self) -> list[Format]:
        from imgpipe.formats import formatchoice  # noqa: PLC0415 - takes NumPy along

        return [formatchoice.format_called(name) for name in self._names]

    def explain(self, option_name: str) -> None:
        """Say that no format has such an option, if other formats have it."""
        key = option_name.lstrip("-").replace("-", "_")
        if Saving(None).has(key):
            names = ", ".join(one.name for one in self._formats)
            raise UsageError(f"none of {names} has an option {key!r}")

    def _parsed(self, key: str, text: str) -> Any:
        for one in self._formats:
            if any(each.name == key for each in one.options):
                return one.option(key, one.name).parse(text, one.name)
        return text  # the run will refuse it


class ThumbnailCommand(FilterCommand):
    """The command of the filter ``thumbnail``, which also makes several outputs."""

    def __init__(self, name: str, summary: str) -> None:
        super().__init__(name, summary)
        for option in self.params:
            if option.name == "format":
                option.type = _Formats(FORMATS)
                option.help = (
                    "Formats of the outputs, such as avif,webp,jpg. [default: by the suffix; in "
                    "a folder, the format of the input]"
                )
            if option.name == "output":
                option.help = (
                    "Output file, or folder, which is created if it is missing. In a folder the "
                    "names are STEM.EXT, or STEM-SIZE.EXT for several sizes."
                )

    @property
    def own_options(self) -> list[FilterOption]:
        """The options of the filter, of which the size may be several."""
        made = super().own_options
        for option in made:
            if option.parameter == "size" and not isinstance(option.type, _Sizes):
                option.type = _Sizes(option.type)
                option.help = (
                    "Longest side in pixels, such as 800; or 800x600, which the image fits into. "
                    "Several sizes are separated by commas: 400,800,1600."
                )
        return made

    def saving_of(self, found: dict[str, Any]) -> Saving:
        """Return the options of all formats that are made."""
        names = [format_name(each.strip()) for each in (found.get("format") or "").split(",")]
        return _SavingAll(names) if len(names) > 1 else super().saving_of(found)

    def makes_many(self, ctx: click.Context) -> bool:
        """Return whether there are several outputs, or a folder."""
        params = ctx.params
        return len(params["size"]) > 1 or "," in (params["format"] or "") or is_batch(params)

    def chain(self, ctx: click.Context) -> Chain:
        """Return the filter for the only size."""
        (chain,) = self._chains(ctx).values()
        return chain

    def work(self, ctx: click.Context) -> Work:
        """Return the filters for all sizes, and all formats."""
        from imgpipe.cli.batchruns import Work  # noqa: PLC0415 - not for one image

        chains, names = self._chains(ctx), ctx.params["format"]
        save = self.saving.given(ctx) if self.saving is not None else {}
        formats = tuple(dict.fromkeys(names.split(","))) if names else ()
        return Work(tuple(chains.values()), save, formats, tuple(chains))

    def _chains(self, ctx: click.Context) -> dict[str, Chain]:
        """Return the filter for each size."""
        values = {o.parameter: ctx.params.pop(str(o.name)) for o in self.own_options}
        return {size: self.factory(**values | {"size": size}) for size in values["size"]}

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write examples."""
        write_examples(
            formatter,
            "imgpipe thumbnail photo.png -o out.png --size 800",
            "imgpipe thumbnail photos/ -o web/ --size 400,800,1600 --format avif,webp,jpg",
        )
