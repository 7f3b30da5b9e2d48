"""The package's public promises: names, signatures, docstrings, and a cheap import."""

import importlib
import inspect
import re
import subprocess
import sys

import pytest

import fusejax

ROOMS = ("data", "inference", "losses", "metrics", "models", "scoring", "studies", "training")
# The rooms whose functions are used one by one, and whose signatures therefore follow every rule.
STRICT = ("losses", "metrics")


@pytest.mark.parametrize("room", ROOMS)
def test_every_public_name_is_reachable_from_the_package(room):
    module = getattr(fusejax, room)
    assert module is importlib.import_module(f"fusejax.{room}")
    assert len(set(module.__all__)) == len(module.__all__)
    for name in module.__all__:
        assert getattr(module, name) is not None


def test_importing_the_package_loads_no_jax():
    code = "import sys, fusejax; print('jax' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="has no attribute 'fus'"):
        _ = fusejax.fus


def functions(rooms):
    """The public functions of some rooms, and methods of their classes."""
    for room in rooms:
        module = getattr(fusejax, room)
        for name in module.__all__:
            public = getattr(module, name)
            if inspect.isfunction(public):
                yield pytest.param(public, id=f"{room}.{name}")
            elif inspect.isclass(public) and room in STRICT and not issubclass(public, Exception):
                for method, value in vars(public).items():
                    value = getattr(value, "__func__", value)  # noqa: PLW2901 - of a classmethod
                    if inspect.isfunction(value) and not method.startswith("_") and value.__qualname__.startswith(name):
                        yield pytest.param(value, id=f"{room}.{name}.{method}")


def parameters(function):
    return [p for p in inspect.signature(function).parameters.values() if p.name not in ("self", "cls")]


@pytest.mark.parametrize("function", list(functions(ROOMS)))
def test_public_functions_are_annotated_and_documented(function):
    assert inspect.signature(function).return_annotation is not inspect.Signature.empty
    for parameter in parameters(function):
        assert parameter.annotation is not inspect.Parameter.empty, parameter.name
    assert function.__doc__


@pytest.mark.parametrize("function", list(functions(STRICT)))
def test_options_are_keyword_only_and_the_key_comes_first(function):
    """Only images that a metric does not need may be omitted positionally."""
    given = parameters(function)
    for parameter in given:
        if parameter.default is not inspect.Parameter.empty and parameter.default is not None:
            assert parameter.kind is inspect.Parameter.KEYWORD_ONLY, parameter.name
    names = [p.name for p in given]
    assert "key" not in names or names[0] == "key"


def section(doc, title):
    """Names at the first indent of a section of a docstring in Google form."""
    found = re.search(
        rf"^    {title}:\n((?:        .*\n|\n)*)", inspect.cleandoc(doc).replace("\n", "\n    ") + "\n", re.M
    )
    return re.findall(r"^ {8}\*{0,2}(\w+):", found[1], re.M) if found else None


@pytest.mark.parametrize("function", list(functions(STRICT)))
def test_docstrings_are_in_google_form(function):
    names = [p.name for p in parameters(function)]
    if not names:  # a property-like method, whose summary says what it returns
        return
    assert section(function.__doc__, "Args") == names
    if inspect.signature(function).return_annotation not in (None, type(None)):
        assert "\n    Returns:\n" in "    " + inspect.cleandoc(function.__doc__).replace("\n", "\n    ")
    if re.search(r"^\s*raise ", inspect.getsource(inspect.unwrap(function)), re.M):
        assert section(function.__doc__, "Raises")
