"""What is said while it runs: a bar on a terminal, plain lines elsewhere, nothing when quiet."""

from __future__ import annotations

import io

import pytest

from mr_als.progress import CLEAR, Progress, what_a_half_does


class Terminal(io.StringIO):
    def isatty(self):
        return True


def on_a_terminal(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    return screen


def test_a_terminal_gets_a_bar_with_the_time_left(monkeypatch):
    terminal = on_a_terminal(monkeypatch)
    clock = iter([0.0, 100.0, 130.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    progress = Progress()

    progress.step(2, 10, "half 3")
    progress.step(5, 10, "half 6")

    # 30 seconds for 3 steps since the first, so 50 for the 5 that may come
    assert terminal.getvalue().endswith(f"{CLEAR}[############............] half 6, at most 51 s left")


def test_a_line_goes_above_the_bar_and_the_end_takes_the_bar_away(monkeypatch):
    terminal = on_a_terminal(monkeypatch)
    progress = Progress()
    progress.step(0, 2, "half 1")

    progress.say("done with one")
    progress.done()

    bar = "[........................] half 1"
    assert terminal.getvalue() == f"{CLEAR}{bar}{CLEAR}done with one\n{bar}{CLEAR}"


def test_elsewhere_there_are_only_lines(capsys):
    progress = Progress()

    progress.step(1, 2, "half 1")
    progress.say("half 1 is done")
    progress.done()

    assert capsys.readouterr() == ("", "half 1 is done\n")


def test_quiet_says_nothing_even_on_a_terminal(monkeypatch):
    terminal = on_a_terminal(monkeypatch)
    progress = Progress(quiet=True)

    progress.step(1, 2, "half 1")
    progress.say("half 1 is done")
    progress.done()

    assert terminal.getvalue() == ""


@pytest.mark.parametrize(("join", "word"), [("shuffle", "reducer"), ("broadcast", "nothing is shuffled")])
def test_the_first_halves_are_explained_and_the_others_are_not(join, word):
    assert word in what_a_half_does(1, "users", "items", join)
    assert word in what_a_half_does(2, "items", "users", join)
    assert what_a_half_does(3, "users", "items", join) == ""
