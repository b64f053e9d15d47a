"""Topics of SNS that SageMaker tells something."""

from botocore.exceptions import BotoCoreError, ClientError

from stagemaker.aws.clients import Clients
from stagemaker.core.errors import validation_error
from stagemaker.core.refs import Scope


class Topics:
    """Of the caller's account. Thread-safe."""

    _clients: Clients

    def publish(self, scope: Scope, topic_arn: str, message: str) -> None:
        """ValidationException, with SNS's reason, when the topic does not take it."""
        try:
            self._clients("sns", scope).publish(TopicArn=topic_arn, Message=message)
        except (ClientError, BotoCoreError) as error:
            raise validation_error(f"Could not publish to {topic_arn}: {error}") from error
