"""Sphinx configuration of the documentation; build it with scripts/docs.sh."""

import os
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

import fusejax  # noqa: E402

project = "fusejax"
author = "The fusejax authors"
release = version = fusejax.__version__
extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "myst_nb", "sphinx_copybutton"]
exclude_patterns = ["_build", "make"]
templates_path: list[str] = []

html_theme = "sphinx_book_theme"
html_title = "fusejax"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_theme_options = {
    "show_toc_level": 2,
    "home_page_in_toc": True,
    "show_navbar_depth": 1,
    "use_download_button": False,
}
html_copy_source = False
html_show_sourcelink = False

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # docs/make/notebooks.py has executed them
nb_render_image_options = {"width": "100%"}
# Headings of cards and tables differ in level on purpose; `json`-like blocks need no colors.
suppress_warnings = ["misc.highlighting_failure", "myst.header", "toc.empty_glob"]

default_role = "code"
smartquotes = False  # "--ir" is no dash
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
napoleon_use_rtype = False
napoleon_use_ivar = True
napoleon_attr_annotations = False  # shapes of arrays are no markup
python_use_unqualified_type_names = True
maximum_signature_line_length = 88

_SPECIAL = re.compile(r"(``[^`]*``|`[^`]*`)|([|*_\\])")


def escape(app, what, name, obj, options, lines):
    """Docstrings are plain text with `code`; |F - I| and *args are no markup."""
    example = False
    for n, line in enumerate(lines):
        example = line.lstrip().startswith((">>>", "...")) or (example and bool(line.strip()))
        if not example and not re.match(r"\s*\*{1,2}\w+:", line):
            lines[n] = _SPECIAL.sub(lambda m: m[1] or "\\" + m[2], line)


def setup(app):
    """Writes the generated pages, and registers `escape` before napoleon.

    Another process writes them, since this one forks (`-j`), which a process that has computed must
    not. Programs that two notebooks or runs of a notebook need are compiled once.
    """
    settings = {"JAX_PLATFORMS": "cpu", "JAX_COMPILATION_CACHE_DIR": str(HERE / "_build" / "programs")}
    paths = os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, str(HERE / "make" / "pages.py")]
    subprocess.run(command, check=True, env=settings | os.environ | {"PYTHONPATH": paths})
    app.connect("autodoc-process-docstring", escape, priority=100)
