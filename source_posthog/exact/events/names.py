"""Which events are wanted, by their names: `events_include` and `events_exclude` of a configuration."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from source_posthog.exact.query_api import BROKEN

INCLUDE, EXCLUDE = "events_include", "events_exclude"  # the options
FILTER = "filter"  # the name in a state, beside the projects

MOST_IN_A_SENTENCE = 10


@dataclass(frozen=True)
class Names:
    """The `listed` names, or where these are `left_out`, all others; all that there are by default."""

    listed: frozenset[str] = frozenset()
    left_out: bool = True

    @property
    def are_all(self) -> bool:
        return self.left_out and not self.listed

    @property
    def are_none(self) -> bool:
        return not self.left_out and not self.listed

    def may_have(self, event: object) -> bool:
        """Whether an event that is shown by this name can have one of them."""
        name = str(event)
        return BROKEN in name or (name in self.listed) != self.left_out  # by that sign other bytes are shown

    def without(self, others: "Names") -> "Names":
        """Those that are not among `others`."""
        if self.left_out and not others.left_out:
            return Names(self.listed | others.listed)
        if self.left_out:
            return Names(others.listed - self.listed, left_out=False)
        return Names(self.listed & others.listed if others.left_out else self.listed - others.listed, left_out=False)

    def __str__(self) -> str:
        names = sorted(self.listed)
        shown = ", ".join(map(repr, names[:MOST_IN_A_SENTENCE]))
        more = f" and {len(names) - MOST_IN_A_SENTENCE} more" if len(names) > MOST_IN_A_SENTENCE else ""
        return f"all but {shown}{more}" if self.left_out and names else f"{shown}{more}" or "all"

    def written(self) -> dict[str, Any]:
        """As they stand in a state; nothing where they are all."""
        return {} if self.are_all else {FILTER: {"exclude" if self.left_out else "include": sorted(self.listed)}}


def wanted_names(config: Mapping[str, Any]) -> Names:
    """The names that a valid `config` wants."""
    if include := config.get(INCLUDE):
        return Names(frozenset(include), left_out=False)
    return Names(frozenset(config.get(EXCLUDE) or ()))


def names_in(stated: object) -> Names:
    """What `Names.written` has written. All where it is anything else: nothing that is read depends on it."""
    match stated:
        case {"include": [*names]}:
            return Names(frozenset(map(str, names)), left_out=False)
        case {"exclude": [*names]}:
            return Names(frozenset(map(str, names)))
    return Names()


def names_fault(config: Mapping[str, Any], option: str) -> str:
    """What is wrong with the names of `option`, whose type is right; "" where nothing is."""
    try:
        "".join(config[option]).encode()
    except UnicodeEncodeError:
        return f"The option `{option}` has a name that is not valid Unicode: half of a surrogate pair."
    if option == EXCLUDE and config[option] and config.get(INCLUDE):
        return f"The options `{INCLUDE}` and `{EXCLUDE}` cannot both be set: remove one of them."
    return ""
