"""What is a user's own: functions by their dotted paths, their options, their sources, and their tracebacks.

One rule: where a name is expected, the dotted path of a function does, and its keyword arguments are the options beside
it. A built-in name has no dot; a package may give its functions further names by entry points.
"""

from nnexp.own.differences import changed_functions
from nnexp.own.errors import last_own_place, own_traceback
from nnexp.own.find import GROUPS, NotFoundError, Own, find, find_function, held, is_own, refuse_uncallable, registered
from nnexp.own.folder import command_folder, use_folder
from nnexp.own.imports import ran_otherwise
from nnexp.own.naming import last_name, short, short_names
from nnexp.own.options import check_options, config_defaults, has_default, takes
from nnexp.own.recorded import of_records
from nnexp.own.sources import Sources, read_source, sources_of

__all__ = [
    "GROUPS",
    "NotFoundError",
    "Own",
    "Sources",
    "changed_functions",
    "check_options",
    "command_folder",
    "config_defaults",
    "find",
    "find_function",
    "has_default",
    "held",
    "is_own",
    "last_name",
    "last_own_place",
    "of_records",
    "own_traceback",
    "ran_otherwise",
    "read_source",
    "refuse_uncallable",
    "registered",
    "short",
    "short_names",
    "sources_of",
    "takes",
    "use_folder",
]
