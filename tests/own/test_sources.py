"""What is found under a dotted path, which options it has, and which sources are its own."""

import importlib
import linecache
import os
import sys
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Literal

import pytest

from nnexp import own
from nnexp.own.recorded import is_distrusted
from nnexp.own.sources import digest_of_content
from nnexp.readers import ConfigError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of the command with a package in it; its modules are forgotten afterwards."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("NNEXP_FOLDER", str(tmp_path))
    (tmp_path / "lab/inner").mkdir(parents=True)
    for name, text in {
        "lab/__init__.py": "",
        "lab/first.py": "import lab.second\nfrom . import third\nimport numpy, sklearn\n\ndef f(x, lr=0.1): return 1\n",
        "lab/second.py": "def g():\n    from lab.inner.lazy import h\n",
        "lab/third.py": "import json\n",
        "lab/inner/__init__.py": "",
        "lab/inner/lazy.py": "from ..fourth import *\nh = 1\n",
        "lab/fourth.py": "",
        "lab/unused.py": "",
        "broken.py": "import json\n\nraise KeyError('what')\n",
        "exits.py": "import sys\nsys.exit(0)\n",
        "statistics.py": "mine = len\n",
    }.items():
        (tmp_path / name).write_text(text)
    own.use_folder(tmp_path)
    yield tmp_path
    for name in [
        name for name in sys.modules if name.partition(".")[0] in ("lab", "broken", "spaces", "extends", "inside")
    ]:
        del sys.modules[name]


def find(name, builtin=("TNC", "CG")):
    return own.find("optimizer.method", "optimizers", name, builtin)


def test_the_sources_are_what_is_imported_and_the_users_own(folder):
    sources = find("lab.first.f").sources
    assert sorted(sources.files) == ["lab/__init__.py", "lab/first.py", "lab/fourth.py", "lab/inner/__init__.py",
                                     "lab/inner/lazy.py", "lab/second.py", "lab/third.py"]  # fmt: skip
    assert list(sources.packages) == ["sklearn"]  # NumPy's version is told by a tag of every run
    assert sources.texts()["lab/inner/lazy.py"] == "from ..fourth import *\nh = 1\n"
    before = sources.digests()
    (folder / "lab/fourth.py").write_text("x = 1\n")
    after = find("lab.first.f").sources.digests()
    assert {name for name in after if after[name] != before[name]} == {"lab/fourth.py"}
    (folder / "lab/unused.py").write_text("x = 1\n")
    assert find("lab.first.f").sources.digests() == after


def test_what_runs_is_what_is_in_the_files(folder):
    assert find("lab.first.f").found(0) == 1
    file = folder / "lab/first.py"
    file.write_text(file.read_text().replace("return 1", "return 22"))
    assert find("lab.first.f").found(0) == 22
    (folder / "lab/second.py").write_text("value = 3\n")
    find("lab.first.f")
    assert sys.modules["lab.second"].value == 3


def test_no_compiled_copy_of_another_text_runs(folder, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "meta_path", [each for each in sys.meta_path if type(each).__name__ != "_TextFinder"])
    file = folder / "lab/second.py"
    file.write_text("value = 1\n")
    importlib.invalidate_caches()
    importlib.import_module("lab.second")  # as a script of the user's does; this leaves a compiled copy
    times = file.stat()
    assert list(folder.glob("lab/__pycache__/second.*"))
    file.write_text("value = 2\n")
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    find("lab.first.f")
    assert sys.modules["lab.second"].value == 2
    for number in range(3, 6):  # within a second
        file.write_text(f"value = {number}\n")
        digests = find("lab.first.f").sources.digests()
        assert sys.modules["lab.second"].value == number
        assert digests["lab/second.py"] == digest_of_content(file.read_bytes())


def test_what_was_executed_after_the_digest_is_told(folder):
    sources = find("lab.first.f").sources
    digests = sources.digests()
    assert own.ran_otherwise(sources.files, digests) == []
    (folder / "lab/inner/lazy.py").write_text("h = 2\n")
    importlib.import_module("lab.second").g()
    assert own.ran_otherwise(sources.files, digests) == ["lab/inner/lazy.py"]
    sources = find("lab.first.f").sources
    assert own.ran_otherwise(sources.files, sources.digests()) == []


def test_packages_without_init_and_archives_and_a_path_that_a_module_extends(folder):
    for name, text in {
        "spaces/inner/deep.py": "from spaces import other\n\ndef f(): pass\n",
        "spaces/other.py": "",
        "extends.py": f"import sys\nsys.path.insert(0, {str(folder / 'more')!r})\nimport vendored\n\ndef f(): pass\n",
        "more/vendored.py": "",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    with zipfile.ZipFile(folder / "packed.zip", "w") as archive:
        archive.writestr("inside.py", "from functools import partial\n\nmade = partial(max, 0)\n\ndef f(): pass\n")
    sys.path.insert(0, str(folder / "packed.zip"))
    assert sorted(find("spaces.inner.deep.f").sources.files) == ["spaces/inner/deep.py", "spaces/other.py"]
    assert sorted(find("extends.f").sources.files) == ["extends.py", "vendored.py"]
    packed = find("inside.f").sources
    assert packed.digests() == {"packed.zip": digest_of_content((folder / "packed.zip").read_bytes())}
    assert packed.texts() == {}
    with own.of_records(calls=True):
        assert find("inside.made").found(1) == 1


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("CGG", "`optimizer.method` must be one of TNC, CG, got 'CGG'; did you mean CG?"),
        ("lab.first.ff", "lab/first.py has no 'ff'; did you mean f?"),
        ("lab.fourth.__doc__.x", "lab/fourth.py has no 'x'"),
        ("lab.inner.lazy.h.x", "lab/inner/lazy.py has no 'x'"),
        ("lba.first.f", "got 'lba.first.f': there is no module 'lba' in the folder of the command"),
        ("broken.f", "broken.py, line 3)"),
        ("exits.f", "SystemExit: 0 ("),
        ("lab.first.", "must be a dotted path such as package.module.function, got 'lab.first.'"),
    ],
)
def test_what_is_not_there_is_told_in_a_line(folder, name, told):
    with pytest.raises(ConfigError) as refused:
        find(name)
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_standard_library_comes_before_the_folder_and_that_before_what_is_installed(folder):
    import statistics

    assert str(folder) not in (statistics.__file__ or "")
    places = [Path(entry).name for entry in sys.path]
    assert places.index(folder.name) < places.index("site-packages")


def options(given, function):
    return own.check_options("task.options", "lab.f", function, given, taken=1)


def typed(run, rate: float = 0.1, *, n: int = 4, name: str = "a", kind: Literal["x", "y"] = "x", top: int | None = None,
          size: int | list[int] = 3, quick: bool = False):  # fmt: skip
    """A function with annotations."""


def plain(run, needed, rate=0.1, n=1, name="a", any_=None):
    """A function without."""


@pytest.mark.parametrize(
    ("function", "given", "read"),
    [
        (typed, {"rate": 1}, {"rate": 1.0}),
        (typed, {"n": 3.0, "top": None, "size": [1, 2]}, {"n": 3, "top": None, "size": [1, 2]}),
        (typed, {"size": 2, "kind": "y", "quick": True}, {"size": 2, "kind": "y", "quick": True}),
        (plain, {"needed": [1], "rate": 2}, {"needed": [1], "rate": 2.0}),
        (plain, {"needed": 1, "n": 2.0}, {"needed": 1, "n": 2}),
        (plain, {"needed": 1, "n": 2.5, "any_": "x"}, {"needed": 1, "n": 2.5, "any_": "x"}),
    ],
)
def test_options_are_typed_by_annotations_and_defaults(function, given, read):
    found = options(given, function)
    assert found == read
    assert [type(value) for value in found.values()] == [type(value) for value in read.values()]


@pytest.mark.parametrize(
    ("function", "given", "told"),
    [
        (typed, {"rat": 1}, "`task.options.rat` is not an option of lab.f; its options are rate, n, name"),
        (typed, {"rate": "fast"}, "`task.options.rate` must be a number, got 'fast'"),
        (typed, {"rate": True}, "`task.options.rate` must be a number, got True"),
        (typed, {"n": 1.5}, "`task.options.n` must be an integer, got 1.5"),
        (typed, {"kind": "z"}, "`task.options.kind` must be one of x, y, got 'z'"),
        (typed, {"top": "x"}, "`task.options.top` must be an integer or null, got 'x'"),
        (typed, {"quick": 1}, "`task.options.quick` must be true or false, got 1"),
        (plain, {}, "`task.options.needed` is missing; lab.f has no default for it"),
        (plain, {"needed": 1, "name": 3}, "`task.options.name` must be a text, got 3"),
    ],
)
def test_wrong_options_are_told(function, given, told):
    with pytest.raises(ConfigError) as refused:
        options(given, function)
    assert told in str(refused.value)


def test_the_functions_that_changed():
    old = "import a\n\ndef f(x):\n    return x\n\nclass C:\n    def m(self):\n        return 1\n"
    assert own.changed_functions(old, old.replace("return x", "return x + 1")) == ["f"]
    assert own.changed_functions(old, old.replace("return 1", "return 2")) == ["C.m"]
    assert own.changed_functions(old, old.replace("import a", "import b")) == ["outside its functions"]
    assert own.changed_functions(old, old.replace("def f", "def g")) == ["g", "f"]
    assert own.changed_functions(old, "# text\n" + old) == ["comments or layout only"]
    assert own.changed_functions(old, "def f(:") == []


def test_names_of_runs_are_short():
    jobs = [
        ["optimizer.options={lr:0.1,momentum:0.9}", "seed=0"],
        ["optimizer.options={lr:0.2,momentum:0.9}", "seed=1"],
    ]
    assert own.short_names(jobs) == ["lr=0.1 seed=0", "lr=0.2 seed=1"]
    assert own.short_names([["model.hidden_size=[4,5]"], ["model.hidden_size=3"]]) == [
        "hidden_size=[4,5]",
        "hidden_size=3",
    ]
    assert own.short_names([["optimizer.method=nnexp.optim.minimize"], ["data.path=wine.csv"]]) == [
        "method=minimize",
        "path=wine.csv",
    ]


def test_an_edit_reaches_every_function_that_uses_the_file(folder):
    """Also one that was found before by another name, and whose own file is as it was."""
    (folder / "lab/common.py").write_text("value = 1\n")
    for name in ("left", "right"):
        (folder / f"lab/{name}.py").write_text("from lab import common\n\ndef f(): return common.value\n")
    assert [find(f"lab.{name}.f").found() for name in ("left", "right")] == [1, 1]
    (folder / "lab/common.py").write_text("value = 22\n")
    assert [find(f"lab.{name}.f").found() for name in ("left", "right")] == [22, 22]
    assert find("lab.left.f").found is find("lab.left.f").found


def test_a_module_of_one_name_is_that_of_the_folder(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    (folder / "broken.py").write_text("def f(): return 1\n")
    (other / "broken.py").write_text("def f(): return 2\n")
    assert find("broken.f").found() == 1
    own.use_folder(other)
    assert find("broken.f").found() == 2
    own.use_folder(folder)
    assert find("broken.f").found() == 1


def test_what_is_held_is_what_was_found_first_with_its_sources(folder):
    with own.held():
        before = find("lab.first.f")
        file = folder / "lab/first.py"
        file.write_text(file.read_text().replace("return 1", "return 22"))
        after = find("lab.first.f")
        assert after.found(0) == 1
        assert after.sources.digests() == before.sources.digests()
        assert "return 1\n" in after.sources.texts()["lab/first.py"]
    assert find("lab.first.f").found(0) == 22
    assert find("lab.first.f").sources.digests() != before.sources.digests()


@pytest.mark.parametrize(("key", "group"), [("data.name", "datasets"), ("model.activation", "activations")])
def test_what_the_companion_needs_too_is_not_taken_from_a_script_or_a_cell(key, group, monkeypatch):
    monkeypatch.setattr(sys.modules["__main__"], "cell", len, raising=False)
    with pytest.raises(ConfigError, match=f"`{key}` must name something in a file .* got '__main__.cell': the process"):
        own.find(key, group, "__main__.cell")


def test_what_is_installed_is_only_looked_at_for_a_record_and_only_as_a_task_or_an_activation():
    name = "sklearn.datasets.load_wine"

    def found(group, *, calls):
        with own.of_records(calls=calls):
            return own.find("x.name", group, name).found.__name__

    assert found("tasks", calls=False) == found("activations", calls=False) == "load_wine"
    for group, calls in (("datasets", False), ("optimizers", False), ("tasks", True), ("activations", True)):
        with pytest.raises(ConfigError, match=f"if you trust it, name it yourself, x.name={name}"):
            found(group, calls=calls)
    with own.of_records([name]):
        told = [is_distrusted(each, ["of a package"]) for each in (name, "of a package", "of nobody")]
    assert (told, is_distrusted("of nobody", [])) == ([False, False, True], False)


@pytest.mark.parametrize(
    ("name", "is_taken"),
    [
        ("made", True),
        ("sin", False),
        ("numpy.sin", False),
        ("renamed", False),
        ("renamed.sin", False),
        ("holder.sin", False),
        ("upper", False),  # a method of no module
    ],
)
def test_an_object_that_is_no_function_is_taken_for_a_record_only_where_a_file_of_the_user_makes_it(
    folder, name, is_taken
):
    text = "import numpy\nfrom numpy import sin\nfrom functools import partial\nfrom types import SimpleNamespace\n"
    text += "renamed = numpy\nholder = SimpleNamespace(sin=sin)\nmade = partial(max, 0)\nupper = 'x'.upper\n"
    (folder / "objects.py").write_text(text)
    with own.of_records(calls=True):
        if is_taken:
            assert own.find("x.name", "optimizers", f"objects.{name}").found(1) == 1
        else:
            with pytest.raises(ConfigError, match="is what the record of the run says"):
                own.find("x.name", "optimizers", f"objects.{name}")


CELL = """
import subprocess
from functools import partial
from subprocess import getoutput

def train(run): ...

made = partial(subprocess.getoutput)
"""


def test_a_record_can_name_of_a_notebook_what_is_defined_there_and_not_what_it_imports(monkeypatch):
    """A notebook has no file by which that could be told."""
    notebook = ModuleType("__main__")
    monkeypatch.setitem(linecache.cache, "<cell>", (len(CELL), None, CELL.splitlines(keepends=True), "<cell>"))
    exec(compile(CELL, "<cell>", "exec"), notebook.__dict__)
    monkeypatch.setitem(sys.modules, "__main__", notebook)
    with own.of_records(calls=True):
        assert own.find("task.name", "tasks", "__main__.train").found is notebook.train
        for name in ("getoutput", "subprocess.getoutput", "made"):
            with pytest.raises(ConfigError, match="is what the record of the run says"):
                own.find("task.name", "tasks", f"__main__.{name}")
