"""The versions of functions that were updated or deleted lately: what starts for one of them must not stay."""

import threading

MAX_VERSIONS = 10_000  # (ours) what is being started now belongs to a version that was retired a moment ago


class RetiredVersions:
    """Ids of versions; of more than MAX_VERSIONS the oldest is forgotten. Thread-safe."""

    def __init__(self, most: int = MAX_VERSIONS) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._ids: dict[str, None] = {}  # in the order of their ends

    def add(self, version_id: str) -> None:
        """From now on the version is retired."""
        with self._lock:
            self._ids[version_id] = None
            if len(self._ids) > self._most:
                del self._ids[next(iter(self._ids))]

    def __contains__(self, version_id: str) -> bool:
        """Whether it was retired lately."""
        with self._lock:
            return version_id in self._ids
