"""The report of a training run: one self-contained HTML page, and the SVG charts in it.

May touch models and what is below them; nothing but `commands` uses it.
"""
