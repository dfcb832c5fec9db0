"""What jobs may say of their indexes and policies, and what may become of their status, in Kubernetes' words."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml

from kuartui.embedded.kinds import job_rules
from kuartui.embedded.kinds.base import WriteContext, strategy
from kuartui.embedded.meta.fielderr import Path

Obj = dict[str, Any]


def job(spec: str, name: str = "x") -> Obj:
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}
    obj: Obj = {"metadata": {"name": name, "uid": "u"}, "spec": {"template": template, **yaml.safe_load(spec)}}
    rules = strategy("jobs.batch")
    rules.default(obj)
    rules.prepare_create(obj, WriteContext())
    return obj


def problems(spec: str, name: str = "x") -> list[str]:
    return [str(error) for error in strategy("jobs.batch").validate(job(spec, name))]


RULES = "spec.podFailurePolicy.rules"
DONE = "spec.successPolicy.rules"


@pytest.mark.parametrize(
    ("spec", "errors"),
    [
        (
            "{maxFailedIndexes: 1}",
            [
                "spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified",
                "spec.maxFailedIndexes: Invalid value: 1: requires indexed completion mode",
            ],
        ),
        (
            "{completionMode: Indexed, completions: 3, backoffLimitPerIndex: 1, maxFailedIndexes: 9}",
            ["spec.maxFailedIndexes: Invalid value: 9: must be less than or equal to completions"],
        ),
        (
            "{completionMode: Indexed, completions: 200000, backoffLimitPerIndex: 1}",
            ["spec.maxFailedIndexes: Required value: must be specified when completions is above 100000"],
        ),
        (
            "{completionMode: Indexed, completions: 200000, parallelism: 200000}",
            [
                "spec.parallelism: Invalid value: 200000: must be less than or equal to 100000 when completion mode is Indexed"
            ],
        ),
        (
            "{managedBy: a}",
            ['spec.managedBy: Invalid value: "a": must be a domain-prefixed path (such as "acme.io/foo")'],
        ),
        ("{managedBy: acme.io/foo}", []),
        (
            "{selector: {matchLabels: {a: b}}}",
            [
                'spec.selector: Invalid value: {"matchLabels":{"a":"b","batch.kubernetes.io/controller-uid":"u"}}: '
                "`selector` not auto-generated",
                'spec.template.metadata.labels: Invalid value: {"batch.kubernetes.io/controller-uid":"u",'
                '"batch.kubernetes.io/job-name":"x","controller-uid":"u","job-name":"x"}: '
                "`selector` does not match template `labels`",
            ],
        ),
        (
            "{podFailurePolicy: {rules: [{onExitCodes: {values: [0, 3, 2, 2], operator: In}, onPodConditions: [{type: X}]}]}}",
            [
                f'{RULES}[0].action: Required value: valid values: ["Count" "FailIndex" "FailJob" "Ignore"]',
                f"{RULES}[0].onExitCodes.values[0]: Invalid value: 0: must not be 0 for the In operator",
                f"{RULES}[0].onExitCodes.values[3]: Duplicate value: 2",
                f"{RULES}[0].onExitCodes.values: Invalid value: [0,3,2,2]: must be ordered",
                f"{RULES}[0]: Invalid value: specifying both OnExitCodes and OnPodConditions is not supported",
            ],
        ),
        (
            "{podFailurePolicy: {rules: [{action: FailJob, onExitCodes: {operator: NotIn}}]}}",
            [f"{RULES}[0].onExitCodes.values: Invalid value: null: at least one value is required"],
        ),
        (
            "{successPolicy: {rules: [{succeededIndexes: '0'}]}}",
            [
                'spec.successPolicy: Invalid value: {"Rules":[{"SucceededIndexes":"0","SucceededCount":null}]}: '
                "requires indexed completion mode"
            ],
        ),
        (
            "{completionMode: Indexed, completions: 3, successPolicy: {rules: [{}, {succeededIndexes: a}, "
            "{succeededIndexes: 0-5}, {succeededIndexes: '2,1'}, {succeededIndexes: '0', succeededCount: 2}]}}",
            [
                f"{DONE}[0]: Required value: at least one of succeededCount or succeededIndexes must be specified",
                f'{DONE}[1].succeededIndexes: Invalid value: "a": error parsing succeededIndexes: '
                'cannot convert string to integer for index: "a"',
                f'{DONE}[2].succeededIndexes: Invalid value: "0-5": error parsing succeededIndexes: too large index: "5"',
                f'{DONE}[3].succeededIndexes: Invalid value: "2,1": error parsing succeededIndexes: '
                "non-increasing order, previous: 2, current: 1",
                f"{DONE}[4].succeededCount: Invalid value: 2: must be less than or equal to 1 "
                "(the number of indexes in the specified succeededIndexes field)",
            ],
        ),
    ],
)
def test_what_a_job_may_ask_for(spec: str, errors: list[str]) -> None:
    assert problems(spec) == errors


def test_the_pods_of_an_indexed_job_must_have_names_of_hosts() -> None:
    name = "x" * 62
    assert problems("{}", name) == []
    assert problems("{completionMode: Indexed, completions: 11}", name) == [
        f'metadata.name: Invalid value: "{name}": will not able to create pod with invalid DNS label: {name}-10'
    ]


def test_a_policy_that_changed_is_shown_in_full() -> None:
    def policy(code: int) -> Obj:
        return job(
            f"{{podFailurePolicy: {{rules: [{{action: FailJob, onExitCodes: {{operator: In, values: [{code}]}}}}]}}}}"
        )

    assert [str(error) for error in strategy("jobs.batch").validate_update(policy(2), policy(1))] == [
        'spec.podFailurePolicy: Invalid value: {"Rules":[{"Action":"FailJob","OnExitCodes":{"ContainerName":null,'
        '"Operator":"In","Values":[2]},"OnPodConditions":null}]}: field is immutable'
    ]


FRESH: Obj = {}
RUNNING: Obj = {"startTime": "2030-01-01T00:00:00Z", "active": 1}
STOPPING: Obj = {"active": 1, "conditions": [{"type": "Suspended", "status": "True"}]}
AT_REST: Obj = {"conditions": [{"type": "Suspended", "status": "True"}]}
RESTED_ONCE: Obj = {**AT_REST, "startTime": "2030-01-01T00:00:00Z"}
SIZE = {"containers": [{"name": "c", "image": "i", "resources": {"requests": {"cpu": "1"}}}]}
PLACE = {"nodeSelector": {"disk": "fast"}, "affinity": {"nodeAffinity": {"a": 1}}}


@pytest.mark.parametrize(
    ("suspend", "status", "change", "allowed"),
    [
        (True, AT_REST, SIZE, True),
        (True, RESTED_ONCE, SIZE, True),
        (True, FRESH, SIZE, False),
        (True, STOPPING, SIZE, False),
        (True, RUNNING, SIZE, False),
        (False, AT_REST, SIZE, False),
        (True, AT_REST, PLACE, True),
        (True, RESTED_ONCE, PLACE, True),
        (True, FRESH, PLACE, True),
        (True, RUNNING, PLACE, False),
        (False, FRESH, PLACE, False),
        (True, AT_REST, {**SIZE, **PLACE}, True),
        (True, AT_REST, {"containers": [{"name": "c", "image": "other"}]}, False),
        (True, AT_REST, {"affinity": {"podAffinity": {"a": 1}}}, False),
    ],
)
def test_a_suspended_job_may_change_what_its_pods_ask_for_and_where_they_run(
    suspend: bool, status: Obj, change: Obj, allowed: bool
) -> None:
    old = {**job(f"{{suspend: {str(suspend).lower()}}}"), "status": status}
    new = copy.deepcopy(old)
    containers = change.get("containers") or []
    for own, other in zip(new["spec"]["template"]["spec"]["containers"], containers, strict=False):
        own.update(other)
    new["spec"]["template"]["spec"].update({k: v for k, v in change.items() if k != "containers"})
    errors = job_rules.update_errors(new, old, Path("spec"))
    place = "spec.template.spec" if suspend and status is AT_REST else "spec.template"
    assert [error.field for error in errors] == ([] if allowed else [place])


def conditions(*types: str) -> list[Obj]:
    return [{"type": type_, "status": "True"} for type_ in types]


DAY, LATER = "2030-01-01T00:00:00Z", "2030-01-02T00:00:00Z"
ENDED = {"startTime": DAY, "completionTime": LATER, "conditions": conditions("SuccessCriteriaMet", "Complete")}


@pytest.mark.parametrize(
    ("after", "before", "errors"),
    [
        ({"startTime": DAY, "active": 1}, {}, []),
        (ENDED, {"startTime": DAY}, []),
        (
            {"startTime": DAY, "conditions": conditions("Complete")},
            {"startTime": DAY},
            [
                "status.completionTime: Required value: completionTime is required for Complete jobs",
                "status.conditions: Invalid value: cannot set Complete=True condition without the "
                "SuccessCriteriaMet=true condition",
            ],
        ),
        (
            {"startTime": DAY, "conditions": conditions("Failed"), "active": 1},
            {"startTime": DAY},
            [
                "status.conditions: Invalid value: cannot set Failed=True condition without the FailureTarget=true condition",
                "status.active: Invalid value: 1: active>0 is invalid for finished job",
            ],
        ),
        ({**ENDED, "active": 1}, ENDED, ["status.active: Invalid value: 1: active>0 is invalid for finished job"]),
        ({**ENDED, "active": 1}, {**ENDED, "active": 1}, []),
        (
            {"startTime": DAY, "active": 1, "ready": 2},
            {"startTime": DAY, "active": 2, "ready": 2},
            ["status.ready: Invalid value: 2: cannot set more ready pods than active"],
        ),
        (
            {"startTime": DAY, "conditions": conditions("SuccessCriteriaMet")},
            ENDED,
            ["status.conditions: Invalid value: cannot disable the terminal Complete=True condition"],
        ),
        (
            {"succeeded": 1, "failed": 1},
            {"succeeded": 2, "failed": 2},
            [
                "status.failed: Invalid value: 1: cannot decrease the failed counter",
                "status.succeeded: Invalid value: 1: cannot decrease the succeeded counter",
            ],
        ),
        (
            {"completedIndexes": "0"},
            {},
            [
                'status.completedIndexes: Invalid value: "0": '
                "cannot set non-empty completedIndexes when non-indexed completion mode"
            ],
        ),
        (
            {},
            {"startTime": DAY},
            ["status.startTime: Invalid value: null: field is immutable for unsuspended job once set"],
        ),
    ],
)
def test_what_may_become_of_a_jobs_status(after: Obj, before: Obj, errors: list[str]) -> None:
    new, old = {**job("{}"), "status": after}, {**job("{}"), "status": before}
    assert [str(error) for error in strategy("jobs.batch").validate_status_update(new, old)] == errors
