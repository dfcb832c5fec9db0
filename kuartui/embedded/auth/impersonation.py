"""Acting as somebody else: `Impersonate-*` headers, and who may send them.

Since 1.36 some may impersonate only for some requests (KEP-5284): verbs `impersonate:MODE` on who is impersonated and
`impersonate-on:MODE:VERB` on what is asked for. Whoever may plainly `impersonate` may so for everything.
https://kubernetes.io/docs/reference/access-authn-authz/user-impersonation/
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from urllib.parse import unquote

from msgspec import Struct
from msgspec.structs import replace

from kuartui.embedded.api.request import ANONYMOUS, SEVERAL, User
from kuartui.embedded.auth.actions import Action
from kuartui.embedded.auth.authentication import AUTHENTICATED, SERVICE_ACCOUNTS
from kuartui.embedded.meta.errors import StatusError, forbidden

EXTRA_HEADER = "impersonate-extra-"
GROUP = "authentication.k8s.io"
MASTERS = "system:masters"
NODE_KEY = "authentication.kubernetes.io/node-name"
UNAUTHENTICATED = "system:unauthenticated"

_ACCOUNT = re.compile(r"system:serviceaccount:([a-z0-9.-]+):([a-z0-9.-]+)")
_NODE = re.compile(r"system:node:([a-z0-9]([a-z0-9.-]*[a-z0-9])?)")

Require = Callable[[User, Action], None]
"""Raises 403 unless the user may."""


class Mode(Struct, frozen=True):
    """A way to impersonate: for which users, by whom."""

    name: str
    fits: Callable[[User, User], bool]
    """Whether a user (the first) can be impersonated so by another."""


def _bare(wanted: User) -> bool:
    return not (wanted.uid or wanted.groups or wanted.extra)


def _own_node(wanted: User, requestor: User) -> bool:
    node = _NODE.fullmatch(wanted.name)
    account = _ACCOUNT.fullmatch(requestor.name)
    return bool(node and account and _bare(wanted) and requestor.extra.get(NODE_KEY) == (node[1],))


MODES = (
    Mode("associated-node", _own_node),
    Mode("arbitrary-node", lambda wanted, _: bool(_NODE.fullmatch(wanted.name)) and _bare(wanted)),
    Mode("serviceaccount", lambda wanted, _: bool(_ACCOUNT.fullmatch(wanted.name)) and _bare(wanted)),
    Mode("user-info", lambda wanted, _: not (_NODE.fullmatch(wanted.name) or _ACCOUNT.fullmatch(wanted.name))),
    Mode("", lambda *_: True),
)
"""In the order in which they are tried; the last one is the plain verb."""


class Impersonation:
    """Turns senders of requests into whom they want to be, if they may."""

    def __init__(self, require: Require) -> None:
        self._require = require
        self._last: dict[str, Mode] = {}
        """By which mode each user was somebody else last: tried first, so that refusals tell of it."""

    def user(self, headers: Mapping[str, str], requestor: User, asked: Action) -> User:
        """Whom a request for `asked` comes from. Raises 403 where the requestor may not be them, 500 without a name."""
        found = wanted(headers)
        if found is None:
            return requestor
        last = self._last.get(requestor.name)
        first: StatusError | None = None
        for mode in MODES if last is None else (last, *(mode for mode in MODES if mode is not last)):
            if not mode.fits(found, requestor):
                continue
            try:
                user = self._checked(mode, found, requestor, asked)
            except StatusError as error:
                first = first or error
                continue
            self._last[requestor.name] = mode
            return user
        raise first or forbidden("users", found.name, "all impersonation modes failed")

    def _checked(self, mode: Mode, wanted: User, requestor: User, asked: Action) -> User:
        verb, group = "impersonate", ""
        if mode.name:
            verb, group = f"impersonate:{mode.name}", GROUP
            self._require(requestor, replace(asked, verb=f"impersonate-on:{mode.name}:{asked.verb}"))
        groups = wanted.groups
        whom = Action(verb, group, "users", name=wanted.name)
        account, node = _ACCOUNT.fullmatch(wanted.name), _NODE.fullmatch(wanted.name)
        if account:
            whom = Action(verb, group, "serviceaccounts", namespace=account[1], name=account[2])
            groups = groups or (SERVICE_ACCOUNTS, f"{SERVICE_ACCOUNTS}:{account[1]}")
        elif node and mode.name:
            whom = Action(verb, group, "nodes", name="*" if mode.name == "associated-node" else node[1])
            groups = ("system:nodes",)
        self._require(requestor, whom)
        if wanted.uid:
            self._require(requestor, Action(verb, GROUP, "uids", name=wanted.uid))
        if mode.name and MASTERS in wanted.groups:
            why = f'cannot {verb} resource "groups" in API group "{GROUP}" at the cluster scope'
            text = f'User "{requestor.name}" {why}: impersonating the system:masters group is not allowed'
            raise forbidden(f"groups.{GROUP}", MASTERS, text)
        for name in wanted.groups:
            self._require(requestor, Action(verb, group, "groups", name=name))
        for key, values in wanted.extra.items():
            for value in values:
                self._require(requestor, Action(verb, GROUP, "userextras", key, name=value))
        due = UNAUTHENTICATED if wanted.name == ANONYMOUS.name else AUTHENTICATED
        if due not in groups and UNAUTHENTICATED not in groups:
            groups = (*groups, due)
        return replace(wanted, groups=groups)


def wanted(headers: Mapping[str, str]) -> User | None:
    """The user that `Impersonate-*` headers name, just as they do; None without any. Raises 500 for headers without a name."""
    name, uid = headers.get("impersonate-user", ""), headers.get("impersonate-uid", "")
    groups = tuple(g for g in headers.get("impersonate-group", "").split(SEVERAL) if g)
    extra = {
        unquote(key.removeprefix(EXTRA_HEADER)): tuple(value.split(SEVERAL))
        for key, value in headers.items()
        if key.startswith(EXTRA_HEADER)
    }
    if not name and (groups or extra or uid):
        why = "Internal error occurred: requested &user.DefaultInfo without impersonating a user"
        raise StatusError(500, "InternalError", why)
    return User(name, groups, uid, extra) if name else None
