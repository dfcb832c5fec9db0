"""Whether a hint does the work. Hints teach how to look; the command that changes something is for the player to find.

Prose may name a verb ("what kubectl drain refuses"), and a command may be tried out (`--dry-run`, `--help`, `--rm`):
neither changes anything. What is looked for is a verb that changes together with the object that it would change.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

_KIND = (
    r"(?:all|cj|clusterrole(?:binding)?s?|cm|configmaps?|crds?|cronjobs?|csr|daemonsets?|deploy(?:ments?)?|ds|"
    r"endpointslices?|gateways?|hpa|httproutes?|ing(?:ress(?:es)?)?|jobs?|limitranges?|namespaces?|networkpolic(?:y|ies)|"
    r"nodes?|ns|pdb|persistentvolume(?:claim)?s?|poddisruptionbudgets?|pods?|po|priorityclass(?:es)?|pvc?|quota|"
    r"replicasets?|resourcequotas?|role(?:binding)?s?|rs|sa|secrets?|serviceaccounts?|services?|statefulsets?|"
    r"storageclass(?:es)?|sts|svc|[a-z]+\.[a-z0-9.]+)"
)
_VERB = (
    r"(?:annotate|apply|autoscale|create|delete|edit|expose|label|patch|replace|scale|taint|set [a-z]+|"
    r"rollout (?:pause|restart|resume|undo)|auth reconcile)"
)
_OBJECT = rf"(?:{_KIND}(?:/\S|\s+(?:generic |clusterip |-l\b|--all\b|--selector\b|[A-Za-z0-9$<]))|-[fk]\s)"
_KUBECTL = re.compile(
    r"\bkubectl(?:\s+(?:-n\s+\S+|--\S+))*\s+"
    rf"(?:{_VERB}\s+(?:(?:-n\s+\S+|--\S+)\s+)*{_OBJECT}"
    r"|run\s+\S+\s+--image|certificate (?:approve|deny)\s+\S|(?:cordon|drain|uncordon)\s+(?:[A-Z<$]|\S*\d))[^|;]*"
)
_DOCKER = re.compile(
    r"\bdocker\s+(?:build|commit|cp|create|import|kill|load|rename|restart|rm|rmi|run|start|stop|tag|update)\b[^|;]*"
)
_SENTENCE = re.compile(r"[.?!](?=\s|$)")
_HARMLESS = re.compile(r"\s(?:--dry-run|--help|--rm)\b")


def doing(text: str, docker_names: Collection[str] = ()) -> Iterator[str]:
    """The commands in a hint that would change something. `docker_names`: the images and containers of the level."""
    flat = " ".join(text.split())
    for command in map(_sentence, _KUBECTL.findall(flat)):
        if not _HARMLESS.search(command):
            yield command
    for command in map(_sentence, _DOCKER.findall(flat)):
        named = any(word == "." or word.partition(":")[0] in docker_names for word in command.split()[2:])
        if named and not _HARMLESS.search(command):
            yield command


def _sentence(text: str) -> str:
    """A docker build ends in a dot of its own, which is no end of a sentence."""
    text = text.replace(" . ", " ./ ") + " "
    return _SENTENCE.split(text, maxsplit=1)[0].replace(" ./ ", " . ").strip()
