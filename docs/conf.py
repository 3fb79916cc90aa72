"""Sphinx configuration. `make docs` builds the pages into docs/_build/html, without a network."""

from __future__ import annotations

import sys
from importlib.metadata import version as version_of
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "imgpipe"
author = "the imgpipe developers"
copyright = "the imgpipe developers"  # noqa: A001 - the name that Sphinx asks for
version = release = version_of("imgpipe")

extensions = [
    "filterpages",
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_design",
]
exclude_patterns = ["_build", "_ext"]
html_theme = "pydata_sphinx_theme"
html_title = "imgpipe"
html_theme_options = {
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_copy_source = False
html_show_sourcelink = False

nitpicky = True
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4
nb_execution_mode = "off"  # the tests execute the notebooks
suppress_warnings = ["myst.domains"]
numpydoc_show_class_members = False
autodoc_typehints = "none"
