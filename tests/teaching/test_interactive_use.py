"""The interactive page for everybody: by keyboard, by ear, on a phone and on a projector, light and dark, in headless Chromium."""

from __future__ import annotations

import pytest

from mr_als.teaching.matrix import EXAMPLE
from mr_als.teaching.text import vector
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


CONTRAST = """
(() => {
  const channels = (text) => text.match(/[\\d.]+/g).slice(0, 3).map(Number);
  const light = (rgb) => rgb.map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, n) => sum + v * [0.2126, 0.7152, 0.0722][n], 0);
  const ground = (e) => {
    for (; e; e = e.parentElement) {
      const found = getComputedStyle(e).backgroundColor;
      if (!/, 0\\)$|transparent|color\\(/.test(found)) return channels(found);
    }
    return null;
  };
  const low = [];
  const written = "p, a, button, label, th, td, h1, h2, small, caption, select, input[type=number], svg text";
  for (const e of document.querySelectorAll(written)) {
    if (!e.checkVisibility() || e.disabled || !(e.textContent.trim() || e.value)) continue;
    const style = getComputedStyle(e);
    const [a, b] = [channels(e instanceof SVGElement ? style.fill : style.color), ground(e)].map(light).sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) low.push(`${e.tagName} ${e.textContent.trim().slice(0, 30)}: ${ratio.toFixed(2)}`);
  }
  return low;
})()
"""

# what a person would see at once, as in the test of the report
GEOMETRY = """
(() => {
  const wrong = [];
  const root = document.documentElement;
  if (root.scrollWidth > innerWidth) wrong.push(`wider than the window: ${root.scrollWidth}`);
  for (const svg of document.querySelectorAll("svg")) {
    const outer = svg.getBoundingClientRect(), boxes = [];
    if (outer.width < 100 || outer.height < 50) wrong.push("a picture is missing");
    for (const label of svg.querySelectorAll("text")) {
      const box = label.getBoundingClientRect();
      if (box.left < outer.left - 1 || box.right > outer.right + 1 || box.bottom > outer.bottom + 1 || box.top < outer.top - 1)
        wrong.push("cut: " + label.textContent);
      for (const other of boxes)
        if (box.left + 1 < other.right && other.left + 1 < box.right && box.top + 4 < other.bottom && other.top + 4 < box.bottom)
          wrong.push(`overlap: ${label.textContent} with ${other.text}`);
      boxes.push({ left: box.left, right: box.right, top: box.top, bottom: box.bottom, text: label.textContent });
    }
  }
  return wrong;
})()
"""


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
def test_on_a_projector_the_pictures_stand_beside_the_matrix(page):
    page.run("step(3)")
    bottom = page.run("Math.max(...['plays', 'arrows', 'objective', 'wrmse'].map(id => byId(id).getBoundingClientRect().bottom))")

    assert bottom <= 720
