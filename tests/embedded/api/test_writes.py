"""Creating, updating, patching and deleting objects of any kind."""

from __future__ import annotations

from typing import Any

import pytest

from kuartui.embedded.api.binding import bind
from kuartui.embedded.api.rest import Write
from kuartui.embedded.meta.errors import StatusError
from tests.embedded.api.server import ADMIN, Server

MAPS = "/api/v1/namespaces/default/configmaps"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
MERGE = "application/merge-patch+json"


def deployment(name: str = "web", **spec: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c", "image": "nginx"}]}}
    selector = {"matchLabels": {"app": name}}
    return {"metadata": {"name": name}, "spec": {"selector": selector, "template": template, **spec}}


# Creation


async def test_creation_gives_identity(server: Server) -> None:
    made = await server.json(
        "POST", f"{MAPS}?fieldManager=me", {"metadata": {"name": "a"}, "data": {"x": "1"}}, code=201
    )
    metadata = made["metadata"]
    assert (made["apiVersion"], made["kind"], metadata["namespace"]) == ("v1", "ConfigMap", "default")
    assert len(metadata["uid"]) == 36
    assert metadata["creationTimestamp"].endswith("Z")
    assert metadata["managedFields"][0]["manager"] == "me"


async def test_a_job_leaves_its_pods_unless_told_what_becomes_of_them(server: Server) -> None:
    jobs = "/apis/batch/v1/namespaces/default/jobs"
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}
    for name in ("a", "b"):
        await server.json("POST", jobs, {"metadata": {"name": name}, "spec": {"template": template}})
    left = await server.ask("DELETE", f"{jobs}/a")
    (warning,) = [value for key, value in left.headers if key.lower() == "warning"]
    assert "child pods are preserved by default when jobs are deleted" in warning
    assert (await server.json("GET", f"{jobs}/a"))["metadata"]["finalizers"] == ["orphan"]
    gone = await server.ask("DELETE", f"{jobs}/b?propagationPolicy=Background")
    assert not [key for key, _ in gone.headers if key.lower() == "warning"]
    await server.json("GET", f"{jobs}/b", code=404)


async def test_an_apply_that_names_another_uid_is_refused(server: Server) -> None:
    def body(name: str) -> dict[str, Any]:
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "uid": "u"}}

    kind = "application/apply-patch+yaml"
    new = await server.json("PATCH", f"{MAPS}/a?fieldManager=me", body("a"), code=409, content_type=kind)
    assert "uid mismatch: the provided object specified uid u, and no existing object was found" in new["message"]
    await server.json("POST", MAPS, {"metadata": {"name": "b"}})
    old = await server.json("PATCH", f"{MAPS}/b?fieldManager=me", body("b"), code=422, content_type=kind)
    assert old["message"] == 'ConfigMap "b" is invalid: metadata.uid: Invalid value: "u": field is immutable'


async def test_who_writes_a_daemon_set_owns_the_generation_of_its_template_but_who_applies_does_not(
    server: Server,
) -> None:
    sets, key = "/apis/apps/v1/namespaces/default/daemonsets", "deprecated.daemonset.template.generation"
    made = await server.json("POST", f"{sets}?fieldManager=me", deployment("a"), code=201)
    assert made["metadata"]["annotations"] == {key: "1"}
    (entry,) = made["metadata"]["managedFields"]
    assert f"f:{key}" in entry["fieldsV1"]["f:metadata"]["f:annotations"]
    body = {"apiVersion": "apps/v1", "kind": "DaemonSet", **deployment("b")}
    target = f"{sets}/b?fieldManager=me"
    applied = await server.json("PATCH", target, body, code=201, content_type="application/apply-patch+yaml")
    (entry,) = applied["metadata"]["managedFields"]
    assert "f:metadata" not in entry["fieldsV1"]


async def test_a_generated_name_begins_as_asked(server: Server) -> None:
    made = await server.json("POST", MAPS, {"metadata": {"generateName": "job-"}})
    assert made["metadata"]["name"].startswith("job-")
    assert len(made["metadata"]["name"]) == 9


async def test_a_name_can_be_taken_once(server: Server) -> None:
    await server.config_map("a")
    answer = await server.json("POST", MAPS, {"metadata": {"name": "a"}}, code=409)
    assert (answer["reason"], answer["message"]) == ("AlreadyExists", 'configmaps "a" already exists')


async def test_a_resource_version_is_not_for_creation(server: Server) -> None:
    claimed = {"metadata": {"name": "a", "resourceVersion": "5"}}
    answer = await server.json("POST", MAPS, claimed, code=500)
    assert answer["message"] == "resourceVersion should not be set on objects to be created"
    assert "reason" not in answer
    await server.json("POST", f"{MAPS}?dryRun=All", claimed, code=201)
    answer = await server.json("POST", MAPS, {"metadata": {"name": "A", "resourceVersion": "5"}}, code=422)
    assert answer["message"].startswith('ConfigMap "A" is invalid: metadata.name: ')


async def test_resource_version_zero_means_any(server: Server) -> None:
    made = await server.json("POST", MAPS, {"metadata": {"name": "a", "resourceVersion": "0"}}, code=201)
    assert made["metadata"]["resourceVersion"] != "0"
    body = {"metadata": {"name": "a", "resourceVersion": "0"}, "data": {"x": "1"}}
    assert (await server.json("PUT", f"{MAPS}/a", body, code=200))["data"] == {"x": "1"}


async def test_a_body_that_is_no_json_says_how_it_began(server: Server) -> None:
    answer = await server.json("POST", "/api/v1/namespaces", b"apiVersion: v1\nkind: Pod\nmetadata: {}", code=400)
    assert answer["message"] == (
        "the object provided is unrecognized (must be of type Namespace): couldn't get version/kind; json parse error: "
        "invalid character 'a' looking for beginning of value "
        "(61706956657273696f6e3a2076310a6b696e643a20506f640a6d65746164 ...)"
    )


async def test_what_the_server_adds_belongs_to_nobody(server: Server) -> None:
    services = "/api/v1/namespaces/default/services"
    body = {"metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}]}}
    made = await server.json("POST", services, body)
    assert made["spec"]["clusterIP"]
    assert made["spec"]["sessionAffinity"] == "None"
    (entry,) = made["metadata"]["managedFields"]
    owned = entry["fieldsV1"]["f:spec"]
    assert "f:sessionAffinity" in owned, "a default is the writer's"
    assert not {"f:clusterIP", "f:clusterIPs", "f:ipFamilies"} & owned.keys(), "what was allocated is not"


async def test_generations_count_from_one(server: Server) -> None:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "nginx"}]}}
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
    body = {"metadata": {"name": "a", "generation": 7}, "spec": spec}
    made = await server.json("POST", "/apis/apps/v1/namespaces/default/deployments", body)
    assert made["metadata"]["generation"] == 1


async def test_a_subresource_owns_only_what_it_may_change(server: Server) -> None:
    pods = "/api/v1/namespaces/default/pods"
    container = {"name": "c", "image": "a:1", "resources": {"requests": {"cpu": "1"}}}
    made = await server.json(
        "POST", f"{pods}?fieldManager=me", {"metadata": {"name": "p"}, "spec": {"containers": [container]}}
    )
    kind = "application/strategic-merge-patch+json"
    image = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "a:2"}]}}
    assert await server.json("PATCH", f"{pods}/p/resize?fieldManager=you", image, content_type=kind) == made
    more = {"spec": {"containers": [{"name": "c", "image": "a:2", "resources": {"requests": {"cpu": "2"}}}]}}
    resized = await server.json("PATCH", f"{pods}/p/resize?fieldManager=you", more, content_type=kind)
    mine, yours = resized["metadata"]["managedFields"]
    assert (mine["manager"], mine["fieldsV1"]["f:spec"]["f:containers"]['k:{"name":"c"}']["f:image"]) == ("me", {})
    assert yours["fieldsV1"] == {
        "f:spec": {"f:containers": {'k:{"name":"c"}': {"f:resources": {"f:requests": {"f:cpu": {}}}}}}
    }


async def managers(server: Server, name: str) -> list[str]:
    metadata = (await server.json("GET", f"{MAPS}/{name}"))["metadata"]
    return [entry["manager"] for entry in metadata.get("managedFields", ())]


async def test_a_writer_may_say_who_manages_what(server: Server) -> None:
    made = await server.json("POST", f"{MAPS}?fieldManager=me", {"metadata": {"name": "a"}, "data": {"x": "1"}})
    entries = made["metadata"]["managedFields"]
    patch = [{"op": "replace", "path": "/metadata/managedFields", "value": [{**entries[0], "manager": "you"}]}]
    kind = "application/json-patch+json"
    await server.json("PATCH", f"{MAPS}/a", patch, content_type=kind)
    assert await managers(server, "a") == ["you"]
    patch[0]["value"] = []
    await server.json("PATCH", f"{MAPS}/a", patch, content_type=kind)
    assert await managers(server, "a") == ["you"], "an empty list says nothing"
    patch[0]["value"] = [{}]
    await server.json("PATCH", f"{MAPS}/a", patch, content_type=kind)
    assert await managers(server, "a") == []
    merge = "application/merge-patch+json"
    await server.json("PATCH", f"{MAPS}/a?fieldManager=me", {"data": {"x": "2"}}, content_type=merge)
    assert await managers(server, "a") == [], "nobody is tracked until somebody applies"
    body = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"y": "1"}}
    await server.json("PATCH", f"{MAPS}/a?fieldManager=me", body, content_type="application/apply-patch+yaml")
    assert await managers(server, "a") == ["me", "before-first-apply"]


async def test_a_dry_run_stores_nothing(server: Server) -> None:
    await server.json("POST", f"{MAPS}?dryRun=All", {"metadata": {"name": "a"}}, code=201)
    await server.json("GET", f"{MAPS}/a", code=404)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{bad", "couldn't get version/kind; json parse error: invalid character 'b'"),
        (b"[]", "json: cannot unmarshal array into Go value of type struct"),
        (
            b'{"apiVersion":"v2","kind":"ConfigMap"}',
            'ConfigMap in version "v2" cannot be handled as a ConfigMap: no kind',
        ),
        (
            b'{"kind":"Foo"}',
            'Foo in version "v1" cannot be handled as a ConfigMap: no kind "Foo" is registered for version',
        ),
        (
            b'{"apiVersion":"apps/v1","kind":"Deployment"}',
            'Deployment in version "v1" cannot be handled as a ConfigMap: '
            "converting (v1.Deployment) to (core.ConfigMap): unknown conversion",
        ),
        (b'{"metadata":{"name":5}}', "json: cannot unmarshal number"),
    ],
)
async def test_bodies_that_are_no_such_object_are_bad_requests(server: Server, body: bytes, words: str) -> None:
    answer = await server.json("POST", MAPS, body, code=400)
    assert words in answer["message"]


async def test_another_version_of_the_kind_is_not_the_one_of_the_path(server: Server) -> None:
    body = {"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "h"}}
    target = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers"
    answer = await server.json("POST", target, body, code=400)
    assert answer["message"] == (
        "the API version in the data (autoscaling/v1) does not match the expected API version (autoscaling/v2)"
    )


async def test_unknown_media_types_are_unsupported(server: Server) -> None:
    answer = await server.json("POST", MAPS, b"x", code=415, content_type="text/plain")
    assert answer["reason"] == "UnsupportedMediaType"


async def test_unknown_and_duplicate_fields_warn_or_fail_as_asked(server: Server) -> None:
    body = b'{"metadata":{"name":"a"},"datas":{},"data":{"x":"1"},"data":{"x":"2"}}'
    answer = await server.json("POST", f"{MAPS}?fieldValidation=Strict", body, code=400)
    assert 'strict decoding error: unknown field "datas", duplicate field "data"' in answer["message"]
    response = await server.ask("POST", f"{MAPS}?fieldValidation=Warn", body)
    assert [value for name, value in response.headers if name == "Warning"] == [
        'unknown field "datas"',
        'duplicate field "data"',
    ]
    other = body.replace(b'"a"', b'"b"')
    assert (await server.ask("POST", f"{MAPS}?fieldValidation=Ignore", other)).headers == []


async def test_strict_validation_of_yaml_and_of_what_is_applied(server: Server) -> None:
    text = b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: m\ndata:\n  a: x\n  a: y\n"
    why = 'yaml: unmarshal errors:\n  line 7: key "a" already set in map'
    answer = await server.json("POST", f"{MAPS}?fieldValidation=Strict", text, 400, content_type="application/yaml")
    assert answer["message"].endswith(f"strict decoding error: {why}")
    apply = "application/apply-patch+yaml"
    target = f"{MAPS}/m?fieldManager=me&fieldValidation="
    answer = await server.json("PATCH", f"{target}Strict", text, 400, content_type=apply)
    assert answer["message"] == f"error strict decoding YAML: error converting YAML to JSON: {why}"
    applied = await server.json("PATCH", f"{target}Warn", text, content_type=apply)
    assert applied["data"] == {"a": "y"}


async def _warned(server: Server, method: str, target: str, body: bytes, kind: str = "") -> list[str]:
    headers = {"content_type": kind} if kind else {}
    response = await server.ask(method, target, body, **headers)
    assert response.status < 300, response.body
    return [value for name, value in response.headers if name == "Warning"]


async def test_what_is_unknown_twice_is_told_once(server: Server) -> None:
    body = b'{"metadata":{"name":"a"},"datas":{},"datas":{}}'
    answer = await server.json("POST", f"{MAPS}?fieldValidation=Strict", body, code=400)
    assert answer["message"].endswith('strict decoding error: unknown field "datas"')


async def test_keys_that_come_twice_in_yaml_are_warned_of(server: Server) -> None:
    text = b"kind: ConfigMap\nmetadata:\n  name: m\nfoo: 1\ndata:\n  a: x\n  a: y\nbar: 2\n"
    assert await _warned(server, "POST", MAPS, text, "application/yaml") == [
        'line 7: key "a" already set in map',
        'unknown field "bar"',
        'unknown field "foo"',
    ]
    applied = b"apiVersion: v1\nkind: ConfigMap\ndata:\n  b: x\n  a: x\n  b: y\n  a: y\n"
    target = f"{MAPS}/m?fieldManager=me&force=true"
    assert await _warned(server, "PATCH", target, applied, "application/apply-patch+yaml") == [
        'line 6: key "b" already set in map',
        'line 7: key "a" already set in map',
    ]


async def test_what_does_not_fit_is_told_before_keys_that_come_twice(server: Server) -> None:
    text = b'{"apiVersion":"v1","kind":"ConfigMap","foo":1,"foo":2}'
    target = f"{MAPS}/m?fieldManager=me&fieldValidation=Strict"
    answer = await server.json("PATCH", target, text, 500, content_type="application/apply-patch+yaml")
    assert answer["message"].endswith(".foo: field not declared in schema")


@pytest.mark.parametrize("kind", ["merge", "strategic-merge"])
async def test_a_patch_tells_what_comes_twice_and_then_what_is_unknown(server: Server, kind: str) -> None:
    await server.config_map("m", a="x")
    body = b'{"z":1,"z":2,"data":{"b":"1","b":"2"},"metadata":{"y":1}}'
    assert await _warned(server, "PATCH", f"{MAPS}/m", body, f"application/{kind}-patch+json") == [
        'duplicate field "z"',
        'duplicate field "data.b"',
        'unknown field "metadata.y"',
        'unknown field "z"',
    ]


async def test_operations_of_a_json_patch_are_decoded_strictly(server: Server) -> None:
    await server.config_map("m", a="x")
    body = (
        b'[{"op":"add","path":"/y","value":1,"foo":"bar"},'
        b'{"op":"add","path":"/data/c","path":"/data/b","value":"1"},{"op":"add","path":"/z","value":{"a":1,"a":2}}]'
    )
    kind = "application/json-patch+json"
    told = [
        'json patch unknown field "[0].foo"',
        'json patch duplicate field "[1].path"',
        'json patch duplicate field "[2].value.a"',
        'unknown field "y"',
        'unknown field "z"',
    ]
    assert await _warned(server, "PATCH", f"{MAPS}/m", body, kind) == told
    assert await _warned(server, "PATCH", f"{MAPS}/m?fieldValidation=Ignore", body, kind) == []
    answer = await server.json("PATCH", f"{MAPS}/m?fieldValidation=Strict", body, 422, content_type=kind)
    assert answer["message"].endswith("strict decoding error: " + ", ".join(told))


# Updates


async def test_an_update_of_an_old_version_conflicts(server: Server) -> None:
    old = await server.config_map("a", x="1")
    await server.json("PUT", f"{MAPS}/a", {**old, "data": {"x": "2"}})
    answer = await server.json("PUT", f"{MAPS}/a", {**old, "data": {"x": "3"}}, code=409)
    assert answer["message"] == (
        'Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes to '
        "the latest version and try again"
    )


async def test_an_update_that_changes_nothing_keeps_the_version(server: Server) -> None:
    made = await server.config_map("a", x="1")
    again = await server.json("PUT", f"{MAPS}/a", made)
    assert again["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


async def test_generation_counts_changes_of_the_spec_only(server: Server) -> None:
    await server.json("POST", DEPLOYMENTS, deployment())
    patch = {"metadata": {"labels": {"x": "y"}}}
    assert (await server.json("PATCH", f"{DEPLOYMENTS}/web", patch, content_type=MERGE))["metadata"]["generation"] == 1
    patch = {"spec": {"replicas": 3}}
    assert (await server.json("PATCH", f"{DEPLOYMENTS}/web", patch, content_type=MERGE))["metadata"]["generation"] == 2


async def test_annotations_of_a_deployment_are_a_new_generation_too(server: Server) -> None:
    await server.json("POST", DEPLOYMENTS, deployment())
    patch = {"metadata": {"annotations": {"kubernetes.io/change-cause": "x"}}}
    assert (await server.json("PATCH", f"{DEPLOYMENTS}/web", patch, content_type=MERGE))["metadata"]["generation"] == 2
    sets = "/apis/apps/v1/namespaces/default/statefulsets"
    await server.json("POST", sets, deployment())
    assert (await server.json("PATCH", f"{sets}/web", patch, content_type=MERGE))["metadata"]["generation"] == 1


async def test_a_priority_class_stays_of_the_first_generation(server: Server) -> None:
    classes = "/apis/scheduling.k8s.io/v1/priorityclasses"
    await server.json("POST", classes, {"metadata": {"name": "high"}, "value": 1})
    changed = await server.json("PATCH", f"{classes}/high", {"description": "x"}, content_type=MERGE)
    assert changed["metadata"]["generation"] == 1


async def test_status_is_written_through_its_subresource_only(server: Server) -> None:
    await server.json("POST", DEPLOYMENTS, deployment() | {"status": {"replicas": 7}})
    assert "replicas" not in (await server.json("GET", f"{DEPLOYMENTS}/web")).get("status", {})
    patch = {"spec": {"replicas": 9}, "status": {"replicas": 2}}
    changed = await server.json("PATCH", f"{DEPLOYMENTS}/web/status", patch, content_type=MERGE)
    assert (changed["spec"]["replicas"], changed["status"]["replicas"]) == (1, 2)
    kept = await server.json("PATCH", f"{DEPLOYMENTS}/web", {"status": {"replicas": 5}}, content_type=MERGE)
    assert kept["status"]["replicas"] == 2


async def test_status_brings_metadata_along_as_far_as_its_kind_allows(server: Server) -> None:
    both = {"metadata": {"labels": {"l": "1"}, "annotations": {"a": "1"}}}

    async def kept(path: str) -> tuple[str | None, str | None]:
        metadata = (await server.json("PATCH", f"{path}/status", both, content_type=MERGE))["metadata"]
        return metadata.get("labels", {}).get("l"), metadata.get("annotations", {}).get("a")

    await server.json("POST", DEPLOYMENTS, deployment())
    assert await kept(f"{DEPLOYMENTS}/web") == (None, "1")
    await server.json("POST", "/api/v1/namespaces", {"metadata": {"name": "n"}})
    assert await kept("/api/v1/namespaces/n") == ("1", "1")
    attachments = "/apis/storage.k8s.io/v1/volumeattachments"
    spec = {"attacher": "a.example", "nodeName": "n", "source": {"persistentVolumeName": "v"}}
    await server.json("POST", attachments, {"metadata": {"name": "va"}, "spec": spec})
    assert await kept(f"{attachments}/va") == (None, None)


async def test_a_node_is_registered_with_its_status_but_a_writer_changes_none_of_it(server: Server) -> None:
    node = {"metadata": {"name": "n"}, "status": {"capacity": {"memory": "1Gi"}}}
    made = await server.json("POST", "/api/v1/nodes", node)
    assert made["status"]["capacity"] == made["status"]["allocatable"] == {"memory": "1Gi"}
    made["status"]["capacity"] = {"memory": "2Gi"}
    assert (await server.json("PUT", "/api/v1/nodes/n", made))["status"]["capacity"] == {"memory": "1Gi"}


async def test_what_cannot_change_is_said_to_be_immutable(server: Server) -> None:
    await server.json("POST", DEPLOYMENTS, deployment())
    patch = {"spec": {"selector": {"matchLabels": {"app": "other"}}}}
    answer = await server.json("PATCH", f"{DEPLOYMENTS}/web", patch, code=422, content_type=MERGE)
    assert "field is immutable" in answer["message"]


async def test_the_name_in_the_body_must_be_the_one_in_the_path(server: Server) -> None:
    await server.config_map("a")
    answer = await server.json("PUT", f"{MAPS}/a", {"metadata": {"name": "b"}}, code=400)
    assert answer["message"] == "the name of the object (b) does not match the name on the URL (a)"


# Patches


async def test_strategic_patches_merge_lists_by_key(server: Server) -> None:
    await server.json("POST", DEPLOYMENTS, deployment())
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "d", "image": "redis"}]}}}}
    kind = "application/strategic-merge-patch+json"
    changed = await server.json("PATCH", f"{DEPLOYMENTS}/web", patch, content_type=kind)
    assert [c["name"] for c in changed["spec"]["template"]["spec"]["containers"]] == ["d", "c"]


async def test_json_patches_that_do_not_fit_change_nothing(server: Server) -> None:
    await server.config_map("a", x="1")
    patch = [{"op": "add", "path": "/data/y", "value": "2"}, {"op": "test", "path": "/data/x", "value": "9"}]
    kind = "application/json-patch+json"
    answer = await server.json("PATCH", f"{MAPS}/a", patch, code=422, content_type=kind)
    assert answer["message"] == "the server rejected our request due to an error in our request"
    assert (await server.json("GET", f"{MAPS}/a"))["data"] == {"x": "1"}


async def test_a_strategic_patch_of_null_changes_nothing(server: Server) -> None:
    made = await server.json("POST", MAPS, {"metadata": {"name": "a"}, "data": {"x": "1"}})
    kind = "application/strategic-merge-patch+json"
    assert await server.json("PATCH", f"{MAPS}/a", b"null", content_type=kind) == made
    answer = await server.json("PATCH", f"{MAPS}/a", b'"x"', code=400, content_type=kind)
    assert answer["message"] == "json: cannot unmarshal string into Go value of type map[string]interface {}"


async def test_applying_creates_and_owns(server: Server) -> None:
    kind = "application/apply-patch+yaml"
    target = f"{MAPS}/a?fieldManager=me"
    body = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"x": "1", "y": "1"}}
    made = await server.json("PATCH", target, body, code=201, content_type=kind)
    assert [entry["operation"] for entry in made["metadata"]["managedFields"]] == ["Apply"]
    changed = await server.json("PATCH", target, {**body, "data": {"x": "2"}}, code=200, content_type=kind)
    assert changed["data"] == {"x": "2"}
    other = f"{MAPS}/a?fieldManager=other"
    answer = await server.json("PATCH", other, {**body, "data": {"x": "3"}}, code=409, content_type=kind)
    assert answer["message"] == 'Apply failed with 1 conflict: conflict with "me": .data.x'
    forced = await server.json("PATCH", f"{other}&force=true", {**body, "data": {"x": "3"}}, content_type=kind)
    assert forced["data"] == {"x": "3"}


async def test_applying_needs_a_manager_and_known_fields(server: Server) -> None:
    kind = "application/apply-patch+yaml"
    body = {"apiVersion": "v1", "kind": "ConfigMap", "datas": {}}
    answer = await server.json("PATCH", f"{MAPS}/a", body, code=422, content_type=kind)
    assert answer["message"].endswith("fieldManager: Required value: is required for apply patch")
    answer = await server.json("PATCH", f"{MAPS}/a?fieldManager=me", body, code=500, content_type=kind)
    assert answer["message"] == (
        "failed to create typed patch object (default/a; /v1, Kind=ConfigMap): .datas: field not declared in schema"
    )


async def test_applying_what_fits_the_schema_but_not_the_type(server: Server) -> None:
    hard = {"pods": "many"}
    body = {"apiVersion": "v1", "kind": "ResourceQuota", "spec": {"hard": hard}}
    target = "/api/v1/namespaces/default/resourcequotas/q?fieldManager=me"
    answer = await server.json("PATCH", target, body, code=500, content_type="application/apply-patch+yaml")
    assert answer["message"] == (
        "failed to convert new object (default/q; /v1, Kind=ResourceQuota) to proper version: unable to convert unstructured "
        "object to /v1, Kind=ResourceQuota: quantities must match the regular expression "
        "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
    )


async def test_labels_that_nobody_applies_any_more_leave_nothing(server: Server) -> None:
    kind, target = "application/apply-patch+yaml", f"{MAPS}/a?fieldManager=me"
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"labels": {"a": "b"}}}
    await server.json("PATCH", target, body, code=201, content_type=kind)
    bare = await server.json("PATCH", target, {**body, "metadata": {}}, content_type=kind)
    assert "labels" not in bare["metadata"]


# Deletion


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (
            {"ownerReferences": [{"apiVersion": "", "kind": "", "name": "", "uid": ""}]},
            '[metadata.ownerReferences.apiVersion: Invalid value: "": version must not be empty, '
            'metadata.ownerReferences.kind: Invalid value: "": must not be empty, '
            'metadata.ownerReferences.name: Invalid value: "": must not be empty, '
            'metadata.ownerReferences.uid: Invalid value: "": must not be empty]',
        ),
        (
            {
                "ownerReferences": [
                    {"uid": "1", "name": "a", "kind": "Pod", "controller": True, "apiVersion": "v1"},
                    {
                        "uid": "2",
                        "name": "b",
                        "kind": "Pod",
                        "controller": True,
                        "blockOwnerDeletion": False,
                        "apiVersion": "v1",
                    },
                ]
            },
            'metadata.ownerReferences: Invalid value: [{"apiVersion":"v1","kind":"Pod","name":"a","uid":"1",'
            '"controller":true},{"apiVersion":"v1","kind":"Pod","name":"b","uid":"2","controller":true,'
            '"blockOwnerDeletion":false}]: Only one reference can have Controller set to true. '
            'Found "true" in references for Pod/a and Pod/b',
        ),
        (
            {"ownerReferences": [{"apiVersion": "v1", "kind": "Event", "name": "a", "uid": "1"}]},
            'metadata.ownerReferences: Invalid value: {"apiVersion":"v1","kind":"Event","name":"a","uid":"1"}: '
            "/v1, Kind=Event is disallowed from being an owner",
        ),
        (
            {"finalizers": ["orphan", "foregroundDeletion"]},
            'metadata.finalizers: Invalid value: ["orphan","foregroundDeletion"]: '
            "finalizer orphan and foregroundDeletion cannot be both set",
        ),
        (
            {"finalizers": ["x", "orphan", "foregroundDeletion"]},
            '[metadata.finalizers: Invalid value: ["x","orphan","foregroundDeletion"]: '
            "finalizer orphan and foregroundDeletion cannot be both set, "
            'metadata.finalizers[0]: Invalid value: "x": '
            "name is neither a standard finalizer name nor is it fully qualified]",
        ),
    ],
)
async def test_owners_and_finalizers_are_checked(server: Server, metadata: dict[str, Any], message: str) -> None:
    body = {"metadata": {"name": "a", **metadata}}
    answer = await server.json("POST", "/api/v1/namespaces/default/configmaps", body, code=422)
    assert answer["message"] == f'ConfigMap "a" is invalid: {message}'


async def test_metadata_of_an_update_is_checked_before_what_it_changes(server: Server) -> None:
    await server.config_map("a")
    gone = "2030-01-01T00:00:00Z"
    change = {"metadata": {"deletionTimestamp": gone, "labels": {"a": "b c"}, "finalizers": ["x"]}}
    answer = await server.json("PATCH", f"{MAPS}/a", change, content_type=MERGE, code=422)
    assert [cause["field"] for cause in answer["details"]["causes"]] == [
        "metadata.labels",
        "metadata.deletionTimestamp",
        "metadata.finalizers[0]",
    ]


async def test_a_budget_may_have_any_name(server: Server) -> None:
    budgets = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
    await server.json("POST", budgets, {"metadata": {"name": "A_b", "finalizers": ["x"]}, "spec": {"minAvailable": 1}})
    await server.json("POST", budgets, {"metadata": {"name": "a%b"}, "spec": {"minAvailable": 1}}, code=422)


async def test_a_system_priority_class_stays(server: Server) -> None:
    name = "system-node-critical"
    classes = "/apis/scheduling.k8s.io/v1/priorityclasses"
    await server.json("POST", classes, {"metadata": {"name": name}, "value": 2_000_001_000})
    answer = await server.json("DELETE", f"{classes}/{name}", code=403)
    why = "this is a system priority class and cannot be deleted"
    assert answer["message"] == f'priorityclasses.scheduling.k8s.io "{name}" is forbidden: {why}'
    await server.json("GET", f"{classes}/{name}")


async def test_deletion_answers_what_is_gone(server: Server) -> None:
    made = await server.config_map("a")
    answer = await server.json("DELETE", f"{MAPS}/a")
    assert answer["status"] == "Success"
    assert answer["details"] == {"name": "a", "kind": "configmaps", "uid": made["metadata"]["uid"]}
    await server.json("GET", f"{MAPS}/a", code=404)


async def test_finalizers_keep_an_object_until_they_are_gone(server: Server) -> None:
    body = {"metadata": {"name": "a", "finalizers": ["example.com/wait"]}}
    await server.json("POST", MAPS, body)
    going = await server.json("DELETE", f"{MAPS}/a")
    assert going["metadata"]["deletionTimestamp"]
    answer = await server.json("POST", MAPS, body, code=409)
    assert answer["message"] == 'object is being deleted: configmaps "a" already exists'
    await server.json("PATCH", f"{MAPS}/a", {"metadata": {"finalizers": None}}, content_type=MERGE)
    await server.json("GET", f"{MAPS}/a", code=404)


async def test_preconditions_protect_another_object_of_the_same_name(server: Server) -> None:
    await server.config_map("a")
    answer = await server.json("DELETE", f"{MAPS}/a", {"preconditions": {"uid": "other"}}, code=409)
    uid = (await server.json("GET", f"{MAPS}/a"))["metadata"]["uid"]
    assert answer["message"] == (
        f'Operation cannot be fulfilled on ConfigMap "a": the UID in the precondition (other) does not match the UID in '
        f"record ({uid}). The object might have been deleted and then recreated"
    )
    answer = await server.json("DELETE", f"{MAPS}/a", {"preconditions": {"resourceVersion": "0"}}, code=409)
    assert answer["message"].endswith("The object might have been modified")


async def test_the_write_that_lets_an_object_go_answers_with_what_was_written(server: Server) -> None:
    await server.json("POST", MAPS, {"metadata": {"name": "a", "finalizers": ["example.com/hold"]}})
    await server.json("DELETE", f"{MAPS}/a")
    last = await server.json("PATCH", f"{MAPS}/a", {"metadata": {"finalizers": None}}, content_type=MERGE)
    assert "finalizers" not in last["metadata"]
    await server.json("GET", f"{MAPS}/a", code=404)


async def test_finalizers_stay_in_order_where_a_deletion_asks_for_what_is_there(server: Server) -> None:
    before = ["example.com/a", "orphan", "example.com/b"]
    await server.json("POST", MAPS, {"metadata": {"name": "a", "finalizers": before}})
    going = await server.json("DELETE", f"{MAPS}/a?propagationPolicy=Orphan")
    assert going["metadata"]["finalizers"] == before


async def test_owners_are_named_once(server: Server) -> None:
    owner = {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "1"}
    other = {**owner, "controller": True}
    body = {"metadata": {"name": "a", "ownerReferences": [owner, other, owner]}}
    response = await server.ask("POST", MAPS, body)
    warned = [value for name, value in response.headers if name == "Warning"]
    assert [text.partition(" contains")[2].partition(";")[0] for text in warned] == [" duplicate entries"]
    assert warned[0].endswith("duplicate UID(s) observed: 1")
    assert (await server.json("GET", f"{MAPS}/a"))["metadata"]["ownerReferences"] == [owner, other]
    patch = {"metadata": {"ownerReferences": [other, other]}}
    response = await server.ask("PATCH", f"{MAPS}/a", patch, content_type=MERGE)
    warned = [value for name, value in response.headers if name == "Warning"]
    assert len(warned) == 1
    assert "after mutating admission happens" in warned[0]


async def test_propagation_is_kept_as_a_finalizer(server: Server) -> None:
    await server.json("POST", DEPLOYMENTS, deployment())
    going = await server.json("DELETE", f"{DEPLOYMENTS}/web?propagationPolicy=Foreground")
    assert going["metadata"]["finalizers"] == ["foregroundDeletion"]


async def test_a_collection_is_deleted_by_selector(server: Server) -> None:
    await server.config_map("a", labels={"x": "1"})
    await server.config_map("b")
    await server.json("DELETE", f"{MAPS}?labelSelector=x%3D1")
    assert [item["metadata"]["name"] for item in (await server.json("GET", MAPS))["items"]] == ["b"]


# Paths


async def test_unknown_resources_and_pages_are_not_found_each_in_its_way(server: Server) -> None:
    for target in ("/apis/apps/v1/things", "/apis/apps/v1/namespaces/x/daemonsets/a/scale"):
        answer = await server.json("GET", target, code=404)
        assert answer["message"] == "the server could not find the requested resource"
    for target in ("/nope", "/apis/nope/v1/things"):
        response = await server.ask("GET", target)
        assert (response.status, response.body) == (404, b"404 page not found\n")


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("POST", "/api/v1/componentstatuses"),
        ("GET", "/api/v1/namespaces/default/bindings"),
        ("GET", "/apis/authorization.k8s.io/v1/subjectaccessreviews"),
        ("GET", "/api/v1/namespaces/default/pods/a/eviction"),
        ("GET", "/api/v1/namespaces/default/serviceaccounts/default/token"),
        ("POST", "/api/v1/configmaps"),
        ("DELETE", "/api/v1/configmaps"),
    ],
)
async def test_a_method_that_is_not_there_is_not_allowed(server: Server, method: str, target: str) -> None:
    answer = await server.json(method, target, {} if method == "POST" else None, code=405)
    assert answer["reason"] == "MethodNotAllowed"


@pytest.mark.parametrize(
    "target",
    [
        "/api/v1/namespaces/default/bindings/a",
        "/apis/authorization.k8s.io/v1/subjectaccessreviews/a",
        "/api/v1/configmaps/a",
        "/api/v1/namespaces/default/nodes",
        "/api/v1/namespaces/default/pods/a/status/b",
    ],
)
async def test_a_path_that_no_verb_needs_is_not_there(server: Server, target: str) -> None:
    answer = await server.json("GET", target, code=404)
    assert answer["message"] == "the server could not find the requested resource"


@pytest.mark.parametrize(
    ("metadata", "code", "message"),
    [
        ({"uid": "x"}, 422, 'ConfigMap "a" is invalid: metadata.uid: Invalid value: "x": field is immutable'),
        (
            {"deletionTimestamp": "2030-01-01T00:00:00Z"},
            422,
            'ConfigMap "a" is invalid: metadata.deletionTimestamp: Invalid value: "2030-01-01T00:00:00Z": field is immutable',
        ),
        (
            {"deletionGracePeriodSeconds": 5},
            422,
            'ConfigMap "a" is invalid: metadata.deletionGracePeriodSeconds: Invalid value: 5: field is immutable',
        ),
        ({"name": "b"}, 400, "the name of the object (b) does not match the name on the URL (a)"),
        ({"name": None}, 400, "the name of the object (a based on URL) was undeterminable: name must be provided"),
        (
            {"namespace": "other"},
            400,
            "the namespace of the object (other) does not match the namespace on the request (default)",
        ),
    ],
)
async def test_a_patch_cannot_make_another_object_of_it(
    server: Server, metadata: dict[str, Any], code: int, message: str
) -> None:
    await server.config_map("a")
    patch = {"metadata": metadata}
    answer = await server.json("PATCH", f"{MAPS}/a", patch, code=code, content_type="application/merge-patch+json")
    assert answer["message"] == message


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (
            "merge-patch",
            "error decoding patch: json: cannot unmarshal string into Go value of type map[string]interface {}",
        ),
        ("strategic-merge-patch", "json: cannot unmarshal string into Go value of type map[string]interface {}"),
        (
            "json-patch",
            "error decoding patch: json: cannot unmarshal string into Go value of type []handlers.jsonPatchOp",
        ),
    ],
)
async def test_a_patch_must_be_of_its_form(server: Server, kind: str, message: str) -> None:
    await server.config_map("a")
    answer = await server.json("PATCH", f"{MAPS}/a", "x", code=400, content_type=f"application/{kind}+json")
    assert answer["message"] == message


async def test_a_generation_is_never_negative(server: Server) -> None:
    answer = await server.json("POST", MAPS, {"metadata": {"name": "a", "generation": -1}}, code=422)
    assert answer["message"].endswith("metadata.generation: Invalid value: -1: must be greater than or equal to 0")


@pytest.mark.parametrize(
    ("method", "target", "kind", "message"),
    [
        ("POST", "?dryRun=Some", "CreateOptions", 'dryRun: Unsupported value: ["Some"]: supported values: "All"'),
        (
            "PUT",
            "/a?fieldValidation=Loose",
            "UpdateOptions",
            'fieldValidation: Unsupported value: "Loose": supported values: "", "Ignore", "Strict", "Warn"',
        ),
        ("PATCH", "/a?force=true", "PatchOptions", "force: Forbidden: may not be specified for non-apply patch"),
        (
            "DELETE",
            "/a?propagationPolicy=Sideways",
            "DeleteOptions",
            'propagationPolicy: Unsupported value: "Sideways": supported values: "Foreground", "Background", "Orphan",'
            ' "nil"',
        ),
    ],
)
async def test_options_that_there_are_not_are_refused(
    server: Server, method: str, target: str, kind: str, message: str
) -> None:
    await server.json("POST", MAPS, {"metadata": {"name": "a"}})
    body = None if method == "DELETE" else {}
    answer = await server.json(method, MAPS + target, body, code=422, content_type=MERGE if method == "PATCH" else "")
    assert answer["message"] == f'{kind}.meta.k8s.io "" is invalid: {message}'
    assert answer["details"]["kind"] == kind


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            {"gracePeriodSeconds": "5"},
            "json: cannot unmarshal string into Go struct field DeleteOptions.gracePeriodSeconds of type int64",
        ),
        (
            {"preconditions": "none"},
            "json: cannot unmarshal string into Go struct field DeleteOptions.preconditions of type v1.Preconditions",
        ),
        ({"dryRun": "All"}, "json: cannot unmarshal string into Go struct field DeleteOptions.dryRun of type []string"),
        (
            "now",
            "couldn't get version/kind; json parse error: json: cannot unmarshal string into Go value of type struct { "
            'APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }',
        ),
    ],
)
async def test_options_of_a_deletion_that_cannot_be_decoded(server: Server, body: Any, message: str) -> None:
    await server.config_map("a")
    answer = await server.json("DELETE", f"{MAPS}/a", body, code=500)
    assert (answer["message"], answer.get("reason")) == (message, None)


async def test_a_deletion_with_a_body_minds_no_query(server: Server) -> None:
    await server.config_map("a")
    await server.json("DELETE", f"{MAPS}/a?propagationPolicy=Sideways&dryRun=All", {"kind": "DeleteOptions"})
    await server.json("GET", f"{MAPS}/a", code=404)


async def test_deletions_of_many_can_be_tried_by_their_body(server: Server) -> None:
    await server.config_map("a")
    await server.json("DELETE", MAPS, {"kind": "DeleteOptions", "dryRun": ["All"]})
    await server.json("GET", f"{MAPS}/a")


async def test_duplicate_fields_of_a_patch_are_told(server: Server) -> None:
    await server.json("POST", MAPS, {"metadata": {"name": "a"}, "data": {"x": "1", "y": "2", "z": "3"}})
    patch = b'{"data":{"a":"1","a":"2"}}'
    answer = await server.ask("PATCH", f"{MAPS}/a", patch, content_type=MERGE)
    assert ("Warning", 'duplicate field "data.a"') in answer.headers


@pytest.mark.parametrize(("method", "target"), [("POST", f"{MAPS}/a"), ("PUT", MAPS), ("PATCH", MAPS)])
async def test_objects_are_created_in_collections_and_changed_by_name(server: Server, method: str, target: str) -> None:
    assert (await server.ask(method, target, {}, content_type=MERGE)).status == 405


async def test_a_pod_that_got_its_node_is_promised_none(server: Server) -> None:
    pods = "/api/v1/namespaces/default/pods"
    await server.json("POST", pods, {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}})
    promise = {"status": {"nominatedNodeName": "n1"}}
    await server.json("PATCH", f"{pods}/p/status", promise, content_type=MERGE)
    await bind(server.rest, "default", "p", {"target": {"name": "n2"}}, Write(ADMIN, subresource="binding"))
    pod = await server.json("GET", f"{pods}/p")
    assert pod["spec"]["nodeName"] == "n2"
    assert "nominatedNodeName" not in pod["status"]


async def test_an_evicted_pod_says_so_and_a_dry_run_or_another_pods_eviction_leaves_no_trace(server: Server) -> None:
    pods = "/api/v1/namespaces/default/pods"
    pod = {
        "metadata": {"name": "p", "finalizers": ["a.example/b"]},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }
    rv = (await server.json("POST", pods, pod))["metadata"]["resourceVersion"]

    async def evict(code: int, **options: Any) -> list[str]:
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}, "deleteOptions": options}
        await server.json("POST", f"{pods}/p/eviction", eviction, code=code)
        found = (await server.json("GET", f"{pods}/p"))["status"].get("conditions") or []
        return [one["reason"] for one in found if one["type"] == "DisruptionTarget"]

    assert await evict(201, dryRun=["All"]) == []
    assert await evict(409, preconditions={"uid": "other"}) == []
    assert await evict(201, preconditions={"resourceVersion": rv}) == ["EvictionByEvictionAPI"]
    assert "deletionTimestamp" in (await server.json("GET", f"{pods}/p"))["metadata"]


async def test_a_pod_of_two_budgets_cannot_be_evicted(server: Server) -> None:
    pods = "/api/v1/namespaces/default/pods"
    pod = {"metadata": {"name": "p", "labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    await server.json("POST", pods, pod)
    running = {"status": {"phase": "Running"}}
    await server.json("PATCH", f"{pods}/p/status", running, content_type="application/merge-patch+json")
    for name in ("x", "y"):
        budget = {"metadata": {"name": name}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "minAvailable": 0}}
        await server.json("POST", "/apis/policy/v1/namespaces/default/poddisruptionbudgets", budget)
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}}
    answer = await server.json("POST", f"{pods}/p/eviction", eviction, code=500)
    assert "reason" not in answer
    assert answer["message"] == (
        "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
    )
    other = {**eviction, "metadata": {"name": "q"}}
    answer = await server.json("POST", f"{pods}/p/eviction", other, code=400)
    assert answer["message"] == "name in URL does not match name in Eviction object"


@pytest.mark.parametrize(
    ("method", "path", "code", "message"),
    [
        ("DELETE", "/api/v1/namespaces/default/bindings/x", 404, "the server could not find the requested resource"),
        (
            "GET",
            "/apis/authentication.k8s.io/v1/tokenreviews/x",
            404,
            "the server could not find the requested resource",
        ),
        (
            "GET",
            "/api/v1/namespaces/default/bindings",
            405,
            "the server does not allow this method on the requested resource",
        ),
        (
            "DELETE",
            "/api/v1/namespaces/default/pods/x/log",
            405,
            "the server does not allow this method on the requested resource",
        ),
        (
            "GET",
            "/api/v1/componentstatuses?watch=1",
            405,
            'watch is not supported on resources of kind "componentstatuses"',
        ),
    ],
)
async def test_what_cannot_be_done(server: Server, method: str, path: str, code: int, message: str) -> None:
    assert (await server.json(method, path, code=code))["message"] == message


@pytest.mark.parametrize("subresource", ["", "binding"])
async def test_a_pod_is_bound_by_either_path(server: Server, subresource: str) -> None:
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    await server.json("POST", "/api/v1/namespaces/default/pods", pod)
    binding = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}}
    write = Write(user=ADMIN, manager="me", subresource=subresource)
    await bind(server.rest, "default", "p", binding, write)
    assert (await server.json("GET", "/api/v1/namespaces/default/pods/p"))["spec"]["nodeName"] == "n"
    with pytest.raises(StatusError, match="already assigned"):
        await bind(server.rest, "default", "p", binding, write)


# Creating by PUT and PATCH


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/v1/namespaces/default/services", {"spec": {"ports": [{"port": 80}]}}),
        ("/api/v1/namespaces/default/endpoints", {}),
        ("/api/v1/namespaces/default/limitranges", {"spec": {"limits": [{"type": "Pod", "max": {"cpu": "1"}}]}}),
        ("/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles", {"rules": []}),
        ("/apis/rbac.authorization.k8s.io/v1/clusterroles", {"rules": []}),
        ("/apis/node.k8s.io/v1/runtimeclasses", {"handler": "runc"}),
    ],
)
async def test_old_kinds_are_created_by_an_update(server: Server, path: str, body: dict[str, Any]) -> None:
    stale = {**body, "metadata": {"name": "new", "resourceVersion": "7"}}
    await server.json("PUT", f"{path}/new", stale, code=201)
    gone = {**body, "metadata": {"name": "other", "uid": "abc"}}
    answer = await server.json("PUT", f"{path}/other", gone, code=409)
    assert answer["message"].endswith("Precondition failed: UID in precondition: abc, UID in object meta: ")


async def test_an_update_creates_no_other_kind(server: Server) -> None:
    await server.json("PUT", f"{MAPS}/new", {"metadata": {"name": "new"}}, code=404)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/apis/policy/v1/namespaces/default/poddisruptionbudgets", {"spec": {"minAvailable": 1}}),
        ("/apis/storage.k8s.io/v1/csidrivers", {"spec": {}}),
        ("/apis/node.k8s.io/v1/runtimeclasses", {"handler": "runc"}),
        ("/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations", {}),
    ],
)
async def test_some_kinds_are_updated_by_version_only(server: Server, path: str, body: dict[str, Any]) -> None:
    await server.json("POST", path, {**body, "metadata": {"name": "a"}})
    answer = await server.json("PUT", f"{path}/a", {**body, "metadata": {"name": "a"}}, code=422)
    assert '"a" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified' in answer["message"]
    assert answer["message"].startswith(path.rpartition("/")[2])


async def test_an_object_that_was_made_anew_is_told_before_its_version(server: Server) -> None:
    old = await server.config_map("a")
    await server.json("DELETE", f"{MAPS}/a")
    await server.config_map("a")
    answer = await server.json("PUT", f"{MAPS}/a", old, code=409)
    assert "Precondition failed: UID in precondition" in answer["message"]


async def test_who_may_only_patch_creates_nothing() -> None:
    server = Server()
    rules = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "patch", "update"]}]
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    await server.json("POST", f"{rbac}/clusterroles", {"metadata": {"name": "patcher"}, "rules": rules})
    binding = {
        "metadata": {"name": "patcher"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "patcher"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "pat"}],
    }
    await server.json("POST", f"{rbac}/clusterrolebindings", binding)
    pat = {"impersonate_user": "pat"}
    applied = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}}
    kind = "application/apply-patch+yaml"
    target = f"{MAPS}/m?fieldManager=me"
    answer = await server.json("PATCH", target, applied, 403, content_type=kind, **pat)
    assert answer["message"].startswith('configmaps "m" is forbidden: ')
    service = {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}}
    await server.json("PUT", "/api/v1/namespaces/default/services/s", service, 403, **pat)
    await server.config_map("m")
    await server.json("PATCH", target, applied, content_type=kind, **pat)


@pytest.mark.parametrize(
    "fields",
    [
        {"livenessProbe": {"httpGet": {"path": "/", "port": 80}}},
        {"lifecycle": {"preStop": {"exec": {"command": ["sync"]}}}},
        {"securityContext": {"runAsNonRoot": True, "capabilities": {"drop": ["ALL"]}}},
        {"ports": [{"containerPort": 80}], "env": [{"name": "A", "value": "1"}]},
    ],
)
async def test_what_nobody_applies_any_more_goes_with_its_defaults(server: Server, fields: dict[str, Any]) -> None:
    kind, target = "application/apply-patch+yaml", f"{DEPLOYMENTS}/web?fieldManager=me"
    bare = {"apiVersion": "apps/v1", "kind": "Deployment", **deployment()}
    more = {"apiVersion": "apps/v1", "kind": "Deployment", **deployment()}
    more["spec"]["template"]["spec"]["containers"][0] |= fields
    before = await server.json("PATCH", target, bare, content_type=kind)
    await server.json("PATCH", target, more, content_type=kind)
    after = await server.json("PATCH", target, bare, content_type=kind)
    assert after["spec"] == before["spec"]


async def test_what_others_hold_inside_of_a_struct_stays(server: Server) -> None:
    kind = "application/apply-patch+yaml"
    bare = {"apiVersion": "apps/v1", "kind": "Deployment", **deployment()}
    for manager, field in (("one", {"runAsUser": 1}), ("two", {"runAsGroup": 2})):
        more = {"apiVersion": "apps/v1", "kind": "Deployment", **deployment()}
        more["spec"]["template"]["spec"]["securityContext"] = field
        await server.json("PATCH", f"{DEPLOYMENTS}/web?fieldManager={manager}", more, content_type=kind)
    left = await server.json("PATCH", f"{DEPLOYMENTS}/web?fieldManager=one", bare, content_type=kind)
    assert left["spec"]["template"]["spec"]["securityContext"] == {"runAsGroup": 2}


async def test_an_element_that_its_applier_drops_goes_though_others_changed_it(server: Server) -> None:
    kind, target = "application/apply-patch+yaml", f"{DEPLOYMENTS}/web?fieldManager=one"
    body = {"apiVersion": "apps/v1", "kind": "Deployment", **deployment()}
    body["spec"]["template"]["spec"]["containers"] += [{"name": "d", "image": "redis"}]
    await server.json("PATCH", target, body, content_type=kind)
    change = [{"op": "add", "path": "/spec/template/spec/containers/1/workingDir", "value": "/tmp"}]
    await server.json("PATCH", f"{DEPLOYMENTS}/web", change, content_type="application/json-patch+json")
    bare = {"apiVersion": "apps/v1", "kind": "Deployment", **deployment()}
    left = await server.json("PATCH", target, bare, content_type=kind)
    assert [container["name"] for container in left["spec"]["template"]["spec"]["containers"]] == ["c"]


# What a deletion answers


@pytest.mark.parametrize(
    ("resource", "body", "kind"),
    [
        ("pods", {"spec": {"containers": [{"name": "c", "image": "nginx"}]}}, "Pod"),
        ("serviceaccounts", {}, "ServiceAccount"),
        ("services", {"spec": {"ports": [{"port": 80}]}}, "Service"),
        ("configmaps", {}, "Status"),
        ("secrets", {}, "Status"),
    ],
)
async def test_some_deletions_answer_with_the_object(
    server: Server, resource: str, body: dict[str, Any], kind: str
) -> None:
    path = f"/api/v1/namespaces/default/{resource}"
    await server.json("POST", path, {**body, "metadata": {"name": "a"}})
    assert (await server.json("DELETE", f"{path}/a"))["kind"] == kind
    await server.json("GET", f"{path}/a", code=404)


async def test_dependents_of_a_pod_that_goes_are_settled(server: Server) -> None:
    pods = "/api/v1/namespaces/default/pods"
    spec = {"nodeName": "n", "containers": [{"name": "c", "image": "nginx"}]}
    await server.json("POST", pods, {"metadata": {"name": "a"}, "spec": spec})
    going = await server.json("DELETE", f"{pods}/a", {"gracePeriodSeconds": 30})
    for policy in ("Orphan", "Foreground", "Background"):
        again = await server.json("DELETE", f"{pods}/a", {"propagationPolicy": policy})
        assert again["metadata"] == going["metadata"]
    sooner = await server.json("DELETE", f"{pods}/a", {"gracePeriodSeconds": 10})
    assert sooner["metadata"]["deletionGracePeriodSeconds"] == 10


async def test_who_applies_is_the_same_in_another_version(server: Server) -> None:
    kind = "application/apply-patch+yaml"
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}

    def autoscaler(version: str, **spec: Any) -> dict[str, Any]:
        whole = {"scaleTargetRef": target, **spec}
        return {"apiVersion": f"autoscaling/{version}", "kind": "HorizontalPodAutoscaler", "spec": whole}

    async def applied(version: str, **spec: Any) -> dict[str, Any]:
        path = f"/apis/autoscaling/{version}/namespaces/default/horizontalpodautoscalers/h?fieldManager=me"
        return await server.json("PATCH", path, autoscaler(version, **spec), content_type=kind)

    await applied("v1", maxReplicas=5, minReplicas=2, targetCPUUtilizationPercentage=50)
    newer = await applied("v2", maxReplicas=6)
    assert newer["spec"]["maxReplicas"] == 6
    assert newer["spec"]["minReplicas"] == 1
    assert [entry["apiVersion"] for entry in newer["metadata"]["managedFields"]] == ["autoscaling/v2"]
