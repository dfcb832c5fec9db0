"""Values as Go prints them."""

from __future__ import annotations

from kuartui.embedded.meta.gofmt import go_selector


def test_selectors_as_generated_code_prints_them() -> None:
    assert go_selector(None) == "nil"
    assert (
        go_selector({})
        == "&LabelSelector{MatchLabels:map[string]string{},MatchExpressions:[]LabelSelectorRequirement{},}"
    )
    needs = [{"key": "k", "operator": "In", "values": ["x", "y"]}, {"key": "e", "operator": "Exists"}]
    assert go_selector({"matchLabels": {"b": "2", "a": "1"}, "matchExpressions": needs}) == (
        "&LabelSelector{MatchLabels:map[string]string{a: 1,b: 2,},MatchExpressions:[]LabelSelectorRequirement{"
        "LabelSelectorRequirement{Key:k,Operator:In,Values:[x y],},LabelSelectorRequirement{Key:e,Operator:Exists,Values:[],},"
        "},}"
    )
