"""The commands, one module each: its function has the module's name, and its docstring is what `--help` says."""
