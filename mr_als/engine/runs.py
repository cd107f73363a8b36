"""Which half counts: `Run.commit` makes its record (checkpoint), which only one can; what a killed run left; who holds a directory.

<directory>/lock              held by flock while a driver lives; names its process
<directory>/work/run.json     the plan: inputs and options; a resumed run must have the same
<directory>/work/half-007.json         made once, whole: half 7 counts from then on
<directory>/work/half-007-<attempt>/   its files; an attempt without a half-007.json counts for nothing

On a cluster the lock is a lease (`mr_als.engine.lease`), and all but run.json is in generations/<run>/.

It is long because what makes a half count has to be read together to be believed.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import uuid
import zlib
from typing import TYPE_CHECKING, Any

from mr_als import __version__
from mr_als.engine.lease import Lease
from mr_als.errors import BusyError, DamagedDataError, ResumeError, UsageError
from mr_als.options import flag_of
from mr_als.storage.places import scheme_of, storage_of

if TYPE_CHECKING:
    from mr_als.storage.storage import Storage


# of run.json and all that lies beside it; version 0.1.0 named none
FORMAT = 1


class Lock:
    """Hold a directory while in the `with` block. The kernel frees it when the process dies, however it dies.

    A courtesy: what counts is decided by `Run.commit`. So a file system without locks is no error.

    Raises
    ------
    BusyError
        If another process holds it; the message names which.
    UsageError
        If the lock file cannot be written.
    """

    def __init__(self, directory: str) -> None:
        self._target, self._path = directory, os.path.join(directory, "lock")

    def __enter__(self) -> Lock:
        try:
            # without a buffer: what a full disk refuses is not tried again when the file is closed
            self._file = open(self._path, "a+b", buffering=0)
        except OSError as error:
            msg = f"{self._path}: cannot be written ({error.strerror}); name a directory that you may write to"
            raise UsageError(msg) from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.seek(0)
            holder = self._file.read().decode(errors="replace").strip() or "another process"
            self._file.close()
            msg = f"{self._target}: {holder} is working on it; wait until it is done, or use another directory"
            raise BusyError(msg) from None
        except OSError:
            pass  # a file system without locks
        _held.add(self._file.fileno())
        try:
            self._file.truncate(0)
            self._file.write(f"process {os.getpid()} on {socket.gethostname()}".encode())
        except OSError:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self._file.truncate(0)
        _held.discard(self._file.fileno())
        self._file.close()


# file descriptors of the locks held
_held: set[int] = set()


def _let_go() -> None:
    """Forget the locks in a forked child: a task that outlives its killed driver must not keep the next one out."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in _held:
        os.dup2(nothing, descriptor, inheritable=False)
    os.close(nothing)
    _held.clear()


os.register_at_fork(after_in_child=_let_go)


def crash_point(name: str) -> None:
    """Die here when a fault test asks for it (environment variable MR_ALS_CRASH_AT)."""
    if os.environ.get("MR_ALS_CRASH_AT") == name:
        os.kill(os.getpid(), 9)


def lock_of(directory: str) -> Lock | Lease:
    """Return the lock of an existing directory."""
    return Lock(directory) if scheme_of(directory) == "file" else Lease(directory)


class Run:
    """The working directory of one training run.

    With `generations`, a directory, only the plan is in the working directory, and all else in a directory of that name that
    the run has for itself: on a cluster files stay where they are when they are published.
    """

    def __init__(self, directory: str, storage: Storage, generations: str = "") -> None:
        self.directory = directory
        self.storage = storage
        self._generations = generations
        self.name = ""
        if generations and (found := storage.read(self._plan)) is not None:
            with contextlib.suppress(ValueError, KeyError, TypeError):
                self.name = str(json.loads(found)["run"])

    @classmethod
    def of(cls, model: str) -> Run:
        """Return the run of a model directory, whether it has begun or not."""
        generations = "" if scheme_of(model) == "file" else os.path.join(model, "generations")
        return cls(os.path.join(model, "work"), storage_of(model), generations)

    @property
    def _plan(self) -> str:
        return os.path.join(self.directory, "run.json")

    @property
    def _data(self) -> str:
        return os.path.join(self._generations, self.name) if self._generations else self.directory

    def path(self, *names: str) -> str:
        """Build the path of a file of the run."""
        return os.path.join(self._data, *names)

    def start(self, plan: dict[str, Any]) -> bool:
        """Begin, or go on with an unfinished run; give True if there was one.

        Raises
        ------
        ResumeError
            If the unfinished run has another plan, and the message names the differences; or another format.
        """
        self.storage.make_directory(self.directory)
        found = self.storage.read(self._plan)
        if found is not None:
            self.name = self._resumed(found, plan)
            return True
        self.name = uuid.uuid4().hex[:12]
        self.storage.create(self._plan, _dump({"format": FORMAT, "run": self.name, "plan": plan}))
        return False

    def _resumed(self, found: bytes, plan: dict[str, Any]) -> str:
        """Return the name of an unfinished run, after checking that its plan is this one."""
        try:
            saved = _load(self._plan, found)
            name, differing = str(saved["run"]), _differences(saved["plan"], plan)
            form = saved.get("format", FORMAT)
        except (KeyError, TypeError, AttributeError):
            raise _damaged(self._plan) from None
        if form != FORMAT:
            msg = (
                f"{self._plan}: an unfinished run of format {form!r}, and mr_als {__version__} resumes only format {FORMAT}: "
                "finish it with the version that started it, or use --restart to start over (--on-change restart does so "
                "automatically)"
            )
            raise ResumeError(msg)
        if differing:
            msg = (
                f"{self.directory} holds an unfinished run with another plan: {differing}. Use the same, or --restart to "
                "start over; --on-change restart does so automatically whenever they differ"
            )
            raise ResumeError(msg)
        return name

    def attempt(self, name: str) -> str:
        """Make a fresh directory for an attempt, and remove what earlier ones of that name left."""
        for other in self.storage.names(self._data):
            if other.startswith(f"{name}-"):
                self.storage.remove(self.path(other))
        path = self.path(f"{name}-{uuid.uuid4().hex[:8]}")
        self.storage.make_directory(path)
        return path

    def commit(self, name: str, record: dict[str, Any]) -> None:
        """Let an attempt count: only one can create this file.

        Raises
        ------
        DamagedDataError
            If another attempt was counted in the meantime.
        """
        crash_point(f"before-{name}")
        record = {"run": self.name, **record}
        if not self.storage.create(self.path(f"{name}.json"), _dump({**record, "crc": _crc(record)})):
            msg = f"{self.path(name)}.json was written by another driver meanwhile; run the same command again"
            raise DamagedDataError(msg)
        crash_point(f"after-{name}")

    def record(self, name: str) -> dict[str, Any] | None:
        """Read what `commit` wrote; None if it wrote nothing.

        Raises
        ------
        DamagedDataError
            If it is torn, was edited, or is of another run.
        """
        path = self.path(f"{name}.json")
        found = self.storage.read(path)
        if found is None:
            return None
        record: dict[str, Any] = _load(path, found)
        if not isinstance(record, dict) or record.pop("crc", None) != _crc(record):
            raise _damaged(path)
        if record.get("run") != self.name:
            msg = f"{path} is of another run, {record.get('run')}, not of {self.name}; start again with --restart"
            raise DamagedDataError(msg)
        return record

    def forget(self, name: str) -> None:
        """Remove a superseded or damaged attempt's files, and its record."""
        self.storage.remove(self.path(f"{name}.json"))
        self.clean(name)

    def clean(self, name: str) -> None:
        """Remove the files of an attempt, but keep its record."""
        for other in self.storage.names(self._data):
            if other.startswith(f"{name}-"):
                self.storage.remove(self.path(other))

    def remove(self) -> None:
        """Remove the working directory: run.json first, so that a half-removed one is never resumed. What is published stays."""
        self.storage.remove(self._plan)
        self.storage.remove(self.directory)
        if self.name and self._generations and self.storage.size(self.path("manifest.json")) < 0:
            self.storage.remove(self._data)


def _crc(record: dict[str, Any]) -> int:
    """Compute the checksum of a record, as it is read back."""
    return zlib.crc32(json.dumps(record).encode())


def _dump(data: dict[str, Any]) -> bytes:
    return json.dumps(data, indent=1).encode()


def _load(path: str, data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        raise _damaged(path) from None


def _damaged(path: str) -> DamagedDataError:
    msg = f"{path} is damaged; start again with --restart"
    return DamagedDataError(msg)


def _differences(saved: dict[str, Any], now: dict[str, Any]) -> str:
    """Name the inputs and options that differ, at most three."""
    before, after = _flat(saved["inputs"]), _flat(json.loads(json.dumps(now["inputs"])))
    shown = [f"{name} {_change(before, after, name)}" for name in {**before, **after} if before.get(name) != after.get(name)]
    before, after = _flat(saved["options"]), _flat(json.loads(json.dumps(now["options"])))
    shown += [
        f"{flag_of(name)} was {before.get(name)}, now {after.get(name)}"
        if name in before
        else f"{flag_of(name)} is {after[name]}, an option that the run did not have"
        for name in {**before, **after}
        if before.get(name) != after.get(name)
    ]
    return "; ".join(shown[:3]) + (f"; and {len(shown) - 3} more" if len(shown) > 3 else "")


def _change(before: dict[str, Any], after: dict[str, Any], name: str) -> str:
    return "is a new input" if name not in before else "is no input now" if name not in after else "has changed"


def _flat(nested: dict[str, Any]) -> dict[str, Any]:
    """Flatten nested dictionaries, keeping each leaf under its own name."""
    flat: dict[str, Any] = {}
    for name, value in nested.items():
        flat |= _flat(value) if isinstance(value, dict) else {name: value}
    return flat
