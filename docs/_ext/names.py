"""Names in docstrings: those between single backticks are links, if they are in the reference.

Most names in docstrings are parameters, and have no page of their own; they are shown as code. A
name with a dot that begins with ``imgpipe.`` must be in the reference: if it is not, the build
fails.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.domains.python import PyXRefRole

_LINKED = re.compile(r"imgpipe\.[\w.]+|[A-Z]\w+(\.\w+)?|run")
"""Names that may be links. Words in small letters are parameters, even if they name a function."""


class _Name(PyXRefRole):
    """The role of text between single backticks."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        if not _LINKED.fullmatch(self.text):
            return [nodes.literal(self.rawtext, self.text, classes=["name"])], []
        self.name = "py:obj"
        made, messages = super().run()
        for node in made:
            if isinstance(node, nodes.Element):
                node["unsure"] = not self.text.startswith("imgpipe.")
        return made, messages


def _as_code(
    app: Sphinx, env: Any, node: nodes.Element, contnode: nodes.TextElement
) -> nodes.TextElement | None:
    """Show a name that is not in the reference as code."""
    return nodes.literal("", contnode.astext()) if node.get("unsure") else None


def _is_left_out(app: Sphinx, kind: str, name: str, member: Any, *_: Any) -> bool | None:
    """Leave out the fields of named tuples: the docstring of the class describes them."""
    return True if (getattr(member, "__doc__", "") or "").startswith("Alias for field") else None


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the role, and what autodoc leaves out."""
    app.setup_extension("sphinx.ext.autodoc")
    app.add_role("name", _Name())
    app.connect("missing-reference", _as_code)
    app.connect("autodoc-skip-member", _is_left_out)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
