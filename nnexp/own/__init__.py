"""What is a user's own: functions by their dotted paths, their options, their sources, and their tracebacks.

One rule: where a name is expected, the dotted path of a function does, and its keyword arguments are the options beside
it. A built-in name has no dot; a package may give its functions further names by entry points.
"""

from nnexp.own.errors import last_own_place, own_traceback
from nnexp.own.find import GROUPS, Own, find, find_function, is_own, refuse_uncallable, registered
from nnexp.own.folder import command_folder, use_folder
from nnexp.own.options import check_options, option_names
from nnexp.own.sources import Sources, sources_of

__all__ = [
    "GROUPS",
    "Own",
    "Sources",
    "check_options",
    "command_folder",
    "find",
    "find_function",
    "is_own",
    "last_own_place",
    "option_names",
    "own_traceback",
    "refuse_uncallable",
    "registered",
    "sources_of",
    "use_folder",
]
