"""A headless Chromium, driven over a pipe by the DevTools protocol: keys, sizes, colour schemes and what a screen reader is told.

Needs nothing but Chromium itself (Debian: apt-get install chromium), and no network.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

QUIET = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-sync "
    "--disable-component-update --remote-debugging-pipe"
)
KEYS = {"Tab": 9, "Enter": 13, " ": 32, "ArrowRight": 39, "ArrowLeft": 37, "End": 35, "Home": 36}


class Browser:
    """One tab of a browser that runs."""

    def __init__(self, to: int, back: int) -> None:
        self._to, self._back, self._read, self._number = to, back, b"", 0
        self._session: dict[str, str] = {}
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = {"sessionId": self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]}
        for domain in ("Page", "Runtime", "Log", "Accessibility"):
            self.call(f"{domain}.enable")
        self.errors: list[str] = []

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol and return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters, **self._session}
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._number:
            if answer.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
                details = answer["params"].get("exceptionDetails") or answer["params"]["entry"]
                self.errors.append(details.get("exception", {}).get("description") or details["text"])
        assert "error" not in answer, f"{method}: {answer['error']}"
        result: dict[str, Any] = answer["result"]
        return result

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._read:
            more = os.read(self._back, 1 << 20)
            assert more, "Chromium has ended"
            self._read += more
        line, self._read = self._read.split(b"\0", 1)
        answer: dict[str, Any] = json.loads(line)
        return answer

    def run(self, script: str) -> Any:
        """Run JavaScript in the page and return the value of its last expression."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]["exception"]["description"]
        return answer["result"].get("value")

    def open(self, page: Path, width: int = 1280, height: int = 720, scheme: str = "light", *, motion: bool = False) -> None:
        """Open a file in a window of that size and colour scheme, for somebody who wants things to move or not."""
        self.errors.clear()
        phone = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", **phone)
        wanted = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "no-preference" if motion else "reduce"}
        self.call("Emulation.setEmulatedMedia", features=[{"name": name, "value": value} for name, value in wanted.items()])
        self.call("Page.navigate", url=page.as_uri())
        loaded = "new Promise(done => document.readyState == 'complete' ? done(1) : addEventListener('load', () => done(1)))"
        while self.run("location.href").split("#")[0] != page.as_uri():
            pass
        self.run(loaded)

    def press(self, key: str, times: int = 1) -> None:
        """Press a key as a person would."""
        text = {"text": "\r" if key == "Enter" else key} if key in ("Enter", " ") else {}
        for _ in range(times):
            for kind in ("keyDown", "keyUp"):
                how = text if kind == "keyDown" else {}
                self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=KEYS[key], **how)

    def type(self, text: str) -> None:
        """Type text where the focus is."""
        self.call("Input.insertText", text=text)

    def spoken(self) -> list[tuple[str, str]]:
        """List what assistive software is told: (role, name) of everything that it does not skip."""
        nodes = self.call("Accessibility.getFullAXTree")["nodes"]
        return [(n["role"]["value"], n.get("name", {}).get("value", "")) for n in nodes if not n["ignored"]]

    def picture(self, path: Path, *, whole: bool = False) -> None:
        """Save what is seen, or the whole page, as a PNG file."""
        found = self.call("Page.captureScreenshot", captureBeyondViewport=whole, **({"clip": self._page()} if whole else {}))
        path.write_bytes(base64.b64decode(found["data"]))

    def _page(self) -> dict[str, float]:
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        return {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}


@contextlib.contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """Start Chromium with a profile in `folder`, and end it."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert program, "this test needs Chromium: install it (Debian: apt-get install chromium)"
    (theirs_in, ours_out), (ours_in, theirs_out) = os.pipe(), os.pipe()
    # it reads from descriptor 3 and writes to descriptor 4
    command = f'exec "$0" "$@" 3<&{theirs_in} 4>&{theirs_out}'
    arguments = [program, *QUIET.split(), f"--user-data-dir={folder / 'profile'}", "about:blank"]
    with open(folder / "chromium.log", "wb") as log:
        process = subprocess.Popen(["bash", "-c", command, *arguments], stderr=log, stdout=log, pass_fds=(theirs_in, theirs_out))
    os.close(theirs_in)
    os.close(theirs_out)
    try:
        yield Browser(ours_out, ours_in)
    finally:
        os.close(ours_out)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        os.close(ours_in)


# what is written in a colour too near to that of its ground
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
    return matchMedia("(prefers-color-scheme: dark)").matches ? [18, 18, 18] : [255, 255, 255];
  };
  // in a picture, what lies below a label are the rectangles before it
  const below = (e) => {
    let rgb = ground(e);
    if (!(e instanceof SVGElement)) return rgb;
    const { left, right, top, bottom } = e.getBoundingClientRect();
    const [x, y] = [(left + right) / 2, (top + bottom) / 2];
    for (const rect of e.ownerSVGElement.querySelectorAll("rect")) {
      const box = rect.getBoundingClientRect(), style = getComputedStyle(rect);
      const follows = rect.compareDocumentPosition(e) & Node.DOCUMENT_POSITION_FOLLOWING;
      if (!follows || style.fill === "none" || x < box.left || x > box.right || y < box.top || y > box.bottom) continue;
      const over = channels(style.fill);
      rgb = rgb.map((v, n) => v + Number(style.opacity) * (over[n] - v));
    }
    return rgb;
  };
  const low = [];
  const written = "p, a, button, label, th, td, h1, h2, small, caption, select, input[type=number], svg text";
  for (const e of document.querySelectorAll(written)) {
    if (!e.checkVisibility() || e.disabled || !(e.textContent.trim() || e.value)) continue;
    const style = getComputedStyle(e);
    const [a, b] = [channels(e instanceof SVGElement ? style.fill : style.color), below(e)].map(light).sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) low.push(`${e.tagName} ${e.textContent.trim().slice(0, 30)}: ${ratio.toFixed(2)}`);
  }
  return low;
})()
"""

# what a person would see at once: a page wider than the window, a label cut off, two labels on each other
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
        if (box.left < other.right && other.left < box.right && box.top + 2 < other.bottom && other.top + 2 < box.bottom)
          wrong.push(`overlap: ${label.textContent} with ${other.text}`);
      boxes.push({ left: box.left, right: box.right, top: box.top, bottom: box.bottom, text: label.textContent });
    }
  }
  return wrong;
})()
"""
