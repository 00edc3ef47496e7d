"""`make mutants` can break what it says that it breaks."""

from tools.mutants.__main__ import ROOT, RULES


def test_what_each_rule_breaks_stands_once_in_its_file() -> None:
    assert [rule.says for rule in RULES if (ROOT / rule.file).read_text().count(rule.text) != 1] == []
