"""What records mean: the option --columns, names that are known, and what values say where nothing is named.

May touch the rest of `logs`, errors and options. A new export is a few names in `columns`, or a shape in `evidence`.
"""
