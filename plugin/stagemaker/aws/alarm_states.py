"""The states of CloudWatch alarms, as a deployment of an endpoint watches them."""

from collections.abc import Sequence

from botocore.exceptions import BotoCoreError, ClientError

from stagemaker.aws.clients import Clients
from stagemaker.core.errors import ApiError
from stagemaker.core.refs import Scope


class AlarmStates:
    """Thread-safe."""

    _clients: Clients

    def alarm_states(self, scope: Scope, names: Sequence[str]) -> dict[str, str]:
        """OK, ALARM or INSUFFICIENT_DATA, by the name of the alarm, for those that there are. InternalFailure (500)
        when CloudWatch does not say."""
        kinds = {"MetricAlarms": "MetricAlarm", "CompositeAlarms": "CompositeAlarm"}
        try:
            found = self._clients("cloudwatch", scope).describe_alarms(
                AlarmNames=list(names), AlarmTypes=list(kinds.values())
            )
        except (ClientError, BotoCoreError) as error:
            raise ApiError("InternalFailure", f"The alarms could not be read: {error}", 500) from error
        return {alarm["AlarmName"]: alarm["StateValue"] for member in kinds for alarm in found.get(member, ())}
