"""What models, endpoint configurations and endpoints have in common: one name is one record."""

from stagemaker.core.errors import validation_error
from stagemaker.core.kinds import ENDPOINT_CONFIG
from stagemaker.core.refs import Ref
from stagemaker.core.store import Record, Store

_WORDS = {ENDPOINT_CONFIG: "endpoint configuration"}  # where AWS's sentences do not use the ARN's word


def existing(store: Store, ref: Ref) -> Record:
    """The record; ValidationException, in AWS's words, when there is none of this name."""
    record = store.get(ref)
    if record is None:
        raise validation_error(f'Could not find {_words(ref)} "{ref.arn}".')
    return record


def refuse_taken(store: Store, ref: Ref) -> None:
    """ValidationException, in AWS's words, when there is a record of this name, also one whose case differs."""
    if store.find(ref.arn) is not None:
        raise validation_error(f'Cannot create already existing {_words(ref)} "{ref.arn}".')


def _words(ref: Ref) -> str:
    return _WORDS.get(ref.kind, ref.kind.words)
