"""Daemons as processes: started so that they outlive whoever starts them, recognised, killed one by one."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from pathlib import Path


class Processes:
    """The daemons whose process ids and logs lie in one run directory.

    daemons : their names, in the order in which they start, and the program of each
    """

    daemons: dict[str, str]

    def __init__(self, run: Path, home: Path) -> None:
        self.run, self.home = run.resolve(), home.resolve()

    def environment(self, conf_dir: str = "conf") -> dict[str, str]:
        """Return the environment of a daemon whose configuration is in `conf_dir`."""
        raise NotImplementedError

    def conf_dir(self, daemon: str) -> str:
        """Return the name of the directory that a daemon's configuration is in."""
        return "conf"

    def up(self, daemon: str) -> None:
        """Start one daemon, unless it runs."""
        if self.alive(daemon):
            return
        # through a shell that ends at once, so that the daemon is nobody's child and outlives whoever started it
        detached = [
            "sh",
            "-c",
            'log=$1; shift; setsid "$@" </dev/null >>"$log" 2>&1 & echo $!',
            "sh",
            str(self.run / f"logs/{daemon}.log"),
        ]
        environment = {**os.environ, **self.environment(self.conf_dir(daemon))}
        words = [*detached, *self._words(daemon)]
        started = subprocess.run(words, env=environment, cwd=self.run, check=True, stdout=subprocess.PIPE, text=True)
        (self.run / f"pids/{daemon}").write_text(started.stdout.strip())

    def _words(self, daemon: str) -> list[str]:
        """Return the command that starts a daemon and stays."""
        return [str(self.home / "bin" / self.daemons[daemon]), daemon]

    def pid(self, daemon: str) -> int:
        """Read a daemon's process id; 0 if it was never started or was stopped."""
        path = self.run / f"pids/{daemon}"
        return int(path.read_text()) if path.exists() else 0

    def alive(self, daemon: str) -> bool:
        """Say whether the process runs and is ours; a zombie that nobody has reaped is dead."""
        try:
            state = Path(f"/proc/{self.pid(daemon)}/stat").read_text().rsplit(")", 1)[1].split()[0]
            environment = Path(f"/proc/{self.pid(daemon)}/environ").read_bytes()
            return state != "Z" and f"HADOOP_CONF_DIR={self.run / self.conf_dir(daemon)}\0".encode() in environment
        except (OSError, IndexError):
            return False

    def status(self) -> dict[str, str]:
        """Report each daemon's state: up, died, or stopped."""
        return {d: "up" if self.alive(d) else "died" if self.pid(d) else "stopped" for d in self.daemons}

    def signal(self, daemon: str, number: int = signal.SIGKILL) -> None:
        """Send a signal to one daemon, if it is alive."""
        if self.alive(daemon):
            os.kill(self.pid(daemon), number)

    def kill(self, daemon: str) -> None:
        """Kill one daemon and wait until it is gone."""
        self.signal(daemon)
        self._gone(daemon, 10)

    def _gone(self, daemon: str, seconds: float) -> bool:
        end = time.monotonic() + seconds
        while self.alive(daemon) and time.monotonic() < end:
            time.sleep(0.05)
        return not self.alive(daemon)

    def stop(self) -> None:
        """Stop all daemons, the last started first."""
        for daemon in reversed(self.daemons):
            self.signal(daemon, signal.SIGTERM)
        for daemon in reversed(self.daemons):
            if not self._gone(daemon, 10):
                self.kill(daemon)
            (self.run / f"pids/{daemon}").unlink(missing_ok=True)
        self._end_containers()

    def _end_containers(self) -> None:
        """End what the NodeManager started: a supervised one leaves it for its successor."""
        ours = re.compile(re.escape(f"{self.run}/local").encode() + rb"(-\d+)?/usercache/")
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):  # it has ended meanwhile
                if ours.search(path.read_bytes()):
                    os.kill(int(path.parent.name), signal.SIGKILL)
