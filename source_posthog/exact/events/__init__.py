"""The exact reading of events: which questions to ask, what an answer proves, and which state that allows.

`read_range` and `read_day` ask their questions through functions that are handed to them, and whoever calls them
reports to the `Ledger` what was emitted:

    reading.py        read_range(query, ask): every event of a range once, newest first
    storage_order.py  read_day(query, ask, count, ...): every event of a dense day once, in the order of storage
    storage_sql.py    that order in HogQL
    port.py           what is asked, what is answered, and which two rows are one event
    reach.py          how long a range the server can answer
    names.py          which events are wanted, by their names
    conditions.py     what holds for the events of a question, in HogQL
    event_list.py     the question as parameters of PostHog's events list, and what its answer proves
    event_query.py    the question as a query of PostHog's, and its rows as those of the list
    elements.py       the elements of an event, which a query gives as a string
    properties.py     the properties of an event, also where they are none
    page_size.py      how many rows to ask for
    ledger.py         what is read of each project, and the state that follows
    half_days.py      how the state says how far a day is read
    tracks.py         which ranges of one project are emitted
    late.py           what was emitted before a range has to be read in another way
    windows.py        how a project's time is cut, and what is skipped
"""
