"""Jobs over the fake runtime: S3, CloudWatch and the clock are fakes, the store, the threads and the folders real."""

from collections.abc import Mapping
from pathlib import Path

from stagemaker.core.store import MemoryStore
from stagemaker.core.supervisor import Supervisor
from stagemaker.jobs.job import JobContext
from stagemaker.runtime.fake import Behaviour, FakeRuntime
from tests.unit.plugin.fakes import FakeAws, FakeClock, FakeLogs
from tests.unit.plugin.polling import until


class JobsEnvironment:
    """What jobs of any kind work with. `behaviours` are the images, `objects` what S3 holds."""

    def __init__(self, folder: Path, behaviours: Mapping[str, Behaviour], objects: Mapping[str, bytes]) -> None:
        self.work_dir = folder / "work"
        self.account, self.logs, self.clock, self.store = FakeAws(objects), FakeLogs(), FakeClock(), MemoryStore()
        self.supervisor = Supervisor()
        self.runtime = FakeRuntime(behaviours, self.supervisor)
        self.supervisor.own(lambda: self.runtime.close())
        self.context = JobContext(
            self.store,
            self.runtime,
            self.account,
            self.logs,
            self.clock,
            self.supervisor,
            self.work_dir,
            elapsed=self.clock,
        )

    def ready(self, hosts: int = 1) -> None:
        """Until so many hosts have said that they are ready."""
        until(lambda: self.said("ready") >= hosts, f"{hosts} hosts are ready")

    def said(self, line: str) -> int:
        """How many log streams have the line."""
        return sum(line in lines for lines in list(self.logs.lines.values()))

    def close(self) -> None:
        """End everything; no thread and no job's folder is left."""
        self.supervisor.close()
        until(lambda: self.supervisor.threads() == [], f"no thread, but {self.supervisor.threads()}")
        assert not list(self.work_dir.glob("*/*"))
