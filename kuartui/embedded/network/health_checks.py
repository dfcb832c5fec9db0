"""healthCheckNodePort: how kube-proxy tells a load balancer which nodes have endpoints of a Service.

After pkg/proxy/healthcheck/service_health.go.
"""

from __future__ import annotations

from kuartui.embedded.network.http import Request, Response, reply, server
from kuartui.embedded.network.stream import Handler

TOLD = """{{
\t"service": {{
\t\t"namespace": "{namespace}",
\t\t"name": "{name}"
\t}},
\t"localEndpoints": {count},
\t"serviceProxyHealthy": true
}}"""


def handler(namespace: str, name: str, count: int) -> Handler:
    """Serves one connection to a Service's port for health checks, on a node with `count` of its endpoints."""

    async def app(_: Request) -> Response:
        text = TOLD.format(namespace=namespace, name=name, count=count)
        headers = [("X-Content-Type-Options", "nosniff"), ("X-Load-Balancing-Endpoint-Weight", str(count))]
        return reply(200 if count else 503, text, "application/json", headers)

    return server(app)
