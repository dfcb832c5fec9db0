"""What the API machinery must know of a kind, and the register of all kinds.

The machinery (`api/`) never names a kind. Everything hand-written about one (defaults, validation, what a writer may
change, its table row, its selectable fields) is a `Strategy` in a module of its own in this package, after
kube-apiserver's `pkg/registry/*/strategy.go`, `pkg/apis/*/{defaults,validation}.go` and `pkg/printers/internalversion`.
A resource without one of its own is served by the plain `Strategy`: stored, checked against the schema, listed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from kuartui.embedded.kinds.index import MODULES

if TYPE_CHECKING:
    from kuartui.embedded.meta.fielderr import FieldError

Obj = dict[str, Any]

SERVICE_CIDR = "10.96.0.0/16"
"""Where cluster IPs come from unless ServiceCIDRs say otherwise."""


class Resource(Struct, frozen=True):
    """One resource of one group, as discovery tells it. `versions` has the preferred one first."""

    group: str
    plural: str
    singular: str
    kind: str
    namespaced: bool
    versions: tuple[str, ...]
    storage: str
    """The version that objects are stored in; the strategy sees no other."""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    list_kind: str = ""
    stored_as: str = ""
    """The group resource whose objects these are, where it is another one (events)."""

    @property
    def name(self) -> str:
        """The group resource as Kubernetes prints it and the store keys it: "pods", "deployments.apps"."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def stored(self) -> str:
        """The name under which objects are stored."""
        return self.stored_as or self.name

    @property
    def api_version(self) -> str:
        """apiVersion of stored objects."""
        return f"{self.group}/{self.storage}" if self.group else self.storage


OWN_METADATA = ("labels", "annotations", "finalizers", "ownerReferences")
"""What users write of metadata: for `Strategy.status_keeps`, as metav1.ResetObjectMetaForStatus."""


class WriteContext(Struct):
    """Who writes what, and how: given to strategies and admission."""

    user: str = ""
    groups: tuple[str, ...] = ()
    uid: str = ""
    """The user's."""
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What else is known of the user."""
    now: datetime | None = None
    subresource: str = ""
    operation: str = "CREATE"  # CREATE, UPDATE, DELETE, CONNECT
    dry_run: bool = False
    field_manager: str = ""
    options: Obj = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    """Added to the answer as Warning headers."""
    objects: Callable[[str], Iterable[Obj]] = field(default=lambda _: ())
    """What is stored of a resource, in all namespaces; read-only. For kinds that allocate (cluster IPs, node ports)."""
    service_cidr: str = SERVICE_CIDR
    node_ports: tuple[int, int] = (30000, 32767)


class Strategy:
    """Behaviour of a kind; override what differs. `obj` arguments are private copies and may be changed in place."""

    has_status = True
    """Whether status belongs to the status subresource: create drops it, an update of the object keeps the old one."""
    created_with_status = False
    """Whether a create takes status as it comes all the same: kubelets register their nodes with it."""
    generation = True
    """Whether there is a metadata.generation, which counts changes of spec (see `desired`)."""
    create_on_update = False
    """Whether PUT to an absent name creates it (as for leases and events)."""
    qualified_finalizers = True
    """Whether a finalizer must be a standard one or have a domain; custom resources are only warned."""
    unconditional_update = True
    """Whether an update without resourceVersion is taken."""
    returns_deleted = False
    """Whether a deletion answers with the object instead of a Status."""
    orphans: bool = False
    """Whether dependents stay when a deletion does not say what becomes of them, as in the oldest APIs."""
    orphans_warning: str = ""
    """A `Warning:` on a deletion that does not say so."""
    scale_paths: tuple[str, str, str] = ("spec.replicas", "status.replicas", "spec.selector")
    """Where the scale subresource finds the wanted and the current number, and the selector ("" for none)."""
    row_order: Callable[[Obj], Any] | None = None
    """What the rows of a table are sorted by, where that is not the name."""
    deprecated: str = ""
    """A `Warning:` on each request, reads too, where the API itself is deprecated."""
    status_keeps: tuple[str, ...] = ()
    """Fields of metadata that an update of status leaves alone; most kinds let it change labels and annotations."""
    conversion: Obj | None = None
    """The webhook that converts between versions, where one does: `spec.conversion.webhook` of a CRD."""
    parts: dict[str, tuple[str, ...]] = {}
    """What an update through a subresource may change, as dotted paths: {"finalize": ("spec.finalizers",)}."""

    owned_fields: tuple[tuple[str, ...], ...] = ()
    """Field paths that alone can be owned through this subresource, "*" for any element; all of them where there are none."""

    def at(self, subresource: str) -> Strategy:
        """The strategy for updates through a subresource (other than status), where that has rules of its own."""
        return self

    def default(self, obj: Obj) -> None:
        """Set what the writer left out (in place), as `SetDefaults_*` does. Runs on each write and read of old data."""

    def prepare_create(self, obj: Obj, ctx: WriteContext) -> None:
        """Drop or set what a creator may not choose. Status and generation are handled by the machinery."""

    def prepare_update(self, new: Obj, old: Obj, ctx: WriteContext) -> None:
        """Carry over what this writer may not change."""

    def settle(self, obj: Obj, old: Obj | None, ctx: WriteContext) -> None:
        """The last look, with nobody asked in between: what was allocated may have been given away while webhooks
        took their time. Raises StatusError."""

    def prepare_status_update(self, new: Obj, old: Obj, ctx: WriteContext) -> None:
        """The same for the status subresource; the machinery has put back what is neither status nor metadata already."""

    def validate(self, obj: Obj) -> list[FieldError]:
        """What is wrong with a new object. Metadata and the name are checked by the machinery (`validate_name`)."""
        return []

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        """What is wrong with a change; normally `validate(new)` and the immutable fields."""
        return self.validate(new)

    def validate_status_update(self, new: Obj, old: Obj) -> list[FieldError]:
        return []

    def validate_name(self, name: str, prefix: bool) -> list[str]:
        """Messages on metadata.name (or generateName, with `prefix`); a DNS subdomain unless overridden."""
        from kuartui.embedded.meta import names

        return names.dns1123_subdomain(name, prefix)

    def warnings(self, obj: Obj, old: Obj | None) -> list[str]:
        """`Warning:` texts for a written object."""
        return []

    def canonicalize(self, obj: Obj) -> None:
        """Bring into canonical form after validation and admission."""

    def desired(self, obj: Obj) -> Obj:
        """What metadata.generation counts the changes of: all but metadata and status."""
        ignored = {"apiVersion", "kind", "metadata"}  # a CRD's storage version may have changed since the last write
        if self.has_status:
            ignored.add("status")
        return {field: value for field, value in obj.items() if field not in ignored}

    def lasting(self, name: str) -> str:
        """Why the object of this name may never be deleted by itself; "" where it may."""
        return ""

    def prepare_delete(self, obj: Obj) -> None:
        """Change an object that begins to be deleted (in place)."""

    def held(self, obj: Obj) -> bool:
        """Whether something besides metadata.finalizers keeps an object that is being deleted."""
        return False

    def grace_period(self, obj: Obj, asked: int | None) -> int | None:
        """Seconds until the object goes after a delete; None: no graceful deletion for this kind."""
        return None

    def fields(self, obj: Obj) -> dict[str, str]:
        """Values of the selectable fields beyond metadata.name and metadata.namespace."""
        return {}

    def unknown_field(self, field: str) -> str:
        """What is said of another field, where there are such fields at all."""
        return f"field label not supported: {field}"

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        """Cells for the columns of data/tables.json; None: Name and Created At."""
        return None

    def columns(self, version: str) -> list[Obj] | None:
        """Column definitions for `row`; None: those of data/tables.json."""
        return None

    def convert(self, obj: Obj, version: str) -> Obj:
        """From the storage version to `version` or back (obj's apiVersion tells which); default: rename only."""
        group = obj["apiVersion"].rpartition("/")[0]
        return {**obj, "apiVersion": f"{group}/{version}" if group else version}

    def complete(self, obj: Obj) -> Obj:
        """A copy of an object as it goes to the webhook that converts it."""
        return obj

    def accept(self, obj: Obj, version: str) -> Obj:
        """What is kept of an object that a webhook has converted to `version`."""
        return obj

    def reset_fields(self, subresource: str) -> tuple[tuple[str, ...], ...]:
        """Field paths that server-side apply through this (sub)resource neither sets nor owns."""
        if not self.has_status:
            return ()
        if subresource == "status":
            return ("spec",), *(("metadata", name) for name in self.status_keeps)
        return (("status",),)


_strategies: dict[str, Strategy] = {}


def register(resource: str) -> Any:
    """Class decorator: `@register("deployments.apps")` makes an instance the strategy of that resource."""

    def add(cls: type[Strategy]) -> type[Strategy]:
        _strategies[resource] = cls()
        return cls

    return add


def strategy(resource: str) -> Strategy:
    """The strategy of a group resource, its module imported on first use; the plain one if there is none."""
    found = _strategies.get(resource)
    if found is None:
        module = MODULES.get(resource)
        if module:
            import_module(f"kuartui.embedded.kinds.{module}")
        found = _strategies.setdefault(resource, _plain)
    return found


_plain = Strategy()
