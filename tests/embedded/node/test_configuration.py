"""What reaches a container: variables, files, ids, names."""

from __future__ import annotations

import base64

import pytest

from kuartui.embedded.node.env import Surroundings, environment
from kuartui.embedded.node.env_file import BadEnvFile, value_in


def encoded(**data):
    return {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}


async def shown(cluster, *words, **container):
    """Run `show` with these words in a pod that ends; what it printed."""
    spec = {key: container.pop(key) for key in ("volumes", "securityContext", "enableServiceLinks") if key in container}
    await cluster.pod(
        "x", restartPolicy="Never", containers=[{"name": "c", "command": ["show", *words]} | container], **spec
    )
    await cluster.run()
    return (await cluster.logs("x")).splitlines()


async def test_variables_of_all_kinds(cluster):
    await cluster.config("conf", COLOR="blue", SIZE="3")
    secret = {"metadata": {"name": "pass", "namespace": "default"}, "data": encoded(PASSWORD="hunter2")}
    await cluster.client.create("secrets", secret)
    env = [
        {"name": "SIZE", "value": "9"},
        {"name": "REF", "value": "size-$(SIZE) $$(SIZE) $(NONE)"},
        {"name": "ME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}}},
        {"name": "MEM", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Gi"}}},
        {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "pass", "key": "PASSWORD"}}},
        {"name": "NOT", "valueFrom": {"configMapKeyRef": {"name": "none", "key": "x", "optional": True}}},
    ]
    sources = [{"configMapRef": {"name": "conf"}}, {"prefix": "X_", "secretRef": {"name": "pass"}}]
    words = ["COLOR", "SIZE", "REF", "ME", "IP", "CPU", "MEM", "KEY", "NOT", "X_PASSWORD"]
    lines = await shown(cluster, *words, env=env, envFrom=sources, resources={"limits": {"cpu": "500m"}})
    assert lines == [
        "COLOR=blue",
        "SIZE=9",
        "REF=size-9 $(SIZE) $(NONE)",
        "ME=x",
        "IP=10.244.1.2",
        "CPU=500",
        "MEM=8",
        "KEY=hunter2",
        "NOT=<unset>",
        "X_PASSWORD=hunter2",
    ]


async def test_a_container_without_limits_is_told_those_of_its_pod(cluster):
    env = [
        {"name": name, "valueFrom": {"resourceFieldRef": {"resource": resource, "divisor": divisor}}}
        for name, resource, divisor in (("CPU", "limits.cpu", "1m"), ("MEM", "limits.memory", "1Mi"))
    ]
    container = {"name": "c", "command": ["show"], "args": ["CPU", "MEM"], "env": env}
    container["resources"] = {"limits": {"cpu": "100m"}}
    limits = {"limits": {"cpu": "200m", "memory": "128Mi"}}
    await cluster.pod(restartPolicy="Never", resources=limits, containers=[container])
    await cluster.run()
    assert await cluster.logs() == "CPU=100\nMEM=128\n"


async def test_arguments_are_expanded(cluster):
    await cluster.pod(
        restartPolicy="Never",
        containers=[
            {"name": "c", "command": ["show"], "args": ["$(WHAT)"], "env": [{"name": "WHAT", "value": "HOSTNAME"}]}
        ],
    )
    await cluster.run()
    assert await cluster.logs() == "HOSTNAME=p\n"


def no_files(volume, path):
    raise AssertionError("no variable comes from a file")


def from_file(name, key, path="vars", **more):
    ref = {"volumeName": "v", "path": path, "key": key, "optional": False, **more}
    return {"name": name, "valueFrom": {"fileKeyRef": ref}}


async def left_variables(cluster, lines, *env):
    """A pod whose first container leaves a file of variables for its second."""
    mounts = [{"name": "v", "mountPath": "/v"}]
    first = {"name": "i", "command": ["touch", "/v/vars", lines], "volumeMounts": mounts}
    container = {"name": "c", "command": ["show", "A", "B"], "env": list(env)}
    volumes = [{"name": "v", "emptyDir": {}}]
    await cluster.pod(restartPolicy="Never", volumes=volumes, initContainers=[first], containers=[container])
    await cluster.run()


async def test_variables_from_a_file_that_another_container_left(cluster):
    env = (from_file("A", "ONE"), from_file("B", "NONE", optional=True))
    await left_variables(cluster, "# mine\nONE='1 # 2' # a comment\n", *env)
    assert await cluster.logs() == "A=1 # 2\nB=<unset>\n"


@pytest.mark.parametrize(
    ("variable", "complaint"),
    [
        (from_file("A", "TWO"), 'environment variable key "TWO" not found in file "/var/lib/kubelet/pods/'),
        (from_file("A", "ONE", "other", optional=True), "couldn't parse env file"),
    ],
)
async def test_a_container_does_not_start_without_its_variables(cluster, variable, complaint):
    await left_variables(cluster, "ONE='1'\n", variable)
    (status,) = cluster.get()["status"]["containerStatuses"]
    assert status["state"]["waiting"]["reason"] == "CreateContainerConfigError"
    assert status["state"]["waiting"]["message"].startswith(complaint)


@pytest.mark.parametrize(
    ("lines", "value"),
    [
        ("A='x'\nB='two\nlines'", "two\nlines"),
        ("  B='it'\nB='again'", "it"),
        ("B= 'y'", ""),
        ("A='x'", ""),
        ("B='y'\nrubbish", "y"),
    ],
)
def test_what_a_file_of_variables_says(lines, value):
    assert value_in(lines, "B") == value


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ("# well\nrubbish", "at line 2: missing '='"),
        ("='x'", "at line 1: empty variable name"),
        ("B ='x'", "at line 1: whitespace before '=' is not allowed"),
        ("B=x", "at line 1: value must be enclosed in single quotes"),
        ("A='x\ny' z", "at line 2: unexpected content after closing quote"),
        ("A='x'\nB='x\ny", "starting at line 2: unclosed single quote"),
    ],
)
def test_a_file_that_is_no_list_of_variables(lines, complaint):
    with pytest.raises(BadEnvFile, match=complaint):
        value_in(lines, "B")


async def test_the_containers_own_variables_come_before_those_of_services(cluster):
    service = {"metadata": {"name": "kubernetes", "namespace": "default"}}
    spec = {"clusterIP": "10.96.0.1", "ports": [{"port": 443, "protocol": "TCP", "name": "https"}]}
    await cluster.client.create("services", {**service, "spec": spec})
    container = {"name": "c", "env": [{"name": "MINE", "value": "1"}]}
    await cluster.pod(containers=[container])
    names = list(environment(cluster.client, cluster.get(), container, Surroundings([], [], {}), no_files))
    assert names.index("MINE") < names.index("KUBERNETES_SERVICE_HOST")


async def test_service_variables(cluster):
    for namespace, name, ip in (("default", "kubernetes", "10.96.0.1"), ("default", "my-db", "10.96.0.7")):
        ports = [{"port": 5432, "protocol": "TCP", "name": "sql"}]
        service = {"metadata": {"name": name, "namespace": namespace}, "spec": {"clusterIP": ip, "ports": ports}}
        await cluster.client.create("services", service)
    words = ["MY_DB_SERVICE_HOST", "MY_DB_SERVICE_PORT_SQL", "MY_DB_PORT_5432_TCP_ADDR", "KUBERNETES_SERVICE_HOST"]
    lines = await shown(cluster, *words)
    assert lines == [
        "MY_DB_SERVICE_HOST=10.96.0.7",
        "MY_DB_SERVICE_PORT_SQL=5432",
        "MY_DB_PORT_5432_TCP_ADDR=10.96.0.7",
        "KUBERNETES_SERVICE_HOST=10.96.0.1",
    ]


@pytest.mark.parametrize(
    ("container", "message"),
    [
        ({"envFrom": [{"configMapRef": {"name": "absent"}}]}, 'configmap "absent" not found'),
        ({"envFrom": [{"secretRef": {"name": "absent"}}]}, 'secret "absent" not found'),
        (
            {"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "conf", "key": "nope"}}}]},
            "couldn't find key nope in ConfigMap default/conf",
        ),
        (
            {"securityContext": {"runAsNonRoot": True}},
            'container has runAsNonRoot and image will run as root (pod: "p_default(UID)", container: c)',
        ),
        (
            {"securityContext": {"runAsNonRoot": True, "runAsUser": 0}},
            'container\'s runAsUser breaks non-root policy (pod: "p_default(UID)", container: c)',
        ),
        (
            {"securityContext": {"runAsNonRoot": True}, "image": "nobody:1"},
            (
                "container has runAsNonRoot and image has non-numeric user (nobody), cannot verify user is non-root "
                '(pod: "p_default(UID)", container: c)'
            ),
        ),
    ],
)
async def test_what_cannot_be_configured(cluster, container, message):
    await cluster.config("conf", a="b")
    await cluster.pod(containers=[{"name": "c"} | container])
    await cluster.run()
    message = message.replace("UID", cluster.get()["metadata"]["uid"])
    assert cluster.status()["state"]["waiting"] == {"reason": "CreateContainerConfigError", "message": message}
    assert cluster.events("Failed") == [f"Error: {message}"]
    assert cluster.get()["status"]["phase"] == "Pending"


async def test_a_sub_path_of_an_unknown_variable(cluster):
    mounts = [{"name": "v", "mountPath": "/v", "subPathExpr": "$(B)/$$(C)/$(A)$(D)"}]
    container = {"name": "c", "volumeMounts": mounts, "env": [{"name": "D", "value": "d"}]}
    await cluster.pod(containers=[container], volumes=[{"name": "v", "emptyDir": {}}])
    await cluster.run()
    waiting = {"reason": "CreateContainerConfigError", "message": "missing value for A, B"}
    assert cluster.status()["state"]["waiting"] == waiting


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("/etc", "error SubPath `/etc` must not be an absolute path"),
        ("a/../b", "unable to provision SubPath `a/../b`: must not contain '..'"),
    ],
)
async def test_a_sub_path_that_leads_elsewhere(cluster, value, message):
    mounts = [{"name": "v", "mountPath": "/v", "subPathExpr": "$(D)"}]
    container = {"name": "c", "volumeMounts": mounts, "env": [{"name": "D", "value": value}]}
    await cluster.pod(containers=[container], volumes=[{"name": "v", "emptyDir": {}}])
    await cluster.run()
    waiting = {"reason": "CreateContainerConfigError", "message": message}
    assert cluster.status()["state"]["waiting"] == waiting


@pytest.mark.parametrize(("group", "told"), [(None, "777 0"), (2000, "2777 2000")])
async def test_a_sub_path_has_the_mode_of_its_volume(cluster, group, told):
    context = {"runAsUser": 1000} | ({"fsGroup": group} if group else {})
    mounts = [{"name": "v", "mountPath": "/v", "subPath": "a/b"}, {"name": "v", "mountPath": "/all"}]
    container = {"name": "c", "volumeMounts": mounts}
    await cluster.pod(containers=[container], volumes=[{"name": "v", "emptyDir": {}}], securityContext=context)
    await cluster.run()
    assert await cluster.exec("touch", "/v/file", "x") == (0, "")
    found = cluster.fleet.container(cluster.get(), "c").files.stat("/v")
    assert f"{found.mode:o} {found.gid}" == told
    assert cluster.fleet.container(cluster.get(), "c").files.stat("/all/a/b").mode == found.mode


async def test_a_sub_path_below_a_file(cluster):
    await cluster.pod("first", volumes=[{"name": "v", "hostPath": {"path": "/data"}}], containers=[shared()])
    await cluster.run()
    await cluster.exec("touch", "/v/file", "x", name="first")
    await cluster.pod(volumes=[{"name": "v", "hostPath": {"path": "/data"}}], containers=[shared(subPath="file/x")])
    await cluster.run()
    message = 'failed to prepare subPath for volumeMount "v" of container "c"'
    assert cluster.status()["state"]["waiting"] == {"reason": "CreateContainerConfigError", "message": message}


def shared(**more):
    return {"name": "c", "volumeMounts": [{"name": "v", "mountPath": "/v", **more}]}


async def test_a_domain_name_that_is_too_long_for_the_kernel(cluster):
    long = {"subdomain": "s" * 30, "hostname": "h" * 20, "setHostnameAsFQDN": True}
    await cluster.pod("short", subdomain="s", hostname="h", setHostnameAsFQDN=True)
    await cluster.pod("host", hostNetwork=True, **long)
    await cluster.pod(**long)
    await cluster.run()
    assert cluster.waiting() == "ContainerCreating"
    name = f"{'h' * 20}.{'s' * 30}.default.svc.cluster.local"
    assert cluster.events("FailedCreatePodSandBox") == [
        "Failed to create pod sandbox: failed to construct FQDN from pod hostname and cluster domain, "
        f"FQDN {name} is too long (64 characters is the max, {len(name)} characters requested)"
    ]
    assert {cluster.get(other)["status"]["phase"] for other in ("short", "host")} == {"Running"}


async def test_a_missing_config_map_may_come_later(cluster):
    await cluster.pod(containers=[{"name": "c", "envFrom": [{"configMapRef": {"name": "late"}}]}])
    await cluster.run()
    await cluster.config("late", A="1")
    await cluster.run(15)
    assert cluster.get()["status"]["phase"] == "Running"


async def test_volumes_of_objects(cluster):
    await cluster.config("files", **{"a.txt": "alpha", "b.txt": "beta"})
    secret = {"metadata": {"name": "keys", "namespace": "default"}, "data": encoded(key="s3cret")}
    await cluster.client.create("secrets", secret)
    labels = {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}
    volumes = [
        {"name": "f", "configMap": {"name": "files"}},
        {"name": "one", "configMap": {"name": "files", "items": [{"key": "b.txt", "path": "sub/renamed"}]}},
        {"name": "d", "downwardAPI": {"items": [labels]}},
        {
            "name": "all",
            "projected": {
                "sources": [
                    {"secret": {"name": "keys"}},
                    {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
                ]
            },
        },
    ]
    mounts = [{"name": volume["name"], "mountPath": f"/{volume['name']}"} for volume in volumes]
    mounts.append({"name": "f", "mountPath": "/single/a.txt", "subPath": "a.txt"})
    container = {"name": "c", "volumeMounts": mounts}
    await cluster.pod(meta={"labels": {"x": "z", "a": "b"}}, volumes=volumes, containers=[container])
    await cluster.run()
    read = ["/f/a.txt", "/one/sub/renamed", "/d/labels", "/all/key", "/all/token", "/single/a.txt"]
    code, text = await cluster.exec("show", *read)
    assert (code, text.split("\n")) == (
        0,
        ["alpha", "beta", 'a="b"', 'x="z"', "s3cret", "token-of-default", "alpha", ""],
    )
    code, text = await cluster.exec("touch", "/f/new")
    assert (code, text) == (1, "touch: /f/new: Read-only file system\n")


async def test_only_the_token_of_a_projected_volume_belongs_to_the_pods_user(cluster):
    await cluster.client.create(
        "secrets", {"metadata": {"name": "keys", "namespace": "default"}, "data": encoded(key="s3cret")}
    )
    sources = [{"secret": {"name": "keys"}}, {"serviceAccountToken": {"path": "token"}}]
    volumes = [{"name": "all", "projected": {"defaultMode": 0o400, "sources": sources}}]
    container = {"name": "c", "volumeMounts": [{"name": "all", "mountPath": "/all"}]}
    for name, group in (("with", {"fsGroup": 2000}), ("without", {})):
        security = {"runAsUser": 1000} | group
        await cluster.pod(name, securityContext=security, volumes=volumes, containers=[container])
    await cluster.run()
    assert await cluster.exec("show", "/all/key", "/all/token", name="with") == (0, "s3cret\ntoken-of-default\n")
    assert await cluster.exec("show", "/all/token", name="without") == (0, "token-of-default\n")
    code, text = await cluster.exec("show", "/all/key", name="without")
    assert code != 0
    assert "s3cret" not in text


async def test_an_fs_group_reads_what_is_mounted_by_sub_path(cluster):
    await cluster.config("files", a="alpha")
    items = [{"key": "a", "path": "in/a"}, {"key": "a", "path": "a"}]
    volumes = [{"name": "f", "configMap": {"name": "files", "defaultMode": 0o400, "items": items}}]
    mounts = [
        {"name": "f", "mountPath": "/file", "subPath": "a"},
        {"name": "f", "mountPath": "/folder", "subPath": "in"},
    ]
    for name, group in (("with", {"fsGroup": 2000}), ("without", {})):
        security = {"runAsUser": 1000} | group
        container = {"name": "c", "volumeMounts": mounts}
        await cluster.pod(name, securityContext=security, volumes=volumes, containers=[container])
    await cluster.run()
    assert await cluster.exec("show", "/file", "/folder/a", name="with") == (0, "alpha\nalpha\n")
    code, text = await cluster.exec("show", "/file", name="without")
    assert code != 0
    assert "alpha" not in text


async def test_a_changed_config_map_shows_up_but_not_through_sub_path(cluster):
    await cluster.config("files", a="old")
    mounts = [{"name": "f", "mountPath": "/f"}, {"name": "f", "mountPath": "/g/a", "subPath": "a"}]
    volumes = [{"name": "f", "configMap": {"name": "files"}}]
    await cluster.pod(volumes=volumes, containers=[{"name": "c", "volumeMounts": mounts}])
    await cluster.run()
    await cluster.client.patch("configmaps", "default", "files", {"data": {"a": "new"}})
    await cluster.run(100)
    assert await cluster.exec("show", "/f/a", "/g/a") == (0, "new\nold\n")


async def test_an_object_that_is_made_anew_shows_up_and_an_optional_one_comes_and_goes(cluster):
    await cluster.config("files", a="old")
    mounts = [{"name": "f", "mountPath": "/f"}, {"name": "o", "mountPath": "/o"}]
    volumes = [
        {"name": "f", "configMap": {"name": "files"}},
        {"name": "o", "configMap": {"name": "more", "optional": True}},
    ]
    await cluster.pod(volumes=volumes, containers=[{"name": "c", "volumeMounts": mounts}])
    await cluster.run()
    await cluster.client.delete("configmaps", "default", "files", grace=0)
    await cluster.config("files", a="new")
    await cluster.config("more", b="there")
    await cluster.run(100)
    assert await cluster.exec("show", "/f/a", "/o/b") == (0, "new\nthere\n")
    await cluster.client.delete("configmaps", "default", "more", grace=0)
    await cluster.run(100)
    code, _ = await cluster.exec("show", "/o/b")
    assert code != 0


async def test_a_mounted_token_is_renewed_before_it_is_out_of_date(cluster, monkeypatch):
    signed = []

    def sign(pod: object, audiences: object, seconds: int) -> str:
        signed.append(cluster.now())
        return f"token-{len(signed)}"

    monkeypatch.setattr(cluster.fleet._tokens, "token", sign)
    sources = [{"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}}]
    container = {"name": "c", "volumeMounts": [{"name": "t", "mountPath": "/t"}]}
    await cluster.pod(volumes=[{"name": "t", "projected": {"sources": sources}}], containers=[container])
    await cluster.run()
    _, first = await cluster.exec("show", "/t/token")
    for _ in range(3):
        await cluster.run(3607)
        _, text = await cluster.exec("show", "/t/token")
        assert (cluster.now() - signed[-1]).total_seconds() < 3607
    assert text != first


@pytest.mark.parametrize(
    ("volume", "reason"),
    [
        ({"configMap": {"name": "absent"}}, 'configmap "absent" not found'),
        ({"secret": {"secretName": "absent"}}, 'secret "absent" not found'),
        (
            {"configMap": {"name": "conf", "items": [{"key": "z", "path": "z"}]}},
            "configmap references non-existent config key: z",
        ),
        (
            {"hostPath": {"path": "/nowhere", "type": "Directory"}},
            "hostPath type check failed: /nowhere is not a directory",
        ),
        (
            {"hostPath": {"path": "/no/where", "type": "FileOrCreate"}},
            "open /no/where: no such file or directory",
        ),
        (
            {"hostPath": {"path": "/", "type": "FileOrCreate"}},
            "hostPath type check failed: / is not a file",
        ),
        (
            {"gitRepo": {"repository": "https://example.com/site.git"}},
            "git-repo volume plugin has been disabled; if necessary, it may be re-enabled by enabling the feature-gate "
            "`GitRepoVolumeDriver`",
        ),
    ],
)
async def test_what_cannot_be_mounted(cluster, volume, reason):
    await cluster.config("conf", a="b")
    mounts = [{"name": "v", "mountPath": "/v"}]
    await cluster.pod(volumes=[{"name": "v"} | volume], containers=[{"name": "c", "volumeMounts": mounts}])
    await cluster.run()
    assert cluster.events("FailedMount")[0] == f'MountVolume.SetUp failed for volume "v" : {reason}'
    assert cluster.waiting() == "ContainerCreating"


async def test_no_csi_driver_makes_a_volume_for_a_pod(cluster):
    mounts = [{"name": "v", "mountPath": "/v"}]
    volumes = [{"name": "v", "csi": {"driver": "foo.example.com"}}]
    await cluster.pod("none", volumes=volumes, containers=[{"name": "c", "volumeMounts": mounts}])
    await cluster.run()
    start = 'MountVolume.NewMounter initialization failed for volume "v" : volume mode "Ephemeral" not supported by'
    assert cluster.events("FailedMount", "none")[0] == f"{start} driver foo.example.com (no CSIDriver object)"
    for name, mode in (("foo", "Persistent"), ("bar", "Ephemeral")):
        driver = {"metadata": {"name": f"{name}.example.com"}, "spec": {"volumeLifecycleModes": [mode]}}
        await cluster.client.create("csidrivers.storage.k8s.io", driver)
    await cluster.pod("only", volumes=volumes, containers=[{"name": "c", "volumeMounts": mounts}])
    await cluster.run()
    assert cluster.events("FailedMount", "only")[0] == f'{start} driver foo.example.com (only supports ["Persistent"])'
    volumes = [{"name": "v", "csi": {"driver": "bar.example.com"}}]
    await cluster.pod("away", volumes=volumes, containers=[{"name": "c", "volumeMounts": mounts}])
    await cluster.run()
    assert cluster.events("FailedMount", "away")[0] == (
        'MountVolume.SetUp failed for volume "v" : kubernetes.io/csi: mounter.SetUpAt failed to get CSI client: '
        "driver name bar.example.com not found in the list of registered CSI drivers"
    )


async def test_empty_dir_is_shared_and_survives_a_restart(cluster):
    volume, mounts = {"name": "v", "emptyDir": {}}, [{"name": "v", "mountPath": "/v"}]
    init = {"name": "i", "command": ["touch", "/v/f", "from-init"], "volumeMounts": mounts}
    main = {"name": "c", "command": ["pause", "5"], "volumeMounts": mounts}
    await cluster.pod(volumes=[volume], initContainers=[init], containers=[main])
    await cluster.run(8)
    assert cluster.status()["restartCount"] == 1
    assert await cluster.exec("show", "/v/f") == (0, "from-init\n")


def claim(name="data"):
    return {
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"volumeName": "pv1"},
        "status": {"phase": "Bound"},
    }


def volume(**source):
    return {"metadata": {"name": "pv1"}, "spec": {"persistentVolumeReclaimPolicy": "Delete", **source}}


async def test_a_claim_outlives_its_pod(cluster):
    await cluster.client.create("persistentvolumes", volume(csi={"driver": "d", "volumeHandle": "h"}))
    await cluster.client.create("persistentvolumeclaims", claim())
    volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]
    containers = [{"name": "c", "volumeMounts": [{"name": "v", "mountPath": "/data"}]}]
    await cluster.pod("first", volumes=volumes, containers=containers)
    await cluster.run()
    await cluster.exec("touch", "/data/f", "kept", name="first")
    await cluster.client.delete("pods", "default", "first")
    await cluster.run()
    await cluster.pod("second", volumes=volumes, containers=containers)
    await cluster.run()
    assert await cluster.exec("show", "/data/f", name="second") == (0, "kept\n")
    await cluster.client.delete("pods", "default", "second")
    await cluster.run()
    cluster.store.delete("persistentvolumes", "", "pv1")
    await cluster.client.create("persistentvolumes", volume(csi={"driver": "d", "volumeHandle": "h"}))
    await cluster.pod("third", volumes=volumes, containers=containers)
    await cluster.run()
    assert await cluster.exec("check", "/data/f", name="third") == (1, "")


async def test_a_claim_that_is_missing_or_unbound(cluster):
    volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]
    containers = [{"name": "c", "volumeMounts": [{"name": "v", "mountPath": "/data"}]}]
    await cluster.pod(volumes=volumes, containers=containers)
    await cluster.run()
    assert cluster.events("FailedMount")[0] == (
        "Unable to attach or mount volumes: unmounted volumes=[v], unattached volumes=[v], "
        "failed to process volumes=[v]: error processing PVC default/data: failed to fetch PVC from API server: "
        'persistentvolumeclaims "data" not found'
    )


async def test_local_volume_needs_its_directory(cluster):
    await cluster.client.create("persistentvolumes", volume(local={"path": "/mnt/disks/ssd1"}))
    await cluster.client.create("persistentvolumeclaims", claim())
    volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]
    await cluster.pod(volumes=volumes, containers=[{"name": "c", "volumeMounts": [{"name": "v", "mountPath": "/d"}]}])
    await cluster.run()
    assert cluster.events("FailedMount")[0] == (
        'MountVolume.NewMounter initialization failed for volume "pv1" : path "/mnt/disks/ssd1" does not exist'
    )


async def test_nfs_without_a_server(cluster):
    volumes = [{"name": "v", "nfs": {"server": "10.96.0.9", "path": "/exports"}}]
    await cluster.pod(volumes=volumes, containers=[{"name": "c", "volumeMounts": [{"name": "v", "mountPath": "/d"}]}])
    await cluster.run()
    text = cluster.events("FailedMount")[0]
    assert text.startswith(
        'MountVolume.SetUp failed for volume "v" : mount failed: exit status 32\nMounting command: mount'
    )
    assert "Mounting arguments: -t nfs 10.96.0.9:/exports /var/lib/kubelet/pods/" in text


async def test_host_path_is_the_nodes(cluster):
    volumes = [{"name": "v", "hostPath": {"path": "/srv/data", "type": "DirectoryOrCreate"}}]
    containers = [{"name": "c", "volumeMounts": [{"name": "v", "mountPath": "/d"}]}]
    await cluster.pod("a", volumes=volumes, containers=containers)
    await cluster.pod("b", volumes=volumes, containers=containers)
    await cluster.run()
    await cluster.exec("touch", "/d/f", "x", name="a")
    assert await cluster.exec("show", "/d/f", name="b") == (0, "x\n")


async def test_a_nodes_root_tells_what_runs_there(cluster):
    mounts = [{"name": "host", "mountPath": "/host"}]
    await cluster.pod(
        volumes=[{"name": "host", "hostPath": {"path": "/"}}], containers=[{"name": "c", "volumeMounts": mounts}]
    )
    await cluster.run()
    image = cluster.client.get("nodes", "", "one")["status"]["nodeInfo"]["osImage"]
    assert (await cluster.exec("show", "/host/etc/os-release"))[1].startswith(f'PRETTY_NAME="{image}"')


async def test_what_overrides_the_host_name_is_all_of_it(cluster):
    await cluster.pod(hostname="web", subdomain="sub", hostnameOverride="db.example.com")
    await cluster.run()
    _, hosts = await cluster.exec("show", "/etc/hosts", "HOSTNAME")
    assert "10.244.1.2\tdb.example.com\n" in hosts
    assert hosts.endswith("HOSTNAME=db.example.com\n")


async def test_hosts_and_resolv_conf(cluster):
    aliases = [{"ip": "1.2.3.4", "hostnames": ["foo.local"]}]
    await cluster.pod(hostname="web", subdomain="sub", hostAliases=aliases, dnsPolicy="ClusterFirst")
    await cluster.run()
    _, hosts = await cluster.exec("show", "/etc/hosts", "HOSTNAME")
    assert "10.244.1.2\tweb.sub.default.svc.cluster.local\tweb\n" in hosts
    assert hosts.endswith("# Entries added by HostAliases.\n1.2.3.4\tfoo.local\n\nHOSTNAME=web\n")
    _, resolv = await cluster.exec("show", "/etc/resolv.conf")
    assert resolv == (
        "search default.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n\n"
    )


async def test_resolv_conf_takes_three_nameservers_and_32_search_domains(cluster):
    searches = [f"s{number}.example" for number in range(32)]
    wish = {"nameservers": ["1.1.1.1", "2.2.2.2", "3.3.3.3"], "searches": searches}
    await cluster.pod(dnsPolicy="ClusterFirst", dnsConfig=wish)
    await cluster.run()
    _, resolv = await cluster.exec("show", "/etc/resolv.conf")
    servers = "10.96.0.10 1.1.1.1 2.2.2.2"
    assert [line.split()[1] for line in resolv.splitlines() if line.startswith("nameserver")] == servers.split()
    line = " ".join(["default.svc.cluster.local svc.cluster.local cluster.local", *searches[:29]])
    assert resolv.startswith(f"search {line}\n")
    assert cluster.events("DNSConfigForming") == [
        "Nameserver limits were exceeded, some nameservers have been omitted, "
        f"the applied nameserver line is: {servers}",
        f"Search Line limits were exceeded, some search paths have been omitted, the applied search line is: {line}",
    ]


async def test_search_domains_stay_within_2048_characters(cluster):
    searches = [f"s{number}.{'x' * 60}.{'y' * 60}.{'z' * 60}" for number in range(20)]
    await cluster.pod(dnsPolicy="None", dnsConfig={"nameservers": ["1.1.1.1"], "searches": searches})
    await cluster.run()
    _, resolv = await cluster.exec("show", "/etc/resolv.conf")
    assert resolv.startswith(f"search {' '.join(searches[:11])}\n")
    assert len(cluster.events("DNSConfigForming")) == 1


async def test_host_network_and_host_port(cluster):
    await cluster.pod("host", hostNetwork=True)
    await cluster.run()
    status = cluster.get("host")["status"]
    assert status["podIP"] == status["hostIP"] == "172.18.0.2"


async def test_a_deleted_local_path_volume_leaves_nothing_on_the_node(cluster):
    local = volume(hostPath={"path": "/var/local/pv1", "type": "DirectoryOrCreate"})
    local["metadata"]["annotations"] = {"pv.kubernetes.io/provisioned-by": "rancher.io/local-path"}
    await cluster.client.create("persistentvolumes", local)
    await cluster.client.create("persistentvolumeclaims", claim())
    volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]
    user = {"runAsUser": 1000}
    mounts = [{"name": "v", "mountPath": "/d"}]
    containers = [{"name": "c", "volumeMounts": mounts, "securityContext": user}]
    await cluster.pod(volumes=volumes, containers=containers)
    await cluster.run()
    assert await cluster.exec("touch", "/d/f", "x") == (0, "")
    await cluster.client.delete("pods", "default", "p")
    await cluster.run()
    node = cluster.fleet.disks.node("one")
    assert node.fs.exists("/var/local/pv1")
    cluster.store.delete("persistentvolumes", "", "pv1")
    assert not node.fs.exists("/var/local/pv1")
    assert not node.children


async def test_host_port(cluster, programs, monkeypatch):
    async def greeter(process):
        async def hello(stream):
            await stream.write(b"hello")
            stream.close()

        process.listen(80, hello)
        await process.signals("TERM").get()
        return 0

    monkeypatch.setitem(programs, "/bin/greeter", greeter)
    container = {"name": "c", "command": ["greeter"], "ports": [{"containerPort": 80, "hostPort": 8080}]}
    await cluster.pod(containers=[container])
    await cluster.run()
    stream = await cluster.network.connect(None, "172.18.0.2", 8080)
    assert await stream.read() == b"hello"
    await cluster.client.delete("pods", "default", "p")
    await cluster.run()
    with pytest.raises(ConnectionRefusedError):
        await cluster.network.connect(None, "172.18.0.2", 8080)


async def test_an_image_volume_shows_the_files_of_the_image_and_takes_none(cluster):
    volume = {"name": "v", "image": {"reference": "nobody:1", "pullPolicy": "IfNotPresent"}}
    mounts = [{"name": "v", "mountPath": "/v"}]
    await cluster.pod(volumes=[volume], containers=[{"name": "c", "volumeMounts": mounts}])
    await cluster.run(10)
    assert (await cluster.exec("show", "/v/etc/passwd"))[1].startswith("root:x:0:0")
    assert await cluster.exec("touch", "/v/f", "x") == (1, "touch: /v/f: Read-only file system\n")


async def test_an_image_volume_shows_a_part_of_the_image(cluster):
    volume = {"name": "v", "image": {"reference": "nobody:1"}}
    mounts = [{"name": "v", "mountPath": "/v", "subPath": "etc"}]
    await cluster.pod(volumes=[volume], containers=[{"name": "c", "volumeMounts": mounts}])
    await cluster.run(10)
    assert (await cluster.exec("show", "/v/passwd"))[1].startswith("root:x:0:0")


async def test_the_status_tells_of_mounts_that_are_read_only_all_through(cluster):
    mounts = [
        {"name": "v", "mountPath": f"/{mode}", "readOnly": True, "recursiveReadOnly": mode}
        for mode in ("Enabled", "IfPossible", "Disabled")
    ]
    await cluster.pod(volumes=[{"name": "v", "emptyDir": {}}], containers=[{"name": "c", "volumeMounts": mounts}])
    await cluster.run()
    told = [mount["recursiveReadOnly"] for mount in cluster.status()["volumeMounts"]]
    assert told[:3] == ["Enabled", "Enabled", "Disabled"]


async def test_a_container_waits_for_the_image_of_its_volume(cluster):
    mounts = [{"name": "v", "mountPath": "/v"}]
    volume = {"name": "v", "image": {"reference": "absent:1"}}
    await cluster.pod(volumes=[volume], containers=[{"name": "c", "volumeMounts": mounts}])
    await cluster.run(5)
    assert cluster.waiting() in ("ErrImagePull", "ImagePullBackOff")
    pulls = [event[3:] for event in cluster.client.events if event[2] == "Pulling"]
    assert {pull[0] for pull in pulls} == {'Pulling image "absent:1"'}  # its own image comes only after
    assert {pull[1] for pull in pulls} == {""}
    failed = {event[4] for event in cluster.client.events if event[3] == "Error: ErrImagePull"}
    assert failed == {"spec.containers{c}"}


async def test_a_seccomp_profile_must_be_on_the_node(cluster):
    profile = {"seccompProfile": {"type": "Localhost", "localhostProfile": "profiles/audit.json"}}
    await cluster.pod(securityContext=profile)
    await cluster.pod("privileged", containers=[{"name": "c", "securityContext": profile | {"privileged": True}}])
    await cluster.run(5)
    path = "/var/lib/kubelet/seccomp/profiles/audit.json"
    why = f'cannot load seccomp profile "{path}": open {path}: no such file or directory'
    assert cluster.waiting() == "CreateContainerError"
    assert f"Error: failed to create containerd container: {why}" in cluster.events("Failed")
    assert cluster.get("privileged")["status"]["phase"] == "Running"
    volumes = [{"name": "v", "hostPath": {"path": "/var/lib/kubelet/seccomp/profiles", "type": "DirectoryOrCreate"}}]
    container = {"name": "c", "command": ["touch", "/v/audit.json", "{}"]}
    container["volumeMounts"] = [{"name": "v", "mountPath": "/v"}]
    await cluster.pod("writer", volumes=volumes, containers=[container], restartPolicy="Never")
    await cluster.run(100)
    assert cluster.get("p")["status"]["phase"] == "Running"


async def test_an_apparmor_profile_must_be_loaded_on_the_node(cluster):
    await cluster.pod(securityContext={"appArmorProfile": {"type": "Localhost", "localhostProfile": "deny-write"}})
    unconfined = {"appArmorProfile": {"type": "Unconfined"}}
    await cluster.pod("free", containers=[{"name": "c", "securityContext": unconfined}])
    await cluster.run(5)
    why = "failed to generate apparmor spec opts: apparmor profile not found deny-write"
    assert cluster.waiting() == "CreateContainerError"
    assert f"Error: failed to get container spec opts: {why}" in cluster.events("Failed")
    assert cluster.get("free")["status"]["phase"] == "Running"


async def test_host_paths_below_one_that_another_pod_has(cluster):
    made = [{"name": "v", "hostPath": {"path": "/srv/data", "type": "DirectoryOrCreate"}}]
    writer = {"name": "c", "command": ["touch", "/v/file", "from-writer"]}
    writer["volumeMounts"] = [{"name": "v", "mountPath": "/v"}]
    await cluster.pod("writer", volumes=made, containers=[writer], restartPolicy="Never")
    await cluster.run(3)
    kinds = {"file": "File", "new": "FileOrCreate", "sub": "DirectoryOrCreate"}
    volumes = [{"name": n, "hostPath": {"path": f"/srv/data/{n}", "type": kind}} for n, kind in kinds.items()]
    mounts = [{"name": n, "mountPath": f"/{n}"} for n in kinds]
    await cluster.pod(volumes=volumes, containers=[{"name": "c", "volumeMounts": mounts}])
    await cluster.run(3)
    assert cluster.get("p")["status"]["phase"] == "Running", cluster.events("FailedMount")
    assert await cluster.exec("show", "/file") == (0, "from-writer\n")
