"""The interactive page for everybody: by keyboard, by ear, on a phone and on a projector, light and dark, in headless Chromium."""

from __future__ import annotations

import pytest

from mr_als.teaching.matrix import EXAMPLE
from mr_als.teaching.text import vector
from tests.browser import CONTRAST, GEOMETRY
from tests.teaching.lessons import LESSON, LESSONS

lessons = pytest.mark.parametrize("name", LESSONS)


@pytest.mark.slow
def test_one_can_do_without_a_mouse(page):
    page.press("Tab")
    assert page.run("document.activeElement.className") == "skip"
    while page.run("document.activeElement.id") != "next":
        page.press("Tab")
    page.press("Enter", 2)
    page.press(" ")
    assert page.run("state.half") == 3
    assert "After half 3, users solved" in page.run("byId('status').textContent")

    reached = set()
    for _ in range(120):
        page.press("Tab")
        reached.add(page.run("document.activeElement.id || document.activeElement.name || document.activeElement.ariaLabel"))
    fields = page.run(
        "[...document.querySelectorAll('button, input, select')].filter(e => !e.disabled && e.checkVisibility()).length"
    )
    named = {
        "back",
        "finish",
        "view",
        "alpha",
        "alpha-slider",
        "lambda",
        "row-choice",
        "machine-next",
        "join",
        "dead",
        "case",
        "scale-users",
    }
    assert named <= reached
    # radio buttons are one stop; three are there
    assert len({name for name in reached if name}) >= fields - 2


@pytest.mark.slow
def test_a_screen_reader_is_told_what_everything_is(page):
    page.run("step(1); document.querySelectorAll('details').forEach(d => d.open = true)")
    spoken = page.spoken()

    for role in ("button", "spinbutton", "slider", "combobox", "radio", "image", "region", "link", "table", "MathMLMath"):
        names = [name for found, name in spoken if found == role and role not in ("table", "MathMLMath")]
        assert all(names), role
    assert len([name for role, name in spoken if role == "heading"]) == 5
    user, item = EXAMPLE.users[0], EXAMPLE.items[0]
    assert ("spinbutton", f"plays of {item} by {user}") in spoken
    assert any(role == "image" and f"{user} {vector(LESSON.first_users[0])}" in name for role, name in spoken)
    assert page.run("[...document.querySelectorAll('[aria-live=polite]')].map(e => e.id)") == [
        "status",
        "machine-status",
        "half-seconds",
    ]
    assert page.run("document.documentElement.lang") == "en"


@pytest.mark.slow
@lessons
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(1280, 720), (390, 844)])
def test_everything_fits_and_can_be_read(width, height, scheme, name, chromium, pages):
    chromium.open(pages[name], width, height, scheme)

    for half, told in ((0, 0), (1, 1), (2, 2), (15, 3)):
        chromium.run(f"step({half}); tell({told})")
        assert chromium.run(GEOMETRY) == [], half
        assert chromium.run(CONTRAST) == [], half
    for dead in ("map 1", "reduce 1", "machine 0"):
        for told in range(2, 6):
            chromium.run(f"byId('dead').value = '{dead}'; tell({told})")
            assert chromium.run(GEOMETRY) == [], (dead, told)
    assert chromium.errors == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "edit",
    [
        "state.plays = state.plays.map((row) => row.map(() => 0))",
        "state.plays = state.plays.map((row) => row.map(() => 1))",
        "state.plays[0][0] = MOST; state.alpha = MOST",
        "state.lambda = MOST",
        "state.lambda = state.alpha = 1e-6",
        "Object.assign(chosen, { users: 1e9, items: 1e9, plays: 1e12, nodes: 1, cores: 1, blocks: 4, rank: 8 }); renderIndustry()",
    ],
)
def test_nothing_is_undefined_at_the_ends_of_what_can_be_typed(edit, page):
    page.run(f"{edit}; step(0); step(1); step(41); show('items', 0); tell(3)")

    assert page.run("[...document.querySelectorAll('svg *')].filter(e => /NaN|Infinity|undefined/.test(e.outerHTML)).length") == 0
    assert not set(page.run("document.body.innerText").split()) & {"NaN", "Infinity", "undefined"}


@pytest.mark.slow
def test_arrows_move_to_where_they_belong_unless_motion_is_unwanted(chromium, pages):
    ends = "[...document.querySelectorAll('#arrows .line')].map(e => [Number(e.getAttribute('x2')), Number(e.getAttribute('y2'))])"
    chromium.open(pages["example"])
    chromium.run("step(2)")
    still = chromium.run(ends)
    assert chromium.run("tell(2); document.querySelectorAll('animateMotion').length") == 0

    chromium.open(pages["example"], motion=True)
    arrived = "new Promise(done => { const look = () => (moving === 0 ? done() : setTimeout(look, 20)); look(); })"
    chromium.run(f"step(1); step(2); {arrived}")

    assert chromium.run(ends) == still
    assert chromium.run("tell(2); document.querySelectorAll('animateMotion').length") > 0
    assert chromium.errors == []


@pytest.mark.slow
def test_on_a_projector_the_pictures_stand_beside_the_matrix(page):
    page.run("step(3)")
    bottom = page.run("Math.max(...['plays', 'arrows', 'objective', 'wrmse'].map(id => byId(id).getBoundingClientRect().bottom))")

    assert bottom <= 720
