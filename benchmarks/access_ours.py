"""How long decisions on access take, and with whom they agree, as JSON: runs in the environment `plugin`."""

import gzip
import json
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.access_policies import ACCOUNT, NAME, SERVICES, STATEMENTS, documents
from stagemaker.access import conditions, match, policy
from stagemaker.access.evaluate import Outcome, Policies, decide
from stagemaker.access.policy import read_policy
from stagemaker.access.request import AccessRequest, Principal, read_context

REPETITIONS = 20
CASES = Path(__file__).resolve().parents[2] / "shared" / "data" / "iam-cases" / "cases.jsonl.gz"
OUTCOMES = {
    "Allowed": Outcome.ALLOWED,
    "ImplicitlyDenied": Outcome.IMPLICIT_DENY,
    "ExplicitlyDenied": Outcome.EXPLICIT_DENY,
}


def main() -> int:
    """Prints {"decision": ...}, and "agreement" where the questions lie beside the checkout."""
    found: dict[str, Any] = {"decision": decision_figures()}
    if CASES.exists():
        found["agreement"] = agreement()
    json.dump(found, sys.stdout)
    return 0


def questions() -> list[AccessRequest]:
    """One for every statement. All are allowed."""
    principal = Principal(f"arn:aws:iam::{ACCOUNT}:user/{NAME}")
    context = read_context({"aws:PrincipalArn": principal.arn, "aws:SourceIp": "127.0.0.1"})
    return [
        AccessRequest(
            principal, f"{service}:Put{number}", f"arn:aws:{service}:eu-west-1:{ACCOUNT}:thing/{number}-1", ACCOUNT,
            context,
        )
        for service in SERVICES
        for number in range(STATEMENTS)
    ]  # fmt: skip


def decision_figures() -> dict[str, Any]:
    """Medians. With caches: the question was asked before. Without: the policies were read, and nothing was asked."""
    texts, asked = documents(), questions()
    policies = _read(texts)
    _decide(asked, policies)
    with_caches = [_decide([question], policies) for _ in range(REPETITIONS) for question in asked]
    without, from_texts = [], []
    for question in asked:
        _forget()
        began = time.perf_counter()
        policies = _read(texts)
        reading_s = time.perf_counter() - began
        without.append(_decide([question], policies))
        from_texts.append(reading_s + without[-1])
    return {
        "policies": len(texts),
        "statements": len(texts) * STATEMENTS,
        "with_caches_us": _median_us(with_caches),
        "without_caches_us": _median_us(without),
        "from_the_texts_us": _median_us(from_texts),
    }


def agreement(cases: Path = CASES) -> dict[str, int]:
    """How many of the independent evaluator's answers are ours."""
    rows = [json.loads(line) for line in gzip.decompress(cases.read_bytes()).splitlines()]
    same = sum(_outcome(row) is OUTCOMES[row["expected"]] for row in rows)
    return {"questions": len(rows), "same": same}


def _outcome(row: Mapping[str, Any]) -> Outcome:
    asked, found = row["request"], row["policies"]
    is_session = ":assumed-role/" in asked["principal"]
    request = AccessRequest(
        principal=Principal(asked["principal"], asked["context"]["aws:PrincipalArn"] if is_session else None),
        action=asked["action"],
        resource_arn=asked["resource"]["arn"],
        resource_account=asked["resource"]["account"],
        context=read_context(asked["context"]),
    )
    limits = {
        name: read_policy(json.dumps(found[name]))
        for name in ("boundary", "session", "resource", "trust")
        if found[name] is not None
    }
    identity = tuple(read_policy(json.dumps(one["document"])) for one in found["identity"])
    return decide(request, Policies(identity=identity, **limits)).outcome


def _read(texts: Sequence[str]) -> Policies:
    return Policies(identity=tuple(read_policy(text) for text in texts))


def _decide(asked: Sequence[AccessRequest], policies: Policies) -> float:
    """The seconds of the decisions. ValueError when one is not what it must be."""
    began = time.perf_counter()
    decisions = [decide(question, policies) for question in asked]
    took = time.perf_counter() - began
    if any(decision.outcome is not Outcome.ALLOWED for decision in decisions):
        raise ValueError("a question is denied, though a statement allows it")
    return took


def _forget() -> None:
    """Empty every cache of the evaluator."""
    for module in (conditions, match, policy):
        for value in vars(module).values():
            if hasattr(value, "cache_clear"):
                value.cache_clear()


def _median_us(seconds: Sequence[float]) -> float:
    return round(statistics.median(seconds) * 1e6, 1)


if __name__ == "__main__":
    sys.exit(main())
