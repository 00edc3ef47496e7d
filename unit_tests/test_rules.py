"""`make mutants` can break what it says that it breaks."""

from integration_tests.mutants import ROOT, RULES


def test_what_each_rule_breaks_stands_once_in_its_file() -> None:
    counts = {rule.says: (ROOT / rule.file).read_text().count(rule.text) for rule in RULES}
    assert counts == dict.fromkeys(counts, 1)
