"""nnexp from Python."""

import ast
import subprocess
import sys

import nnexp

IMPORTED = "import sys; before = set(sys.modules); import nnexp; print(*sorted(set(sys.modules) - before))"


def test_importing_nnexp_imports_nothing_else():
    done = subprocess.run([sys.executable, "-c", IMPORTED], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["nnexp"]


def test_type_checkers_are_told_of_every_name_and_its_module():
    with open(nnexp.__file__) as file:
        tree = ast.parse(file.read())
    told = {
        alias.name: node.module
        for block in tree.body
        if isinstance(block, ast.If)
        for node in block.body
        for alias in node.names
    }
    assert told == nnexp._MODULES


def test_every_name_is_there():
    assert set(nnexp._MODULES) <= set(dir(nnexp))
    assert all(getattr(nnexp, name).__name__ == name for name in nnexp._MODULES)
