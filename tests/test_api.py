"""The package's public promises: names, signatures, docstrings, and a cheap import."""

import dataclasses
import importlib
import inspect
import re
import subprocess
import sys

import flax.linen as nn
import jax
import numpy as np
import pytest

import fusejax

ROOMS = fusejax._SUBPACKAGES
# What users have called by position since before this rule.
BY_POSITION = {"inference.Fuser.load": ("weights",), "inference.load": ("weights",), "io.find_pairs": ("vi",)}
# Where a loss comes from: a paper by its name, number or year, the library itself, or another loss,
# which says where.
PAPERS = r"AngularFuse|CrossFuse|FusionNet|CDDFuse|LUT-Fuse|TC-MoA|arXiv|\b(19|20)\d\d\b"
SOURCE = rf"{PAPERS}|\b[Oo]urs?\b|`\w+_loss`|convention `"


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


def publics(kinds):
    """Names and objects that the rooms export."""
    for room in ROOMS:
        module = getattr(fusejax, room)
        for name in module.__all__:
            if kinds(public := getattr(module, name)):
                yield f"{room}.{name}", public


def of_ours(public):
    """Whether this is a class of the library that is no exception."""
    return inspect.isclass(public) and not issubclass(public, Exception) and public.__module__.startswith("fusejax")


def methods(name, public):
    """Public methods and properties that a class defines itself, and whose meaning is its own."""
    foreign = [vars(base) for base in public.__mro__[1:] if not base.__module__.startswith("fusejax")]
    for method, value in vars(public).items():
        value = getattr(value, "__func__", value)  # noqa: PLW2901 - of a classmethod
        value = value.fget if isinstance(value, property) else value  # noqa: PLW2901
        own = inspect.isfunction(value) and value.__qualname__.startswith(f"{public.__name__}.")
        if own and not method.startswith("_") and not any(method in base for base in foreign):
            yield f"{name}.{method}", value


def functions():
    """The public functions, also compiled ones, and the methods of public classes."""
    for name, public in publics(lambda x: inspect.isfunction(inspect.unwrap(x))):
        yield pytest.param(name, public, id=name)
    for name, public in publics(of_ours):
        for method, value in methods(name, public):
            yield pytest.param(method, value, id=method)


FUNCTIONS = list(functions())
CLASSES = [pytest.param(public, id=name) for name, public in publics(of_ours)]


def parameters(function):
    return [p for p in inspect.signature(function).parameters.values() if p.name not in ("self", "cls")]


def document(public):
    """The docstring as its reader sees it, with a new line at its end."""
    return inspect.cleandoc(public.__doc__ or "") + "\n"


def section(public, title):
    """Names at the first indent of a section of a docstring in Google form."""
    found = re.search(rf"^{title}:\n((?:    .*\n|\n)*)", document(public), re.M)
    return re.findall(r"^ {4}\*{0,2}(\w+):", found[1], re.M) if found else None


def test_there_is_something_to_check():
    assert len(FUNCTIONS) > 120
    assert len(CLASSES) > 40


@pytest.mark.parametrize(("name", "function"), FUNCTIONS)
def test_public_functions_are_annotated_with_the_axes_of_arrays(name, function):
    assert inspect.signature(function).return_annotation is not inspect.Signature.empty
    for parameter in parameters(function):
        assert parameter.annotation is not inspect.Parameter.empty, parameter.name
        bare = parameter.annotation in (np.ndarray, jax.Array)
        assert not bare or parameter.name == "key", f"{name}: {parameter.name} is an array of any shape and type"


@pytest.mark.parametrize(("name", "function"), FUNCTIONS)
def test_options_are_keyword_only_and_the_key_comes_first(name, function):
    """Only images and masks that a metric does not need may be omitted positionally."""
    given, room = parameters(function), name.partition(".")[0]
    for parameter in given:
        optional = parameter.default is not inspect.Parameter.empty
        left_out = room in ("losses", "metrics") and parameter.default is None
        if optional and not left_out and parameter.name not in BY_POSITION.get(name, ()):
            assert parameter.kind is inspect.Parameter.KEYWORD_ONLY, parameter.name
    names = [p.name for p in given]
    if room in ("losses", "metrics"):
        assert "key" not in names or names[0] == "key"


@pytest.mark.parametrize(("name", "function"), FUNCTIONS)
def test_docstrings_are_in_google_form(name, function):
    assert function.__doc__, name
    if re.search(r"^\s*raise ", inspect.getsource(inspect.unwrap(function)), re.M):
        assert section(function, "Raises")
    names = [p.name for p in parameters(function)]
    if not names:  # a property-like method, whose summary says what it returns
        return
    assert section(function, "Args") == names
    if inspect.signature(function).return_annotation not in (None, type(None)):
        assert re.search(r"^(Returns|Yields):\n    \S", document(function), re.M)


@pytest.mark.parametrize("public", CLASSES)
def test_classes_document_what_they_are_made_of(public):
    assert public.__doc__
    if dataclasses.is_dataclass(public):
        fields = [f for f in dataclasses.fields(public) if f.init and f.name not in ("parent", "name")]
        named = [f.name for f in fields] if not issubclass(public, nn.Module) else ["config"]
    else:
        made = vars(public).get("__init__")
        named = [p.name for p in parameters(made)] if inspect.isfunction(made) and not is_protocol(public) else []
        for parameter in parameters(made) if named else ():
            optional = parameter.default is not inspect.Parameter.empty
            assert not optional or parameter.kind is inspect.Parameter.KEYWORD_ONLY, parameter.name
    told = [n for base in public.__mro__ for part in ("Attributes", "Args") for n in section(base, part) or ()]
    told += section(public.__init__, "Args") or ()
    assert [name for name in named if name not in told] == []


def is_protocol(public):
    return getattr(public, "_is_protocol", False)


def test_losses_name_their_source_and_their_range():
    losses = [(n, f) for n, f in publics(inspect.isfunction) if n.startswith("losses.") and n.endswith("_loss")]
    assert len(losses) > 15
    for name, loss in losses:
        assert re.search(SOURCE, loss.__doc__), name
        returned = document(loss).partition("\nReturns:\n")[2]
        assert re.search(r"\[b\]|per image|for every image", returned), name
