"""The house: folders import downwards, nothing imports in a circle, and only the network's task knows the network."""

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "nnexp"

# From the bottom to the top. A module may import what is on its own line or below; a folder is one entry.
ORDER = (
    ("__init__",),
    ("errors", "uris", "terminal", "paths", "arrays", "signals", "lifeline", "timeline", "garbage", "copies"),
    ("blas", "readers", "credentials"),
    ("kernels",),
    ("own",),
    ("statistics",),
    ("nn",),
    ("optim",),
    ("datasets",),
    ("evaluation", "figures"),
    ("runs",),
    ("comparison",),
    ("tasks",),
    ("config", "estimator"),
    ("tracking",),
    ("hints", "presets", "launchers", "hydra_versions", "compose"),
    ("lookup",),
    ("recovery",),
    ("calls", "companion", "standby"),
    ("publisher", "recording", "claims"),
    ("execute",),
    ("summary",),
    ("sweeps",),
    ("report",),
    ("sweep_report",),
    ("rerun",),
    ("hydra_app", "plugin"),
    ("commands", "completion"),
    ("api",),
    ("cli", "__main__"),
)
LEVEL = {name: level for level, names in enumerate(ORDER) for name in names}

# What belongs to the exercise's network: its metrics, its params, and what is particular to its record.
NETWORK = re.compile(
    r"""["'`{](accuracy|cost|loss|f1|brier|ece)/|["'](accuracy|cost|loss|n_fev|layer_sizes|hidden_layer)["']
    |optimizer[/.]\w|model\.(l2|hidden_size|activation|init_scale)|gradient_norm|n_fev|layer_sizes
    |\.optimizer\.|\.model\.|\.training\.|data\.(name|path|test_size|validation_size|scale|split_seed|folds?|groups)\b""",
    re.VERBOSE,
)
KNOWS_THE_NETWORK = ("tasks/network", "nn", "optim", "datasets", "evaluation.py", "figures")
EXAMPLE = re.compile(r"^\s*#|help=|^Examples: ")  # of overrides, for the person who reads the help
RAW = re.compile(r"""\b(record|result|plan)(\[["']|\.get\(["'])""")


def modules():
    return {path.relative_to(PACKAGE).with_suffix("").as_posix().removesuffix("/__init__"): path
            for path in sorted(PACKAGE.rglob("*.py")) if "plugin" not in path.parts}  # fmt: skip


def imports(path, name):
    """The modules of the package that a module imports, anywhere in it but for type checkers."""
    tree = ast.parse(path.read_text())
    for_types = [n for n in ast.walk(tree) if isinstance(n, ast.If) and "TYPE_CHECKING" in ast.unparse(n.test)]
    skipped = {id(inner) for node in for_types for inner in ast.walk(node)}
    known, found = modules(), set()
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "nnexp":
            base = (node.module or "").split(".")[1:]
            for alias in node.names:
                whole = "/".join([*base, alias.name])
                found.add(whole if whole in known else "/".join(base) or "__init__")
        elif isinstance(node, ast.Import):
            found |= {
                "/".join(a.name.split(".")[1:]) or "__init__" for a in node.names if a.name.split(".")[0] == "nnexp"
            }
    return found - {name}


GRAPH = {name: imports(path, name) for name, path in modules().items()}


def level(name):
    return LEVEL[(name or "__init__").split("/")[0] if name != "." else "__init__"]


def test_folders_import_downwards():
    wrong = [
        f"{name} imports {other}" for name, others in GRAPH.items() for other in others if level(other) > level(name)
    ]
    assert wrong == []


def circles(graph):
    """Modules that reach themselves, each circle once."""
    found = []

    def visit(name, path):
        if name in path:
            circle = path[path.index(name) :]
            if set(circle) not in [set(c) for c in found]:
                found.append(circle)
            return
        if name in done:
            return
        for other in sorted(graph.get(name, ())):
            visit(other, [*path, name])
        done.add(name)

    done = set()
    for name in graph:
        visit(name, [])
    return found


def test_nothing_imports_in_a_circle():
    assert circles(GRAPH) == []
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]


def code_lines(path):
    """The lines of a module without comments, docstrings and the examples of its help."""
    text = path.read_text()
    lines = text.splitlines()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            for i in range(node.lineno - 1, node.end_lineno):
                lines[i] = ""
    return [(i, line.split("  # ")[0]) for i, line in enumerate(lines, 1) if not EXAMPLE.search(line)]


def offences(pattern, allowed):
    return [
        f"{name}.py:{i}: {line.strip()}"
        for name, path in modules().items()
        if not path.relative_to(PACKAGE).as_posix().startswith(allowed)
        for i, line in code_lines(path)
        if pattern.search(line)
    ]


def test_only_the_networks_task_knows_the_network():
    assert offences(NETWORK, KNOWS_THE_NETWORK) == []


def test_records_are_read_as_types():
    assert offences(RAW, ("runs",)) == []


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (NETWORK, 'metrics["accuracy/test"]'),
        (NETWORK, 'record.details["layer_sizes"]'),
        (NETWORK, "config.optimizer.method"),
        (RAW, 'record["uid"]'),
        (RAW, 'result.get("status")'),
    ],
)
def test_the_patterns_find_what_they_are_for(pattern, line):
    assert pattern.search(line)
