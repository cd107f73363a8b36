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
    "--disable-component-update --remote-debugging-pipe --force-prefers-reduced-motion"
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

    def open(self, page: Path, width: int = 1280, height: int = 720, scheme: str = "light") -> None:
        """Open a file in a window of that size and colour scheme."""
        self.errors.clear()
        phone = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", **phone)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
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
