"""The rules of the elements that are made of a chain."""

from tools.mutants.rules import CORE, Rule

ELEMENTS = f"{CORE}elements.py"
TESTS = ("unit_tests/exact/events/test_elements.py",)
SYNCS = ("integration_tests/test_elements.py",)


def _rule(says: str, text: str, broken: str) -> Rule:
    return Rule(f"elements: {says}", ELEMENTS, text, broken, TESTS)


ELEMENT_RULES = [
    _rule("what is quoted has semicolons", r'|"[^"\\]*(?:\\.[^"\\]*)*"', ""),
    _rule("a quote with a backslash is none", r'(?:\\.[^"\\]*)*"|', r'[^"]*"|'),
    _rule("but where there is no other one", """|".*")+""", ")+"),
    _rule(
        "attributes begin at the first key",
        "colon = first.start() if first else",
        "colon = text.find(':') if first else",
    ),
    _rule("in its line", 'text.rfind("\\n", 0, colon) + 1', "0"),
    _rule("and end with it", "text[colon + 1 : end if end >= 0 else len(text)]", "text[colon + 1 :]"),
    _rule("a value is not empty", "attributes.find('\"', value + 1)", "attributes.find('\"', value)"),
    _rule("nor ended by a quote with a backslash", 'while end >= 0 and attributes[end - 1] == "\\\\":', "while False:"),
    _rule("empty classes are none", "[one for one in classes if one]", "classes"),
    _rule("an empty tag is null", "name if tag else None", "name"),
    _rule("an empty key is left out", "        elif key:", "        else:"),
    _rule("a number that is none is null", "except ValueError:", "except KeyError:"),
    Rule(
        "elements: they are made for queries",
        "source_posthog/streams/events.py",
        'if "elements_chain" in event and "elements" not in event:',
        "if False:",
        SYNCS,
    ),
]
