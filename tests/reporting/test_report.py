"""The report is one page that needs nothing else, says what the model says, and shows well in a browser."""

from __future__ import annotations

import html
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

import mr_als
from mr_als.cli import main
from mr_als.reporting.charts import Series, bar_chart, line_chart, point_chart
from tests.browser import GEOMETRY, browser
from tests.toy import options, run, toy_lines, write


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    lines = [*toy_lines(), 'user-0\t<b>&"quoted"</b>\t3\n', "user-1\titem\tmany\n"]
    run([write(folder / "counts.tsv", lines)], folder / "model", options())
    return folder / "model"


@pytest.fixture(scope="module")
def page(model):
    path = model.parent / "report.html"
    assert main(["report", "--model", str(model), "-o", str(path), "-q"]) == 0
    return path


class _Balanced(HTMLParser):
    """Checks that what is opened is closed, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_is_well_formed_and_needs_nothing_but_itself(page):
    text = page.read_text()
    parser = _Balanced()
    parser.feed(text)

    assert parser.open == []
    assert not re.search(r"https?://|<script|<link|<img|url\(|@import", text)


def test_shows_the_figures_of_the_model(model, page):
    text, info = page.read_text(), mr_als.load(str(model)).info

    assert f"{info['history'][-1]['wrmse']:.5f}" in text
    assert info["stopped"] in text
    assert text.count("<svg") == 5
    for entry in info["history"]:
        assert f"{entry['half']}, {entry['wrmse']:.6g}<" in text
    assert "bad: not a number" in text
    for name in ("alpha", "regularization", "rank", "tolerance"):
        assert re.search(rf"<td>\w+ {name}</td>", text)


def test_explains_its_recommendations_as_the_model_does(model, page):
    text, loaded = page.read_text(), mr_als.load(str(model))
    user = html.unescape(re.findall(r"<h3>(.*?)</h3>", text)[0])

    for item, score in loaded.recommend(user, 5):
        reason = loaded.explain(user, item)["parts"][0]
        assert f"<td>{html.escape(item)}</td><td>{score:.3f}</td><td>because of {html.escape(reason[0])} ({reason[2]:.2f})" in text


def test_ids_are_shown_as_they_are_and_never_become_markup(page):
    text = page.read_text()

    assert '<b>&"quoted"' not in text
    assert "&lt;b&gt;&amp;&quot;quoted&quot;&lt;/b&gt;" in text


def test_what_was_planned_stands_beside_what_came(model, page):
    text, plan = page.read_text(), mr_als.load(str(model)).info["plan"]

    assert set(plan["expected"]) == set(plan["actual"])
    for name in plan["expected"]:
        assert f"<td>{name.replace('_', ' ')}</td>" in text


def test_the_model_stands_beside_popularity_with_the_interval_of_their_difference(model, tmp_path):
    found = {"model": 0.5, "popularity": 0.25, "difference": 0.25, "interval": [0.2, 0.3]}
    evaluation = {"metrics": {"recall@10": found}, "coverage": {"coverage@10": {"model": 0.75, "popularity": 0.125}}, "users": 7}
    (tmp_path / "evaluation.json").write_text(json.dumps(evaluation))

    main(["report", "--model", str(model), "-o", str(tmp_path / "r.html"), "--evaluation", str(tmp_path / "evaluation.json"), "-q"])

    text = (tmp_path / "r.html").read_text()
    cells = "".join(f"<td class=n>{value}</td>" for value in ("0.5", "0.25", "0.25"))
    assert f"<td>recall@10</td>{cells}<td>0.2 to 0.3</td>" in text
    assert "<td>coverage@10</td><td class=n>0.75</td><td class=n>0.125</td>" in text
    assert "<td>users</td><td class=n>7</td>" in text


def test_evaluation_is_shown_where_it_was_run(model, tmp_path):
    (tmp_path / "evaluation.json").write_text(json.dumps({"recall@10": {"model": 0.4321, "popularity": 0.1}}))

    code = main(
        ["report", "--model", str(model), "-o", str(tmp_path / "r.html"), "--evaluation", str(tmp_path / "evaluation.json"), "-q"]
    )

    assert code == 0
    assert "<td>recall@10 model</td><td class=n>0.4321</td>" in (tmp_path / "r.html").read_text()


@pytest.mark.parametrize("content", ["[1, 2]", "not json", None])
def test_what_is_no_evaluation_is_refused(content, model, tmp_path, capsys):
    if content is not None:
        (tmp_path / "e.json").write_text(content)

    code = main(["report", "--model", str(model), "-o", str(tmp_path / "r.html"), "--evaluation", str(tmp_path / "e.json")])

    assert code == 1
    assert "mr-als evaluate --json" in capsys.readouterr().err
    assert not (tmp_path / "r.html").exists()


def test_an_unwritable_page_is_a_clear_error(model, tmp_path, capsys):
    assert main(["report", "--model", str(model), "-o", str(tmp_path / "no" / "r.html")]) == 2
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize("chart", [line_chart, bar_chart, point_chart])
@pytest.mark.parametrize("values", [[], [0.0], [5.0], [1.0, 1.0], [1e-9, 1e12]])
def test_charts_take_any_number_of_values(chart, values):
    text = chart("title", [Series("one", np.arange(1.0, 1 + len(values)), np.array(values))], "x", "y")

    assert "nan" not in text
    assert "inf" not in text
    places = [float(v) for v in re.findall(r' (?:cx|x)="([-\d.]+)"', text)]
    assert all(-1 <= place <= 641 for place in places)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 520])
def test_nothing_is_cut_or_overlaps_in_a_browser(width, scheme, page, tmp_path):
    with browser(tmp_path) as chromium:
        chromium.open(page, width, 900, scheme)

        assert chromium.run("document.querySelectorAll('svg').length") == 5
        assert chromium.run(GEOMETRY) == []
        assert chromium.errors == []
