"""Why the pure part stops: what is wrong with a question, or with the answer to it.

    Unanswered            raised by whoever asks PostHog, in place of an answer:
        TooSlow           it can be asked for less,
        TooLarge          for fewer rows,
        NotAccepted       or for something else
    Uncut                 a day cannot be read in the order of storage
    UntrueAnswer          an answer that would lose rows if it were believed
        OtherInstants
    ValueError
        NotOneSelect      an SQL that cannot be read in pages
        UnfitColumns      columns that rows cannot be read by
        TooDeep           JSON that cannot be emitted

Those of Airbyte and of HTTP are in api/errors.py.
"""


class Unanswered(Exception):
    """PostHog does not answer the question as it is; its words are the string of this."""


class TooSlow(Unanswered):
    """PostHog could not answer for so much in time.

    `advice`: what to do where it stays so, in a sentence; "" where that is what one does otherwise.
    """

    def __init__(self, words: str = "", advice: str = "") -> None:
        super().__init__(words)
        self.advice = advice


class TooLarge(Unanswered):
    """The answer is larger than it should be."""


class NotAccepted(Unanswered):
    """PostHog takes the question for a wrong one (400); no waiting changes that."""


class Uncut(Exception):
    """The events of a day cannot be told apart by the order of storage: they have to be read by time."""


class UntrueAnswer(Exception):
    """An answer that would lose rows if it were believed. Its string says what is wrong with it."""


class OtherInstants(UntrueAnswer):
    """The server shows other instants than those that it filters by: those of another time zone, for example."""


class NotOneSelect(ValueError):
    """A string is not the one SELECT that it has to be. Its string says what is wrong, to stand after "The query"."""


class UnfitColumns(ValueError):
    """A query cannot be read by its key. Its string says why, to stand after "The query"."""


class TooDeep(ValueError):
    """JSON is nested more than `levels` deep."""

    def __init__(self, levels: int) -> None:
        super().__init__(f"it is nested more than {levels} levels deep")
