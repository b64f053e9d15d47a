"""What runs for one endpoint, and which fleet gets which share of its requests."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from stagemaker.hosting.fleet import Fleet
from stagemaker.hosting.router import Router
from stagemaker.hosting.targets import Targets


@dataclass(eq=False)
class EndpointFleets:
    """Of one endpoint. The router may be read by any thread, the rest under the store's lock."""

    router: Router[Fleet] = field(default_factory=Router)
    fleets: set[Fleet] = field(default_factory=set)  # all that have a task
    # Those in service, with their shares of the requests that `coming` does not get. There are two after an
    # UpdateRollbackFailed, else at most one; the first is the one that the record's targets are for.
    in_service: dict[Fleet, float] = field(default_factory=dict)
    coming: Fleet | None = None  # it is to serve instead
    goal: Targets = field(default_factory=dict)  # of `coming`
    share: float = 0.0  # of `coming`
    ending: tuple[Fleet, ...] = ()  # `coming` has replaced them
    rolling_back: bool = False
    rollback_failure: str = ""  # why the fleet in service could not become what it was
    failure: str = ""  # of the last fleet that failed since one came into service

    @property
    def serving(self) -> Fleet | None:
        """The fleet that the record's targets are for, if one is in service."""
        return next(iter(self.in_service), None)

    @property
    def described(self) -> Fleet | None:
        """The fleet whose variants are described: the one in service, or the one that just was."""
        return self.serving or next(iter(self.ending), None)

    def route(self, share: float, active: Mapping[str, int] | None = None) -> None:
        """Give `coming` this share of the requests, on `active` instances of its variants, and the others the rest."""
        self.share = share
        parts = self.in_service if any(self.in_service.values()) else dict.fromkeys(self.in_service, 1.0)
        total = sum(parts.values())
        shares = {fleet: part / total * (1 - share) for fleet, part in parts.items()}
        if self.coming and share > 0:
            shares[self.coming] = share if shares else 1.0
        self.router.set_shares(shares, {self.coming: active} if self.coming and active else {})

    def settle(self, shares: Mapping[Fleet, float]) -> None:
        """From now on these are in service, and none is coming."""
        self.in_service, self.coming, self.ending = dict(shares), None, ()
        self.rolling_back, self.rollback_failure = False, ""
        if shares:
            self.failure = ""
        self.route(0.0)

    def replace(self) -> None:
        """`coming` gets all requests, and there is no way back."""
        self.ending, self.in_service = tuple(self.in_service), {}
        self.route(1.0)

    def drop(self, fleet: Fleet) -> None:
        """It gets no requests any more; the others get its share."""
        if fleet is self.coming:
            self.settle(self.in_service)
        elif self.in_service.pop(fleet, None) is not None:
            self.route(self.share)

    def clear(self) -> None:
        """No fleet gets requests any more."""
        self.settle({})
