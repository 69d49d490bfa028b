"""What was started: process ids with their start times, and ports."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace

from deepfactor.stack.layout import Layout
from deepfactor.stack.private_files import write_private


@dataclass(frozen=True)
class ProcessRecord:
    """A process, pinned by its start time: a process id alone is used again after a while."""

    pid: int
    created: float


@dataclass(frozen=True)
class State:
    """What is remembered from one command to the next."""

    processes: dict[str, ProcessRecord] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    migrated: str | None = None
    """The Airflow version whose tables the database holds."""
    settings: str | None = None
    """Digest of the settings that Airflow's running processes were started with."""
    s3_on_demand: bool = False
    """The S3 endpoint was started for a command, and goes when its last user is done."""

    def having(self, name: str, record: ProcessRecord) -> State:
        """Return the state with a process added."""
        return replace(self, processes={**self.processes, name: record})

    def without(self, *names: str) -> State:
        """Return the state with processes removed."""
        return replace(self, processes={key: value for key, value in self.processes.items() if key not in names})

    def listening(self, name: str, port: int) -> State:
        """Return the state with a port remembered."""
        return replace(self, ports={**self.ports, name: port})


def read_state(layout: Layout) -> State:
    """Return what is remembered; nothing if the file is missing or damaged."""
    try:
        content = json.loads(layout.state.read_text(encoding="utf-8"))
        content["processes"] = {name: ProcessRecord(**record) for name, record in content["processes"].items()}
        return State(**content)
    except (OSError, ValueError, TypeError, KeyError):
        # Left-over processes are found by what they are, not only by this file.
        return State()


def write_state(layout: Layout, state: State) -> State:
    """Remember a state, readable by its owner only."""
    write_private(layout.state, json.dumps(asdict(state), indent=1) + "\n")
    return state
