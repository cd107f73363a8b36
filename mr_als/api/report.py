"""What an evaluation found, as a dictionary that notebooks show as a table and DataFrames can be made of."""

from __future__ import annotations

from html import escape
from typing import Any

__all__ = ["Report", "html_table"]


class Report(dict[str, Any]):
    """A report of `mr-als evaluate --json`, with `metrics`, `coverage`, `held_out` and what was `left_out`.

    Examples
    --------
    >>> report = Report(metrics={"ndcg@10": {"model": 0.5, "popularity": 0.25, "difference": 0.25, "interval": [0.125, 0.375]}})
    >>> report.columns()["model"], report["metrics"]["ndcg@10"]["popularity"]
    ([0.5], 0.25)
    """

    def columns(self) -> dict[str, list[Any]]:
        """Return the metrics as columns of a DataFrame: metric, model, popularity, difference, and its interval, low and high."""
        found: dict[str, list[Any]] = {name: [] for name in ("metric", "model", "popularity", "difference", "low", "high")}
        for metric, row in {**self["metrics"], **self.get("coverage", {})}.items():
            low, high = row.get("interval", (None, None))
            values = (metric, row["model"], row["popularity"], row.get("difference"), low, high)
            for column, value in zip(found.values(), values, strict=True):
                column.append(value)
        return found

    def to_pandas(self) -> Any:
        """Return the metrics as a pandas.DataFrame, a row each."""
        import pandas

        return pandas.DataFrame(self.columns()).set_index("metric")

    def _repr_html_(self) -> str:
        return html_table(self.columns())


def html_table(columns: dict[str, list[Any]]) -> str:
    """Format columns as a table of HTML."""

    def cell(value: Any) -> str:
        return "" if value is None else f"{value:.4f}" if isinstance(value, float) else escape(str(value))

    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    rows = ("".join(f"<td>{cell(value)}</td>" for value in row) for row in zip(*columns.values(), strict=True))
    return f"<table><tr>{head}</tr>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"
