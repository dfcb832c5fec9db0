"""Chapter 17: Jupyter, Parse on MongoDB, Ghost on MySQL, and Redis with sentinels."""

from __future__ import annotations

import json
import re

from tests.embedded.book.conftest import Book
from tests.embedded.book.test_storage import MONGO

CLIENT = """
apiVersion: v1
kind: Pod
metadata: {name: reader}
spec: {containers: [{name: c, image: "curlimages/curl:8.10.1", command: [sleep, infinity]}]}
"""

JUPYTER = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: work}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: notebooks}
spec:
  strategy: {type: Recreate}
  selector: {matchLabels: {run: jupyter}}
  template:
    metadata: {labels: {run: jupyter}}
    spec:
      containers:
      - name: jupyter
        image: jupyter/scipy-notebook:abdb27a6dfbb
        workingDir: /home/jovyan/work
        ports: [{containerPort: 8888}]
        readinessProbe: {httpGet: {path: /api, port: 8888}}
        volumeMounts: [{name: work, mountPath: /home/jovyan/work}]
      volumes: [{name: work, persistentVolumeClaim: {claimName: work}}]
---
apiVersion: v1
kind: Service
metadata: {name: notebooks}
spec: {selector: {run: jupyter}, ports: [{port: 80, targetPort: 8888}]}
"""


async def token(book: Book) -> str:
    (name,) = book.ready(run="jupyter")
    found = re.search(r"http://127\.0\.0\.1:8888/lab\?token=([0-9a-f]{48})", await book.logs(name))
    assert found is not None
    return found[1]


async def test_jupyter_lets_in_who_read_its_log_and_its_notebooks_outlive_it(book: Book) -> None:
    await book.apply(JUPYTER + "---" + CLIENT)
    await book.wait(60)
    secret = await token(book)
    code = "curl -s -o /dev/null -w '%{http_code}'"
    assert await book.sh("reader", f"{code} http://notebooks/api/contents") == "403"
    assert await book.sh("reader", f"{code} http://notebooks/lab?token={secret}") == "200"
    put = f"curl -s -X PUT -H 'Authorization: token {secret}' -d '{{\"content\": \"1 + 1\"}}'"
    assert '"type": "file"' in await book.sh("reader", f"{put} http://notebooks/api/contents/sum.ipynb")
    await book.client.delete("pods", "default", book.ready(run="jupyter")[0])
    await book.wait(60)
    assert (
        await book.sh("reader", f"{code} http://notebooks/lab?token={secret}") == "302"
    )  # another server, another token
    again = await book.sh("reader", f"curl -s http://notebooks/api/contents/sum.ipynb?token={await token(book)}")
    assert json.loads(again)["content"] == "1 + 1"


async def test_a_service_named_jupyter_takes_the_servers_port_variable(book: Book) -> None:
    named = JUPYTER.replace(
        "metadata: {name: notebooks}\nspec: {selector", "metadata: {name: jupyter}\nspec: {selector"
    )
    service, _, rest = named.rpartition("---")
    await book.apply(rest)
    await book.apply(service)
    await book.wait(60)
    (pod,) = book.pods(run="jupyter")
    assert not book.ready(run="jupyter")
    assert "invalid literal for int() with base 10: 'tcp://10.96." in await book.logs(pod["metadata"]["name"])


PARSE = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: parse-server}
spec:
  replicas: 2
  selector: {matchLabels: {run: parse-server}}
  template:
    metadata: {labels: {run: parse-server}}
    spec:
      containers:
      - name: parse-server
        image: parseplatform/parse-server:5.4.0
        ports: [{containerPort: 1337}]
        readinessProbe: {httpGet: {path: /parse/health, port: 1337}}
        env:
        - {name: PARSE_SERVER_DATABASE_URI, value: "mongodb://mongo-0.mongo:27017,mongo-1.mongo:27017,mongo-2.mongo:27017/dev?replicaSet=rs0"}
        - {name: PARSE_SERVER_APP_ID, value: my-app-id}
        - {name: PARSE_SERVER_MASTER_KEY, value: my-master-key}
---
apiVersion: v1
kind: Service
metadata: {name: parse-server}
spec: {ports: [{port: 1337, protocol: TCP, targetPort: 1337}], selector: {run: parse-server}}
"""


async def test_parse_keeps_objects_in_mongo_whoever_is_primary(book: Book) -> None:
    await book.apply(PARSE + "---" + CLIENT)
    await book.wait(90)
    assert not book.ready(run="parse-server")
    (pod, *_) = book.pods(run="parse-server")
    assert pod["status"]["containerStatuses"][0]["restartCount"] > 0
    await book.apply(MONGO)
    await book.wait(400)
    assert len(book.ready(run="parse-server")) == 2
    ask = "curl -s -H 'X-Parse-Application-Id: my-app-id'"
    url = "http://parse-server:1337/parse/classes/GameScore"
    assert json.loads(await book.sh("reader", f"curl -s {url}")) == {"error": "unauthorized"}
    made = json.loads(await book.sh("reader", f"{ask} -d '{{\"score\": 1337}}' {url}"))
    kept = json.loads(await book.sh("reader", f"{ask} {url}/{made['objectId']}"))
    assert kept["score"] == 1337
    await book.wait(10)
    assert await book.sh("mongo-2", "mongo --eval 'db.GameScore.count()'", "mongodb") == "1"
    for node in book.client.list("nodes"):
        await book.client.patch("nodes", "", node["metadata"]["name"], {"spec": {"unschedulable": True}})
    await book.client.delete("pods", "default", "mongo-0")  # the primary, which finds no place to come back to
    await book.wait(60)
    assert book.ready(app="mongo") == ["mongo-1", "mongo-2"]
    assert json.loads(await book.sh("reader", f"{ask} {url}/{made['objectId']}"))["score"] == 1337
    await book.sh("reader", f"{ask} -d '{{\"score\": 7}}' {url}")
    assert len(json.loads(await book.sh("reader", f"{ask} {url}"))["results"]) == 2


GHOST = """
apiVersion: v1
kind: Pod
metadata: {name: mysql, labels: {app: mysql}}
spec:
  containers: [{name: c, image: "mysql:8.4", env: [{name: MYSQL_ROOT_PASSWORD, value: root}], readinessProbe: {tcpSocket: {port: 3306}}}]
---
apiVersion: v1
kind: Service
metadata: {name: mysql}
spec: {selector: {app: mysql}, ports: [{port: 3306}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: ghost-config}
data:
  config.js: |
    var path = require('path'), config;
    config = {development: {
      url: 'http://blog.example:2368',
      database: {client: 'mysql', connection: {host: 'mysql', user: 'root', password: 'root', database: 'ghost_db'}},
      server: {host: '0.0.0.0', port: '2368'},
    }};
    module.exports = config;
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: ghost}
spec:
  replicas: 3
  selector: {matchLabels: {run: ghost}}
  template:
    metadata: {labels: {run: ghost}}
    spec:
      containers:
      - name: ghost
        image: ghost:0.11
        env: [{name: NODE_ENV, value: development}]
        command: [sh, -c, "cp /ghost-config/config.js /var/lib/ghost/config.js && exec docker-entrypoint.sh node current/index.js"]
        readinessProbe: {httpGet: {path: /, port: 2368}}
        volumeMounts: [{name: config, mountPath: /ghost-config}]
      volumes: [{name: config, configMap: {name: ghost-config}}]
---
apiVersion: v1
kind: Service
metadata: {name: ghost}
spec: {selector: {run: ghost}, ports: [{port: 80, targetPort: 2368}]}
"""


async def test_ghost_scales_on_one_database_and_falls_with_it(book: Book) -> None:
    await book.apply(GHOST + "---" + CLIENT)
    await book.wait(90)
    assert len(book.ready(run="ghost")) == 3
    assert "<h1>Ghost</h1>" in await book.sh("reader", "curl -s http://ghost/")
    await book.client.delete("pods", "default", "mysql", grace=0)
    await book.client.delete("pods", "default", book.ready(run="ghost")[0])
    await book.wait(60)
    assert len(book.ready(run="ghost")) == 2  # the new one finds no database; the others do not ask it again
    down = [
        pod["metadata"]["name"]
        for pod in book.pods(run="ghost")
        if pod["metadata"]["name"] not in book.ready(run="ghost")
    ]
    assert "ECONNREFUSED mysql:3306" in await book.logs(down[0])


REDIS = """
apiVersion: v1
kind: ConfigMap
metadata: {name: redis-config}
data:
  master.conf: |
    bind 0.0.0.0
    port 6379
    dir /redis-data
  slave.conf: |
    bind 0.0.0.0
    port 6379
    dir .
    slaveof redis-0.redis 6379
  sentinel.conf: |
    bind 0.0.0.0
    port 26379
    sentinel resolve-hostnames yes
    sentinel monitor redis redis-0.redis 6379 2
    sentinel parallel-syncs redis 1
    sentinel down-after-milliseconds redis 10000
    sentinel failover-timeout redis 20000
  init.sh: |
    #!/bin/bash
    if [[ ${HOSTNAME} == 'redis-0' ]]; then
      redis-server /redis-config/master.conf
    else
      redis-server /redis-config/slave.conf
    fi
  sentinel.sh: |
    #!/bin/bash
    cp /redis-config/*.* /redis-data
    while ! ping -c 1 redis-0.redis; do
      echo 'Waiting for server'
      sleep 1
    done
    redis-sentinel /redis-data/sentinel.conf
---
apiVersion: v1
kind: Service
metadata: {name: redis}
spec: {ports: [{port: 6379, name: peer}], clusterIP: None, selector: {app: redis}, publishNotReadyAddresses: true}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: redis}
spec:
  replicas: 3
  serviceName: redis
  selector: {matchLabels: {app: redis}}
  template:
    metadata: {labels: {app: redis}}
    spec:
      containers:
      - command: [sh, -c, source /redis-config/init.sh]
        image: redis:7-alpine
        name: redis
        ports: [{containerPort: 6379, name: redis}]
        volumeMounts: [{mountPath: /redis-config, name: config}, {mountPath: /redis-data, name: data}]
      - command: [sh, -c, source /redis-config/sentinel.sh]
        image: redis:7-alpine
        name: sentinel
        volumeMounts: [{mountPath: /redis-config, name: config}, {mountPath: /redis-data, name: data}]
      volumes: [{configMap: {name: redis-config}, name: config}, {emptyDir: {}, name: data}]
"""


async def test_redis_replicates_and_its_sentinels_agree_on_the_master(book: Book) -> None:
    await book.apply(REDIS)
    await book.wait(120)
    assert book.ready(app="redis") == ["redis-0", "redis-1", "redis-2"]
    assert await book.sh("redis-0", "redis-cli set color blue", "redis") == "OK"
    await book.wait(5)
    assert await book.sh("redis-2", "redis-cli get color", "redis") == "blue"
    assert "READONLY" in await book.sh("redis-2", "redis-cli set color red", "redis")
    asked = "redis-cli -p 26379 sentinel get-master-addr-by-name redis"
    masters = {await book.sh(f"redis-{n}", asked, "sentinel") for n in range(3)}
    assert masters == {f"{book.get('Pod', 'redis-0')['status']['podIP']}\n6379"}
