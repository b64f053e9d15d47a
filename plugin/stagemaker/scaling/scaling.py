"""Application Auto Scaling as one object: its operations over one store, and the loop behind them."""

import logging
from collections.abc import Callable, Mapping

from stagemaker.core.store import Store
from stagemaker.scaling.actions import ScheduledActions
from stagemaker.scaling.activities import Activities
from stagemaker.scaling.cloudwatch import CloudWatch
from stagemaker.scaling.compression import Compression
from stagemaker.scaling.loop import Bus, Loop
from stagemaker.scaling.policies import ScalingPolicies
from stagemaker.scaling.scalables import Scalable
from stagemaker.scaling.series import Series
from stagemaker.scaling.targets import ScalableTargets, forget_with_endpoints
from stagemaker.scaling.watch import AlarmWatch

LOG = logging.getLogger(__name__)


class Scaling:
    """`targets`, `policies`, `actions` and `activities` have the operations; `loop` is to be started. `scalables`
    are by dimension; `clock` is epoch seconds."""

    def __init__(
        self,
        store: Store,
        scalables: Mapping[str, Scalable],
        cloudwatch: CloudWatch,
        bus: Bus,
        clock: Callable[[], float],
        compression: Compression,
    ) -> None:
        self.activities = Activities(store, clock, compression)
        watch = AlarmWatch(cloudwatch, Series(cloudwatch, clock, compression), clock, compression)
        self.loop = Loop(store, scalables, self.activities, watch, cloudwatch, bus, clock, compression)
        self.targets = ScalableTargets(store, scalables, clock, self.loop.discard_alarms, self.loop.wake)
        self.policies = ScalingPolicies(store, cloudwatch, clock, compression, self.loop.wake)
        self.actions = ScheduledActions(store, clock, self.loop.wake)
        forget_with_endpoints(store, self.targets)
        if compression.sentence:
            LOG.warning("Application Auto Scaling: %s", compression.sentence)
