"""The config of a recorded run, as today's code understands it, with overrides on top.

What decides the result, and which figures are made, is taken from the record; where the new run is kept, from the
config of today. An override does what it does on the command line: a value is set; a choice of a group (`optimizer=cg`)
brings what it changes beside the group that was recorded, a preset (`experiment=...`) what it changes of the defaults.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from nnexp import tasks
from nnexp.compose import compose, in_grammar, plain, to_yaml
from nnexp.config import Config, ConfigError, check, is_bookkeeping, task_of
from nnexp.own import of_records
from nnexp.presets import preset_files
from nnexp.readers import leaves as leaves_of
from nnexp.rerun.source import RerunError
from nnexp.tasks.interface import Task

TODAY = ("tracking", "resume", "dry_run", "fail_fast")  # how a run is kept is not taken from the record
PRESET, TASK, CUSTOM = "experiment", {"task": "task.name"}, "custom"
Leaves = dict[str, Any]


@dataclass(frozen=True)
class Rebuilt:
    """A config to run.

    Attributes
    ----------
    before
        What the record alone gives.
    config, composed
        With the overrides, checked; and as the text that the new run keeps.
    defaulted
        Deciding keys that the record lacks, with the default that they have now.
    other_data
        Whether the overrides ask for another data set.
    """

    before: Config | None
    config: Config
    composed: str
    defaulted: Leaves
    other_data: bool


def rebuild(
    tree: Mapping[str, Any],
    overrides: Sequence[str],
    *,
    name: str = "",
    data_path: str | None = None,
    is_own: bool = False,
) -> Rebuilt:
    """Build the config of a rerun.

    Parameters
    ----------
    tree
        The recorded config.
    overrides
        What is to be different, in Hydra's words; ``~KEY`` drops a recorded key that there no longer is.
    name
        The name of the recorded run, for the new one where nothing is overridden.
    data_path
        Where the data file was, for a path that was relative to another folder.
    is_own
        Whether this user has written the config himself; then all that it names is called.

    Raises
    ------
    RerunError
        If the record has a deciding key that there no longer is.
    ConfigError
        If Hydra or a check rejects the outcome.
    """
    with nullcontext() if is_own else of_records(_given_names(overrides), calls=True):
        return _rebuild(tree, overrides, name, data_path)


def _rebuild(tree: Mapping[str, Any], overrides: Sequence[str], name: str, data_path: str | None) -> Rebuilt:
    task = task_of(tree)
    base, defaulted, given = _recorded(task, tree, overrides)
    for key in task.named_by_content:
        if key in base:
            base[key] = _moved(base[key], data_path)
    base["tracking.run_name"], base["tracking.sweep"] = name or None, None
    presets = [o for o in given if _names([o]) == [PRESET]]
    leaves = _apply(task, base, [], presets)
    leaves = _apply(task, leaves, _groups(task, leaves), [o for o in given if o not in presets])
    leaves["tracking.sweep"] = None
    if "tracking.run_name" not in _names(given) and not all(is_bookkeeping(key, task) for key in _names(given)):
        leaves["tracking.run_name"] = None
    nested = _nested(leaves)
    return Rebuilt(
        before=_checked_or_none(_nested(base)) if given else None,
        config=check(nested),
        composed=to_yaml(OmegaConf.create(nested), resolve=False),
        defaulted=defaulted,
        other_data=any(key in _names(given) or base.get(key) != leaves.get(key) for key in _data_source(task, leaves)),
    )


def _given_names(overrides: Sequence[str]) -> set[str]:
    """The texts that overrides give, themselves or by the presets that they choose."""
    given = [override for override in overrides if not override.startswith("~")]
    try:
        tree = plain(compose(given), missing=True) if given else {}
    except ConfigError:  # they make a config only beside what was recorded
        tree = {}
    return {value for _, value in leaves_of(tree) if isinstance(value, str)} | {o.partition("=")[2] for o in given}


def _recorded(task: Task[Any], tree: Mapping[str, Any], overrides: Sequence[str]) -> tuple[Leaves, Leaves, list[str]]:
    """The recorded config with the keys of today, those of them that it lacks, and the overrides that are left."""
    recorded = _leaves(task, tree)
    today = _leaves(task, plain(compose(_groups(task, recorded))))
    unknown = [key for key in recorded if key not in today]
    dropped = [o for o in overrides if o.startswith("~") and _names([o])[0] in unknown]
    lost = [key for key in unknown if not is_bookkeeping(key, task) and not _within(key, _names(dropped))]
    if lost:
        raise RerunError(
            f"it was made with `{lost[0]}` = {recorded[lost[0]]!r}, which is no longer a config key; "
            f"add ~{lost[0]} to run it without"
        )
    kept = {key: value for key, value in recorded.items() if key in today and not _within(key, (*TODAY, *task.places))}
    new = [key for key in today if key not in kept and not is_bookkeeping(key, task)]
    did = {key: value for key, value in task.added.items() if key in new}
    is_older = "task" not in tree  # from before there were tasks: it did what the default task does
    defaulted = {
        key: today[key]
        for key in new
        if today[key] not in ({}, None) and key not in did and not (is_older and _within(key, ["task"]))
    }
    return today | did | kept, defaulted, [o for o in overrides if o not in dropped]


def _leaves(task: Task[Any], tree: Mapping[str, Any]) -> Leaves:
    """Keys and values of a config; the options are one value, for those of one method mean nothing to another.

    Groups that are composed for every task and that this one does not read are left out.
    """
    unread = [group for group in tasks.GROUPS if group not in task.groups]
    return {key: value for key, value in leaves_of(tree, whole=task.options) if not _within(key, unread)}


def _nested(leaves: Leaves) -> dict[str, Any]:
    tree: dict[str, Any] = {"task": {"options": {}}}  # which has no leaves where a task has no options
    for key, value in leaves.items():
        *parents, last = key.split(".")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = value
    return tree


def _within(key: str, names: Sequence[str]) -> bool:
    return any(key == name or key.startswith(name + ".") for name in names)


def _names(overrides: Sequence[str]) -> list[str]:
    """The keys and groups that overrides speak of."""
    return [o.lstrip("+~").partition("=")[0].partition("@")[0] for o in overrides]


def _data_source(task: Task[Any], leaves: Leaves) -> list[str]:
    """The group and the keys that say which data set it is, not how it is split, scaled or kept."""
    group = [task.data_group] if task.data_group else []
    return [*group, *(key for key in leaves if _within(key, group) and key not in task.data_handling)]


def _groups(task: Task[Any], recorded: Leaves) -> list[str]:
    """Overrides that choose the groups of a recorded config, so that what it lacks is filled from the right ones."""
    name = recorded.get("task.name", tasks.NETWORK)
    chosen = [] if name == tasks.NETWORK else [f"task={CUSTOM}", f"task.name={in_grammar(name)}"]
    for group, key in task.chosen_by.items():
        value = recorded.get(key)
        if value is not None:
            chosen += _choice(group, key, value)
    return chosen


def _choice(group: str, key: str, value: Any) -> list[str]:
    """Overrides that choose the file of a group in which a key has this value, or that of what is a user's own."""
    files = list(preset_files(group))
    for name, path in files:
        if OmegaConf.select(OmegaConf.load(path), key.partition(".")[2], throw_on_missing=False) == value:
            return [f"{group}={name}"]
    is_own = CUSTOM in [name for name, _ in files]
    return [f"{group}={CUSTOM}", f"{key}={in_grammar(str(value))}"] if is_own else []


def _apply(task: Task[Any], base: Leaves, groups: Sequence[str], overrides: Sequence[str]) -> Leaves:
    """`base` with all that the overrides name, and all else that they change beside `groups`."""
    if not overrides:
        return base
    names, leaves = _names(overrides), dict(base)
    # The name of what is a user's own goes with the choice of `custom`, where another file of the group is chosen.
    others = [word for word, key in zip(groups, _names(groups), strict=True) if key.partition(".")[0] not in names]
    today, wanted = (_leaves(task, plain(compose(words))) for words in (groups, [*others, *overrides]))
    for key in dict.fromkeys([*today, *wanted]):
        if key not in wanted:
            leaves.pop(key, None)
        elif key not in task.options and (key in names or key not in today or today[key] != wanted[key]):
            leaves[key] = wanted[key]
    is_other = {group: leaves.get(key) != base.get(key) for group, key in {**task.chosen_by, **TASK}.items()}
    for group, is_changed in is_other.items():
        if is_changed:
            leaves = {key: value for key, value in leaves.items() if key in wanted or not _within(key, [group])}
    for key in task.options:
        group, now = key.partition(".")[0], wanted.get(key) or {}
        is_new = is_other.get(group) or group in names or key in names
        leaves[key] = now if is_new else _options(key, base.get(key) or {}, today.get(key) or {}, now, names)
    return leaves


def _options(key: str, base: Leaves, today: Leaves, wanted: Leaves, names: Sequence[str]) -> Leaves:
    """The recorded options, with those that are set or dropped."""
    named = {name.removeprefix(f"{key}.") for name in names}
    changed = {name: value for name, value in wanted.items() if name in named or today.get(name) != value}
    return {name: value for name, value in base.items() if name not in named} | changed


def _moved(path: Any, then: str | None) -> Any:
    """The data file: where the config says, or else where it was found then."""
    if isinstance(path, str) and then and not Path(path).expanduser().is_file() and Path(then).is_file():
        return then
    return path


def _checked_or_none(tree: dict[str, Any]) -> Config | None:
    """The config of the record alone, which may need the overrides to be one of today."""
    try:
        return check(tree)
    except ConfigError:
        return None
