"""Chapters 15 and 16: external databases, the MySQL singleton, and MongoDB as a StatefulSet that forms its replica set."""

from __future__ import annotations

from tests.embedded.book.conftest import Book

CLIENT = """
apiVersion: v1
kind: Pod
metadata: {name: client}
spec: {containers: [{name: c, image: "busybox:1.36", command: [sleep, infinity]}]}
"""


async def test_services_for_what_is_outside(book: Book) -> None:
    await book.apply(CLIENT)
    await book.apply("""
apiVersion: v1
kind: Service
metadata: {name: external-database}
spec: {type: ExternalName, externalName: database.company.example}
---
apiVersion: v1
kind: Service
metadata: {name: external-ip-database}
spec: {ports: [{port: 3306}]}
---
apiVersion: v1
kind: Endpoints
metadata: {name: external-ip-database}
subsets: [{addresses: [{ip: 192.168.0.1}], ports: [{port: 3306}]}]
""")
    await book.wait(5)
    assert "canonical name = database.company.example" in await book.sh(
        "client", "nslookup external-database.default.svc.cluster.local"
    )
    slices = book.client.list(
        "endpointslices.discovery.k8s.io",
        "default",
        {"matchLabels": {"kubernetes.io/service-name": "external-ip-database"}},
    )
    assert [s["endpoints"][0]["addresses"] for s in slices] == [["192.168.0.1"]]
    assert (
        slices[0]["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"]
        == "endpointslicemirroring-controller.k8s.io"
    )


MYSQL = """
apiVersion: v1
kind: PersistentVolume
metadata: {name: database, labels: {volume: my-volume}}
spec:
  accessModes: [ReadWriteMany]
  capacity: {storage: 1Gi}
  %s
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: database}
spec:
  accessModes: [ReadWriteMany]
  storageClassName: ""
  resources: {requests: {storage: 1Gi}}
  selector: {matchLabels: {volume: my-volume}}
---
apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: mysql, labels: {app: mysql}}
spec:
  replicas: 1
  selector: {matchLabels: {app: mysql}}
  template:
    metadata: {labels: {app: mysql}}
    spec:
      containers:
      - name: database
        image: mysql:8.4
        resources: {requests: {cpu: 100m, memory: 512Mi}}
        env: [{name: MYSQL_ROOT_PASSWORD, value: some-password-here}]
        livenessProbe: {tcpSocket: {port: 3306}, initialDelaySeconds: 15}
        ports: [{containerPort: 3306}]
        volumeMounts: [{name: database, mountPath: /var/lib/mysql}]
      volumes: [{name: database, persistentVolumeClaim: {claimName: database}}]
---
apiVersion: v1
kind: Service
metadata: {name: mysql}
spec: {ports: [{port: 3306, protocol: TCP}], selector: {app: mysql}}
"""


async def test_the_mysql_singleton_keeps_its_data(book: Book) -> None:
    await book.apply(MYSQL % "hostPath: {path: /exports}")
    await book.wait(60)
    assert book.get("PersistentVolumeClaim", "database")["status"]["phase"] == "Bound"
    pods = book.ready(app="mysql")
    assert len(pods) == 1
    assert "mysqld is alive" in await book.sh(pods[0], "mysqladmin -h mysql -psome-password-here ping")
    node = book.get("Pod", pods[0])["spec"]["nodeName"]
    for other in book.client.list("nodes"):
        if other["metadata"]["name"] != node:
            await book.client.patch("nodes", "", other["metadata"]["name"], {"spec": {"unschedulable": True}})
    await book.client.delete("pods", "default", pods[0])
    await book.wait(60)
    again = book.ready(app="mysql")
    assert (len(again), again != pods) == (1, True)
    assert "Initializing database files" not in await book.logs(again[0])


async def test_an_nfs_server_that_is_not_there_is_named(book: Book) -> None:
    await book.apply(MYSQL % "nfs: {server: 192.168.0.1, path: /exports}")
    await book.wait(150)
    assert book.get("PersistentVolumeClaim", "database")["status"]["phase"] == "Bound"
    (pod,) = book.pods(app="mysql")
    assert pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "ContainerCreating"
    events = [
        e for e in book.client.list("events", "default") if e["involvedObject"]["name"] == pod["metadata"]["name"]
    ]
    assert any(e["reason"] == "FailedMount" and "192.168.0.1:/exports" in e["message"] for e in events), events


MONGO = """
apiVersion: v1
kind: ConfigMap
metadata: {name: mongo-init}
data:
  init.sh: |
    until mongo --eval 'printjson(db.serverStatus())'; do echo "connecting to local mongo..."; sleep 2; done
    HOST=mongo-0.mongo:27017
    until mongo --host=$HOST --eval 'printjson(db.serverStatus())'; do echo "connecting to remote mongo..."; sleep 2; done
    if [ "$(hostname)" = mongo-0 ]; then
      mongo --eval="printjson(rs.initiate({'_id': 'rs0', 'members': [{'_id': 0, 'host': 'mongo-0.mongo:27017'}]}))"
    else
      until mongo --host=$HOST --eval="printjson(rs.status())" | grep -v "no replset config has been received" | grep -q PRIMARY; do
        echo "waiting for replication set initialization"
        sleep 2
      done
      mongo --host=$HOST --eval="printjson(rs.add('$(hostname).mongo'))"
    fi
    echo initialized
    while true; do sleep 3600; done
---
apiVersion: v1
kind: Service
metadata: {name: mongo}
spec: {ports: [{port: 27017, name: peer}], clusterIP: None, selector: {app: mongo}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: mongo}
spec:
  serviceName: mongo
  replicas: 3
  selector: {matchLabels: {app: mongo}}
  template:
    metadata: {labels: {app: mongo}}
    spec:
      containers:
      - name: mongodb
        image: mongo:3.4.24
        command: [mongod, --replSet, rs0]
        ports: [{containerPort: 27017, name: peer}]
        volumeMounts: [{name: database, mountPath: /data/db}]
        livenessProbe: {exec: {command: [mongo, --eval, db.serverStatus()]}, initialDelaySeconds: 10, timeoutSeconds: 10}
      - name: init-mongo
        image: mongo:3.4.24
        command: [bash, /config/init.sh]
        volumeMounts: [{name: config, mountPath: /config}]
      volumes: [{name: config, configMap: {name: mongo-init}}]
  volumeClaimTemplates:
  - metadata: {name: database}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
"""


async def test_mongo_forms_its_replica_set_and_keeps_it(book: Book) -> None:
    await book.apply(MONGO)
    await book.wait(120)
    names = ["mongo-0", "mongo-1", "mongo-2"]
    assert book.ready(app="mongo") == names
    status = await book.sh("mongo-1", "mongo --eval 'printjson(rs.status())'", "mongodb")
    assert (status.count('"SECONDARY"'), status.count('"PRIMARY"')) == (2, 1)
    claims = [c["metadata"]["name"] for c in book.client.list("persistentvolumeclaims", "default")]
    assert sorted(claims) == [f"database-{name}" for name in names]
    await book.client.delete("pods", "default", "mongo-2")
    await book.wait(120)
    assert book.ready(app="mongo") == names
    assert (await book.sh("mongo-0", "mongo --eval 'printjson(rs.status())'", "mongodb")).count('"SECONDARY"') == 2
    await book.patch("StatefulSet", "mongo", {"spec": {"replicas": 1}})
    await book.wait(90)
    assert book.ready(app="mongo") == ["mongo-0"]
    assert "(not reachable/healthy)" in await book.sh("mongo-0", "mongo --eval 'printjson(rs.status())'", "mongodb")


LINKED = """
apiVersion: v1
kind: Pod
metadata: {name: NAME}
spec:
  restartPolicy: Never
  initContainers:
  - {name: i, image: "busybox:1.36", command: [sh, -c, 'mkdir /v/in; echo in > /v/in/f; ln -s TARGET /v/link'], volumeMounts: [{name: v, mountPath: /v}]}
  containers:
  - {name: c, image: "busybox:1.36", command: [cat, /m/f], volumeMounts: [{name: v, mountPath: /m, subPath: link}]}
  volumes: [{name: v, emptyDir: {}}]
"""


async def test_a_sub_path_follows_links_within_its_volume_only(book: Book) -> None:
    for name, target in {"in": "in", "up": "../outside", "absolute": "/etc", "back": "in/../in"}.items():
        await book.apply(LINKED.replace("NAME", name).replace("TARGET", target))
    await book.wait(15)
    assert await book.logs("in") == await book.logs("back") == "in\n"
    await book.apply(
        LINKED.replace("NAME", "host").replace("TARGET", "/srv/in").replace("emptyDir: {}", "hostPath: {path: /srv}")
    )
    await book.wait(15)
    assert await book.logs("host") == "in\n"
    for name in ("up", "absolute"):
        waiting = book.get("Pod", name)["status"]["containerStatuses"][0]["state"]["waiting"]
        assert waiting == {
            "reason": "CreateContainerConfigError",
            "message": 'failed to prepare subPath for volumeMount "v" of container "c"',
        }
