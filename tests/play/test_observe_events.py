"""Of many events the newest are shown, and only those are put into words."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from kuartui.catalog.catalog import Catalog
from kuartui.play.observe import SHOWN_EVENTS, Observer


def test_the_newest_events_are_shown() -> None:
    level = Catalog.default().level("broken-selector")
    observer = Observer(Path("kubeconfig"), level, wide=True, now=lambda: 1000.0)
    resource = SimpleNamespace(kind="Event", namespaced=True, group_resource="events")
    objects: dict[Any, Any] = {
        number: {
            "metadata": {"name": f"e{number}", "namespace": level.namespace},
            "cells": [float(number), "Normal", "Rain", "pod/x", f"drop {number}"],
        }
        for number in range(500)
    }
    columns = ("Last Seen", "Type", "Reason", "Object", "Message")
    observer._watched = [SimpleNamespace(resource=resource, objects=objects, columns=columns, problem="")]  # type: ignore[list-item]
    (section,) = observer.sections()
    assert [row.name for row in section.rows] == [f"e{number}" for number in range(499, 499 - SHOWN_EVENTS, -1)]
    assert section.more == 500 - SHOWN_EVENTS
    (found,) = observer.sections("drop 7")
    assert {row.name for row in found.rows} <= {
        "e7",
        *(f"e7{n}" for n in range(10)),
        *(f"e{n}" for n in range(100, 500)),
    }
    assert any(row.name == "e7" for row in found.rows)
