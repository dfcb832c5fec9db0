"""The cluster's edge as the API shows it: the status of Ingresses, Gateways and HTTPRoutes."""
