"""Where objects live: an in-memory MVCC index over an append-only history, made durable by SQLite.

The same split as etcd behind kube-apiserver (or kine behind k3s): one revision counter for the whole cluster, an
optimistic compare on update, watches that replay from a revision, "too old" when the history was compacted.
"""

from kuartui.embedded.store.mvcc import (
    AlreadyExists,
    Compacted,
    Conflict,
    Event,
    EventType,
    Key,
    NotFound,
    Store,
    Stored,
    StoreError,
    Watch,
    WatchOverflow,
    encode,
)

__all__ = [
    "AlreadyExists",
    "Compacted",
    "Conflict",
    "Event",
    "EventType",
    "Key",
    "NotFound",
    "Store",
    "StoreError",
    "Stored",
    "Watch",
    "WatchOverflow",
    "encode",
]
