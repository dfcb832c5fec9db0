"""OpenAPI and discovery: all that `kubectl explain` and `kubectl api-resources` walk through."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.embedded.api.server import Server

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inside in value.values():
            yield from references(inside)
    elif isinstance(value, list):
        for inside in value:
            yield from references(inside)


async def documents(server: Server) -> list[tuple[str, dict[str, Any]]]:
    index = (await server.json("GET", "/openapi/v3"))["paths"]
    assert {"api/v1", "apis/apps/v1", "apis/batch/v1"} <= index.keys()
    return [(path, await server.json("GET", entry["serverRelativeURL"])) for path, entry in index.items()]


async def test_every_reference_leads_somewhere(server: Server) -> None:
    for path, document in await documents(server):
        schemas = document["components"]["schemas"]
        for reference in references(document):
            assert reference.removeprefix("#/components/schemas/") in schemas, path


async def test_every_field_of_every_kind_can_be_explained(server: Server) -> None:
    for path, document in await documents(server):
        for name, schema in document["components"]["schemas"].items():
            if "properties" in schema:
                assert schema.get("description"), f"{path}: {name}"
            for field, inside in schema.get("properties", {}).items():
                place = f"{path}: {name}.{field}"
                assert {"type", "$ref", "allOf", "oneOf"} & inside.keys() or not inside.keys() - {"description"}, place
                if inside.get("type") == "array":
                    assert inside["items"], place


async def test_every_kind_that_is_served_has_a_schema(server: Server) -> None:
    for path, document in await documents(server):
        kinds = {
            gvk["kind"]
            for schema in document["components"]["schemas"].values()
            for gvk in schema.get("x-kubernetes-group-version-kind", ())
        }
        for resource in (await server.json("GET", f"/{path}"))["resources"]:
            if "/" not in resource["name"]:
                assert resource["kind"] in kinds, f"{path}: {resource['name']}"


async def test_a_field_with_few_values_says_what_they_mean(server: Server) -> None:
    document = await server.json("GET", "/openapi/v3/api/v1")
    field = document["components"]["schemas"]["io.k8s.api.core.v1.ServiceSpec"]["properties"]["type"]
    assert field["enum"] == ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]
    assert '\n\nPossible enum values:\n - `"ClusterIP"` means a service will only' in field["description"]


async def test_the_dialects_of_discovery_tell_the_same(server: Server) -> None:
    told: set[tuple[str, str, str]] = set()
    for root in ("/api", "/apis"):
        for group in (await server.json("GET", root, accept=AGGREGATED))["items"]:
            name = group["metadata"].get("name", "")
            for version in group["versions"]:
                told |= {(name, version["version"], entry["resource"]) for entry in version["resources"]}
    listed: set[tuple[str, str, str]] = set()
    versions = ["/api/v1"]
    for group in (await server.json("GET", "/apis"))["groups"]:
        versions += [f"/apis/{version['groupVersion']}" for version in group["versions"]]
    for path in versions:
        answer = await server.json("GET", path)
        group, _, version = answer["groupVersion"].rpartition("/")
        listed |= {(group, version, entry["name"]) for entry in answer["resources"] if "/" not in entry["name"]}
    assert told == listed


async def test_classic_lists_tell_how_objects_are_stored(server: Server) -> None:
    core = {entry["name"]: entry for entry in (await server.json("GET", "/api/v1"))["resources"]}
    assert core["pods"]["storageVersionHash"] == "xPOwRZ+Yhw8="  # as every Kubernetes since 1.14
    assert core["configmaps"]["storageVersionHash"] == "qFsyl6wFWjQ="
    assert not {"storageVersionHash"} & (core["bindings"].keys() | core["pods/status"].keys())
    for version in ("v1", "v2"):
        scalers = (await server.json("GET", f"/apis/autoscaling/{version}"))["resources"]
        assert scalers[0]["storageVersionHash"] == "qwQve8ut294=", "one storage version for all served ones"


async def test_version_2_tells_the_same_as_version_3(server: Server) -> None:
    old = await server.json("GET", "/openapi/v2")
    assert old["swagger"] == "2.0"
    for reference in references(old):
        assert reference.removeprefix("#/definitions/") in old["definitions"]
    kinds = ({str(key) for key in schema} for schema in old["definitions"].values())
    assert not any({"oneOf", "allOf", "nullable"} & keys for keys in kinds)
    for path, document in await documents(server):
        for name in document["components"]["schemas"]:
            assert name in old["definitions"], path
        for place, operations in document["paths"].items():
            assert operations.keys() == old["paths"][place].keys(), place
    pods = old["paths"]["/api/v1/namespaces/{namespace}/pods"]
    assert pods["post"]["parameters"][0]["schema"]["$ref"] == "#/definitions/io.k8s.api.core.v1.Pod"
    watch = next(one for one in pods["get"]["parameters"] if one["name"] == "watch")
    assert (watch["type"], watch["description"][:17]) == ("boolean", "Watch for changes")
    items = old["definitions"]["io.k8s.api.core.v1.ServiceList"]["properties"]["items"]
    assert items["description"] == "List of services"
    quantity = old["definitions"]["io.k8s.apimachinery.pkg.api.resource.Quantity"]
    assert quantity["type"] == "string"


def wire(body: bytes) -> list[tuple[int, bytes]]:
    """The fields of a protobuf message that have a length."""
    found, position = [], 0

    def varint() -> int:
        nonlocal position
        value = shift = 0
        while True:
            byte = body[position]
            position, value, shift = position + 1, value | (byte & 0x7F) << shift, shift + 7
            if byte < 0x80:
                return value

    while position < len(body):
        key = varint()
        length = varint()  # or a flag
        if key & 7 == 2:
            found.append((key >> 3, body[position : position + length]))
            position += length
    return found


def named(body: bytes, number: int = 1) -> dict[str, bytes]:
    """A message with a list of {name = 1, value = 2}."""
    pairs = (dict(wire(item)) for field, item in wire(body) if field == number)
    return {pair[1].decode(): pair[2] for pair in pairs}


async def test_version_2_tells_the_same_in_protobuf(server: Server) -> None:
    told = await server.json("GET", "/openapi/v2")
    answer = await server.ask("GET", "/openapi/v2", accept="application/com.github.proto-openapi.spec.v2@v1.0+protobuf")
    assert answer.content_type == "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
    document = dict(wire(answer.body))
    assert document[1] == b"2.0"
    assert named(document[8], 2).keys() == told["paths"].keys()
    definitions = named(document[9])
    assert definitions.keys() == told["definitions"].keys()
    for name, schema in told["definitions"].items():
        fields = dict(wire(definitions[name]))
        assert fields.get(4, b"").decode() == schema.get("description", "")
        assert named(fields.get(25, b"")).keys() == schema.get("properties", {}).keys()
    kind = named(definitions["io.k8s.api.core.v1.Pod"], 31)["x-kubernetes-group-version-kind"]
    assert dict(wire(kind))[2] == b'[{"group":"","kind":"Pod","version":"v1"}]'
    spec = named(dict(wire(definitions["io.k8s.api.core.v1.Pod"]))[25])["spec"]
    assert dict(wire(spec))[1] == b"#/definitions/io.k8s.api.core.v1.PodSpec"


async def test_version_2_has_all_properties_whatever_they_are_called(server: Server) -> None:
    old = (await server.json("GET", "/openapi/v2"))["definitions"]
    new = await server.json("GET", "/openapi/v3/apis/apiextensions.k8s.io/v1")
    for name, schema in new["components"]["schemas"].items():
        assert old[name].get("properties", {}).keys() == schema.get("properties", {}).keys(), name


async def test_every_collection_has_a_schema_of_its_lists(server: Server) -> None:
    for path, document in await documents(server):
        for place, operations in document["paths"].items():
            if operations.get("get", {}).get("x-kubernetes-action") == "list":
                reference = next(references(operations["get"]["responses"]))
                schema = document["components"]["schemas"][reference.removeprefix("#/components/schemas/")]
                assert schema["properties"]["items"]["type"] == "array", f"{path}: {place}"
