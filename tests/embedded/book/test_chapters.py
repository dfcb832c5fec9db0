"""Chapters 5 to 13 of the book "Kubernetes: Up and Running": what each builds, and what it says will happen."""

from __future__ import annotations

import json

from tests.embedded.book.conftest import Book

KUARD = "gcr.io/kuar-demo/kuard-amd64:blue"
CLIENT = """
apiVersion: v1
kind: Pod
metadata: {name: client, labels: {app: client}}
spec: {containers: [{name: c, image: "nicolaka/netshoot:latest", command: [sleep, infinity]}]}
"""


async def test_pods_with_probes_resources_and_a_volume(book: Book) -> None:
    await book.apply(CLIENT)
    await book.apply(f"""
apiVersion: v1
kind: Pod
metadata: {{name: kuard}}
spec:
  volumes: [{{name: data, hostPath: {{path: /var/lib/kuard}}}}]
  containers:
  - name: kuard
    image: {KUARD}
    ports: [{{containerPort: 8080, name: http}}]
    resources: {{requests: {{cpu: 500m, memory: 128Mi}}, limits: {{cpu: "1", memory: 256Mi}}}}
    volumeMounts: [{{mountPath: /data, name: data}}]
    livenessProbe: {{httpGet: {{path: /healthy, port: 8080}}, initialDelaySeconds: 5, timeoutSeconds: 1, periodSeconds: 10, failureThreshold: 3}}
    readinessProbe: {{httpGet: {{path: /ready, port: 8080}}, periodSeconds: 2, failureThreshold: 3, successThreshold: 1}}
""")
    await book.wait(20)
    pod = book.get("Pod", "kuard")
    assert (pod["status"]["phase"], pod["status"]["qosClass"], book.ready()) == (
        "Running",
        "Burstable",
        ["client", "kuard"],
    )
    assert "Permission denied" in await book.sh("kuard", "echo x > /data/f")  # the node's directory is root's
    url = f"http://{pod['status']['podIP']}:8080"
    await book.sh("client", f"curl -s -X PUT -d '{{\"failNext\": 4}}' {url}/ready/api")
    await book.wait(7)
    assert book.ready() == ["client"]
    await book.wait(10)
    assert book.ready() == ["client", "kuard"]
    await book.sh("client", f"curl -s -X PUT -d '{{\"failNext\": -1}}' {url}/healthy/api")
    await book.wait(40)
    status = book.get("Pod", "kuard")["status"]["containerStatuses"][0]
    assert (status["restartCount"], status["lastState"]["terminated"]["exitCode"]) == (1, 2)


async def test_a_grpc_probe_restarts_what_stops_serving(book: Book) -> None:
    await book.apply("""
apiVersion: v1
kind: Pod
metadata: {name: health}
spec:
  containers:
  - name: c
    image: registry.k8s.io/e2e-test-images/agnhost:2.53
    args: [grpc-health-checking, --delay-unhealthy-sec=60]
    readinessProbe: {grpc: {port: 5000, service: nobody}, periodSeconds: 5}
    livenessProbe: {grpc: {port: 5000}, periodSeconds: 5, failureThreshold: 2}
""")
    await book.wait(50)
    assert book.get("Pod", "health")["status"]["containerStatuses"][0]["restartCount"] == 0
    assert book.ready() == []
    await book.wait(50)
    assert book.get("Pod", "health")["status"]["containerStatuses"][0]["restartCount"] == 1


async def test_labels_a_service_and_its_names(book: Book) -> None:
    await book.apply(CLIENT)
    for name, version, env, replicas in (("alpaca-prod", "1", "prod", 3), ("bandicoot-prod", "2", "prod", 2)):
        await book.apply(f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, labels: {{app: {name.split("-")[0]}, ver: "{version}", env: {env}}}}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: {name.split("-")[0]}, ver: "{version}", env: {env}}}}}
  template:
    metadata: {{labels: {{app: {name.split("-")[0]}, ver: "{version}", env: {env}}}}}
    spec:
      containers:
      - {{name: kuard, image: "{KUARD}", ports: [{{containerPort: 8080}}], readinessProbe: {{httpGet: {{path: /ready, port: 8080}}, periodSeconds: 2}}}}
---
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec: {{type: NodePort, selector: {{app: {name.split("-")[0]}, ver: "{version}", env: {env}}}, ports: [{{port: 8080, targetPort: 8080}}]}}
""")
    await book.wait(15)
    assert len(book.ready(env="prod")) == 5
    assert len(book.ready(app="alpaca", ver="1")) == 3
    service = book.get("Service", "alpaca-prod")
    answer = await book.sh("client", "nslookup alpaca-prod.default.svc.cluster.local")
    assert service["spec"]["clusterIP"] in answer
    assert len(book.get("Endpoints", "alpaca-prod")["subsets"][0]["addresses"]) == 3
    port = service["spec"]["ports"][0]["nodePort"]
    node = book.client.list("nodes")[0]
    (address,) = [a["address"] for a in node["status"]["addresses"] if a["type"] == "InternalIP"]
    served = set()
    for _ in range(12):
        served.add(json.loads(await book.sh("client", f"curl -s http://{address}:{port}/env"))["env"]["HOSTNAME"])
    assert served <= set(book.ready(app="alpaca"))
    assert len(served) > 1
    ip = book.get("Pod", book.ready(app="alpaca")[0])["status"]["podIP"]
    await book.sh("client", f"curl -s -X PUT -d '{{\"failNext\": -1}}' http://{ip}:8080/ready/api")
    await book.wait(10)
    subset = book.get("Endpoints", "alpaca-prod")["subsets"][0]
    assert [a["ip"] for a in subset["notReadyAddresses"]] == [ip]


async def test_a_replica_set_adopts_scales_and_lets_go(book: Book) -> None:
    await book.apply(f"""
apiVersion: apps/v1
kind: ReplicaSet
metadata: {{name: kuard, labels: {{app: kuard, version: "2"}}}}
spec:
  replicas: 1
  selector: {{matchLabels: {{app: kuard, version: "2"}}}}
  template:
    metadata: {{labels: {{app: kuard, version: "2"}}}}
    spec: {{containers: [{{name: kuard, image: "{KUARD}"}}]}}
""")
    await book.wait(5)
    first = book.ready(app="kuard")
    await book.patch("ReplicaSet", "kuard", {"spec": {"replicas": 4}})
    await book.wait(5)
    assert len(book.ready(app="kuard")) == 4
    await book.patch("Pod", first[0], {"metadata": {"labels": {"app": "quarantine"}}})
    await book.wait(5)
    assert (len(book.ready(app="kuard")), book.ready(app="quarantine")) == (4, first)
    assert not book.get("Pod", first[0])["metadata"].get("ownerReferences")


async def test_a_deployment_rolls_out_in_steps_and_stops_at_a_bad_image(book: Book) -> None:
    await book.apply(f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: kuard}}
spec:
  replicas: 3
  revisionHistoryLimit: 14
  progressDeadlineSeconds: 600
  minReadySeconds: 60
  strategy: {{rollingUpdate: {{maxSurge: 1, maxUnavailable: 1}}}}
  selector: {{matchLabels: {{run: kuard}}}}
  template:
    metadata: {{labels: {{run: kuard}}}}
    spec: {{containers: [{{name: kuard, image: "{KUARD}"}}]}}
""")
    await book.wait(30)
    assert not book.get("Deployment", "kuard")["status"].get("availableReplicas")
    await book.wait(60)
    assert book.get("Deployment", "kuard")["status"]["availableReplicas"] == 3

    async def image(name: str) -> None:
        container = {"name": "kuard", "image": name}
        await book.patch("Deployment", "kuard", {"spec": {"template": {"spec": {"containers": [container]}}}})

    await image("gcr.io/kuar-demo/kuard-amd64:green")
    await book.wait(150)
    found = book.get("Deployment", "kuard")
    assert (
        found["metadata"]["annotations"]["deployment.kubernetes.io/revision"],
        found["status"]["updatedReplicas"],
    ) == ("2", 3)
    await image("gcr.io/kuar-demo/kuard-amd64:nonsense")
    await book.wait(700)
    conditions = {c["type"]: c["reason"] for c in book.get("Deployment", "kuard")["status"]["conditions"]}
    assert conditions["Progressing"] == "ProgressDeadlineExceeded"
    await image("gcr.io/kuar-demo/kuard-amd64:green")
    await book.wait(120)
    assert book.get("Deployment", "kuard")["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "4"


async def test_daemon_sets_follow_node_labels(book: Book) -> None:
    await book.apply("""
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: nginx-fast-storage}
spec:
  selector: {matchLabels: {app: nginx}}
  template:
    metadata: {labels: {app: nginx}}
    spec:
      nodeSelector: {ssd: "true"}
      containers: [{name: nginx, image: "nginx:1.27"}]
""")
    await book.wait(5)
    assert book.ready(app="nginx") == []
    workers = [n["metadata"]["name"] for n in book.client.list("nodes") if not n["spec"].get("taints")]
    for worker in workers:
        await book.client.patch("nodes", "", worker, {"metadata": {"labels": {"ssd": "true"}}})
    await book.wait(5)
    assert {p["spec"]["nodeName"] for p in book.pods(app="nginx")} == set(workers)
    await book.client.patch("nodes", "", workers[0], {"metadata": {"labels": {"ssd": None}}})
    await book.wait(40)
    assert [p["spec"]["nodeName"] for p in book.pods(app="nginx")] == workers[1:]


QUEUE = f"""
apiVersion: apps/v1
kind: ReplicaSet
metadata: {{name: queue, labels: {{app: work-queue, component: queue}}}}
spec:
  replicas: 1
  selector: {{matchLabels: {{app: work-queue, component: queue}}}}
  template:
    metadata: {{labels: {{app: work-queue, component: queue}}}}
    spec: {{containers: [{{name: queue, image: "{KUARD}"}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: queue}}
spec: {{ports: [{{port: 8080, protocol: TCP, targetPort: 8080}}], selector: {{app: work-queue, component: queue}}}}
"""
CONSUMERS = f"""
apiVersion: batch/v1
kind: Job
metadata: {{name: consumers}}
spec:
  parallelism: 5
  template:
    metadata: {{labels: {{chapter: jobs, job: consumers}}}}
    spec:
      containers:
      - name: worker
        image: {KUARD}
        command: [/kuard]
        args: ["--keygen-enable", "--keygen-exit-on-complete", "--keygen-memq-server=http://queue:8080/memq/server", "--keygen-memq-queue=keygen"]
      restartPolicy: OnFailure
"""


async def test_jobs_one_shot_and_a_failing_one(book: Book) -> None:
    await book.apply(f"""
apiVersion: batch/v1
kind: Job
metadata: {{name: oneshot}}
spec:
  template:
    spec:
      containers: [{{name: kuard, image: "{KUARD}", command: [/kuard], args: ["--keygen-enable", "--keygen-exit-on-complete", "--keygen-num-to-gen=10"]}}]
      restartPolicy: OnFailure
---
apiVersion: batch/v1
kind: Job
metadata: {{name: broken}}
spec:
  backoffLimit: 2
  template:
    spec:
      containers: [{{name: kuard, image: "{KUARD}", command: [/kuard], args: ["--keygen-enable", "--keygen-exit-on-complete", "--keygen-exit-code=1", "--keygen-num-to-gen=3"]}}]
      restartPolicy: Never
""")
    await book.wait(120)
    assert book.get("Job", "oneshot")["status"]["succeeded"] == 1
    conditions = {c["type"]: c["reason"] for c in book.get("Job", "broken")["status"]["conditions"]}
    assert conditions["Failed"] == "BackoffLimitExceeded"
    assert (
        len([p for p in book.pods(**{"batch.kubernetes.io/job-name": "broken"}) if p["status"]["phase"] == "Failed"])
        == 3
    )


async def test_a_work_queue_is_worked_off_by_five(book: Book) -> None:
    await book.apply(CLIENT)
    await book.apply(QUEUE)
    await book.wait(10)
    base = "http://queue:8080/memq/server"
    await book.sh("client", f"curl -s -X PUT {base}/queues/keygen")
    await book.sh("client", f"for i in $(seq 20); do curl -s -d work-item-$i {base}/queues/keygen/enqueue; done")
    assert json.loads(await book.sh("client", f"curl -s {base}/stats"))["queues"][0]["depth"] == 20
    await book.apply(CONSUMERS)
    await book.wait(300)
    job = book.get("Job", "consumers")
    assert (job["status"]["succeeded"], job["status"]["conditions"][-1]["type"]) == (5, "Complete")
    done = json.loads(await book.sh("client", f"curl -s {base}/stats"))["queues"][0]
    assert (done["depth"], done["dequeued"]) == (0, 20)


async def test_config_maps_as_files_variables_and_arguments_and_secrets_with_modes(book: Book) -> None:
    await book.apply(f"""
apiVersion: v1
kind: ConfigMap
metadata: {{name: my-config}}
data: {{my-config.txt: "parameter1 = value1\\n", extra-param: extra-value, another-param: another-value}}
---
apiVersion: v1
kind: Secret
metadata: {{name: kuard-tls}}
stringData: {{kuard.crt: certificate, kuard.key: key}}
---
apiVersion: v1
kind: Pod
metadata: {{name: kuard-config}}
spec:
  containers:
  - name: c
    image: {KUARD}
    command: [/kuard, $(EXTRA_PARAM)]
    env:
    - {{name: ANOTHER_PARAM, valueFrom: {{configMapKeyRef: {{name: my-config, key: another-param}}}}}}
    - {{name: EXTRA_PARAM, valueFrom: {{configMapKeyRef: {{name: my-config, key: extra-param}}}}}}
    volumeMounts: [{{name: config, mountPath: /config}}, {{name: tls, mountPath: /tls, readOnly: true}}]
  volumes: [{{name: config, configMap: {{name: my-config}}}}, {{name: tls, secret: {{secretName: kuard-tls}}}}]
""")
    await book.wait(10)
    assert (
        await book.sh("kuard-config", "echo $ANOTHER_PARAM; cat /config/my-config.txt /tls/kuard.crt")
        == "another-value\nparameter1 = value1\ncertificate"
    )
    await book.patch("ConfigMap", "my-config", {"data": {"another-param": "new"}})
    await book.wait(90)
    assert await book.sh("kuard-config", "echo $ANOTHER_PARAM; cat /config/another-param") == "another-value\nnew"


ROLES = """
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: pod-and-services}
rules: [{apiGroups: [""], resources: [pods, services], verbs: [create, delete, get, list, patch, update, watch]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: pods-and-services}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: pod-and-services}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: alice}, {apiGroup: rbac.authorization.k8s.io, kind: Group, name: mydevs}]
"""


async def test_roles_let_alice_and_the_developers_in_and_nobody_else(book: Book) -> None:
    await book.apply(ROLES)

    async def may(verb: str, resource: str, user: str, *groups: str, namespace: str = "default") -> bool:
        attributes = {"namespace": namespace, "verb": verb, "resource": resource}
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": {
            "user": user, "groups": list(groups), "resourceAttributes": attributes}}  # fmt: skip
        answer = await book.post("/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
        return bool(answer["status"]["allowed"])

    assert await may("create", "pods", "alice")
    assert await may("delete", "services", "bob", "mydevs")
    assert not await may("create", "deployments", "alice")
    assert not await may("get", "pods", "alice", namespace="kube-system")
    assert not await may("get", "pods", "bob")


CONTROLLER = """
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: nginx}
spec: {controller: k8s.io/ingress-nginx}
---
apiVersion: v1
kind: Pod
metadata: {name: controller, labels: {app: controller}}
spec:
  containers:
  - name: controller
    image: registry.k8s.io/ingress-nginx/controller:v1.13.3
    args: [/nginx-ingress-controller, --controller-class=k8s.io/ingress-nginx, --ingress-class=nginx]
    ports: [{containerPort: 80, hostPort: 80}]
---
apiVersion: v1
kind: Service
metadata: {name: controller}
spec: {selector: {app: controller}, ports: [{port: 80}]}
"""


async def test_an_ingress_by_host_and_path(book: Book) -> None:
    await book.apply(CLIENT)
    await book.apply(CONTROLLER)
    for name in ("alpaca", "bandicoot", "be-default"):
        await book.apply(f"""
apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {{app: {name}}}}}
spec: {{containers: [{{name: kuard, image: "{KUARD}"}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec: {{selector: {{app: {name}}}, ports: [{{port: 8080}}]}}
""")
    await book.apply("""
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: path-ingress}
spec:
  ingressClassName: nginx
  defaultBackend: {service: {name: be-default, port: {number: 8080}}}
  rules:
  - host: bandicoot.example.com
    http:
      paths:
      - {path: /, pathType: Prefix, backend: {service: {name: bandicoot, port: {number: 8080}}}}
      - {path: /a/, pathType: Prefix, backend: {service: {name: alpaca, port: {number: 8080}}}}
""")
    await book.wait(20)
    assert book.get("Ingress", "path-ingress")["status"]["loadBalancer"]["ingress"]

    async def who(host: str, path: str) -> str:
        page = await book.sh("client", f"curl -s -H 'Host: {host}' http://controller{path}")
        found = (name for name in ("alpaca", "bandicoot", "be-default") if f'"{name}"' in page or f">{name}<" in page)
        return next(found, page)

    assert await who("bandicoot.example.com", "/") == "bandicoot"
    assert await who("bandicoot.example.com", "/a/") == "alpaca"
    # beside rules, ingress-nginx keeps a default backend to the hosts of these rules
    assert "404 Not Found" in await who("nobody.example.com", "/")
