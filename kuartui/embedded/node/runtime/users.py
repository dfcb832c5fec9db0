"""Who a container's processes run as: the image's USER and the security context, looked up in the image's passwd."""

from __future__ import annotations

from kuartui.embedded.images.model import Image
from kuartui.embedded.node.runtime.files import User
from kuartui.embedded.node.runtime.spec import CreateError, Credentials


def _rows(image: Image, path: str) -> list[list[str]]:
    entry = image.files.get(path)
    text = entry.data.decode() if entry and entry.data else ""
    return [line.split(":") for line in text.splitlines() if line.count(":") >= 2]


def image_user(image: Image) -> tuple[int | None, str]:
    """The image's user as (uid, "") or (None, name), which is what the kubelet's runAsNonRoot check looks at."""
    user = image.config.user.partition(":")[0]
    if not user:
        return 0, ""
    return (int(user), "") if user.isdigit() else (None, user)


def resolve_user(image: Image, wanted: Credentials) -> User:
    """The user of a container. Raises CreateError if the image names one that it does not have."""
    passwd, group = _rows(image, "/etc/passwd"), _rows(image, "/etc/group")
    name, _, group_name = image.config.user.partition(":")
    row: list[str] | None = None
    if wanted.uid is not None:
        uid = wanted.uid
        row = next((r for r in passwd if r[2] == str(uid)), None)
    elif not name or name.isdigit():
        uid = int(name or 0)
        row = next((r for r in passwd if r[2] == str(uid)), None)
    else:
        row = next((r for r in passwd if r[0] == name), None)
        if row is None:
            raise CreateError(
                "failed to generate container spec: failed to generate spec: no users found: "
                f"unable to find user {name}: no matching entries in passwd file"
            )
        uid = int(row[2])
    if wanted.gid is not None:
        gid = wanted.gid
    elif group_name and wanted.uid is None:
        found = next((r for r in group if r[0] == group_name), None)
        gid = int(group_name) if group_name.isdigit() else int(found[2]) if found else 0
    else:
        gid = int(row[3]) if row and len(row) > 3 else 0
    login = row[0] if row else ""
    own = {int(r[2]) for r in group if len(r) > 3 and login in r[3].split(",") and login}
    groups = tuple(sorted({*wanted.groups, gid, *(own if wanted.image_groups else ())}))
    home = row[5] if row and len(row) > 5 else "/"
    return User(uid, gid, groups, login, home, wanted.capabilities)


def user_ids(image: Image, name: str) -> tuple[int, int] | None:
    """uid and gid of a login name; None if the image knows none of it."""
    return next(((int(r[2]), int(r[3])) for r in _rows(image, "/etc/passwd") if r[0] == name and len(r) > 3), None)


def user_name(image: Image, uid: int) -> str:
    """The login name of a uid; "" if the image knows none."""
    return next((row[0] for row in _rows(image, "/etc/passwd") if row[2] == str(uid)), "")


def group_name(image: Image, gid: int) -> str:
    """The name of a gid; "" if the image knows none."""
    return next((row[0] for row in _rows(image, "/etc/group") if row[2] == str(gid)), "")
