"""Sphinx configuration. `make docs` builds the pages into docs/_build/html, without a network."""

from __future__ import annotations

import importlib
import sys
from importlib.metadata import version as version_of
from pathlib import Path

from numpydoc.xref import DEFAULT_LINKS

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "imgpipe"
author = "the imgpipe developers"
copyright = "the imgpipe developers"  # noqa: A001 - the name that Sphinx asks for
version = release = version_of("imgpipe")

extensions = [
    "filterpages",
    "myst_nb",
    "names",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_design",
]
exclude_patterns = ["_build", "_ext"]
html_theme = "pydata_sphinx_theme"
html_title = "imgpipe"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_favicon = "_static/logo.svg"
html_theme_options = {
    "logo": {
        "text": "imgpipe",
        "image_light": "_static/logo.svg",
        "image_dark": "_static/logo.svg",
    },
    "header_links_before_dropdown": 6,
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "secondary_sidebar_items": {"**": ["page-toc"], "index": []},
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_copy_source = False
html_show_sourcelink = False

toc_object_entries_show_parents = "hide"
nitpicky = True
nitpick_ignore = [
    ("py:class", "collections.abc.Callable"),  # in the value of a type alias
    # modules for those who change imgpipe, which docstrings of public modules name
    ("py:obj", "imgpipe.accelerators"),
    ("py:obj", "imgpipe.observers"),
    ("py:obj", "imgpipe.registry"),
]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4
nb_execution_mode = "off"  # the tests execute the notebooks
suppress_warnings = ["myst.domains"]
default_role = "name"  # docs/_ext/names.py
numpydoc_show_class_members = False
numpydoc_xref_param_type = True
numpydoc_xref_ignore = "all"  # all but these
numpydoc_xref_aliases = {name: name for name in DEFAULT_LINKS}  # no links to other projects
for module in ("imgpipe.errors", "imgpipe", "imgpipe.events", "imgpipe.metadata"):
    for name in importlib.import_module(module).__all__:
        if name[0].isupper():
            numpydoc_xref_aliases.setdefault(name, f"{module}.{name}")
autodoc_typehints = "none"
