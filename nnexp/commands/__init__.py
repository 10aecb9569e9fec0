"""The commands of `nnexp` beside a run: one module each, with `add_arguments(parser)` and `run(arguments)`."""
