"""Which functions of a source file have changed."""

from __future__ import annotations

import ast

REST = "outside its functions"
NOTHING = "comments or layout only"


def changed_functions(old: str, new: str) -> list[str]:
    """The functions and methods whose code differs between two texts of a file, in the order of the new one.

    `REST` is among them where statements outside of them differ; `NOTHING` alone says that no code does.
    """
    try:
        before, after = _parts(old), _parts(new)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    return [name for name in {**after, **before} if before.get(name) != after.get(name)] or [NOTHING]


def _parts(text: str) -> dict[str, str]:
    """The code of each function by its name, and of the rest."""
    tree = ast.parse(text)
    found: dict[str, str] = {}
    rest = _take(tree, "", found)
    return {**found, REST: "\n".join(rest)}


def _take(tree: ast.Module | ast.ClassDef, prefix: str, found: dict[str, str]) -> list[str]:
    rest: list[str] = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found[prefix + node.name] = ast.dump(node)
        elif isinstance(node, ast.ClassDef):
            head = [ast.dump(each) for each in (*node.bases, *node.keywords, *node.decorator_list)]
            rest += [node.name, *head, *_take(node, f"{prefix}{node.name}.", found)]
        else:
            rest.append(ast.dump(node))
    return rest
