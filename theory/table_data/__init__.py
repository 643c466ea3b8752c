"""The numbers behind the theory's figures: one module `fig_<name>` a figure, found by its name.

Each exposes `CONFIG` (every setting, with `seed` where random numbers are used) and `table()`, which returns the
columns: name → array or list, all of one length. The same settings give the same table.
"""
