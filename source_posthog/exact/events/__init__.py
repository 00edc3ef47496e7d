"""The exact reading of events: which questions to ask, what an answer proves, and which state that allows.

Nothing in here knows of HTTP or of Airbyte (a lint rule keeps it so). `read` asks its questions through a function that
is handed to it, and whoever calls it reports to the `Ledger` what was emitted:

    reading.py      read(query, ask): every event of a range once, newest first
    port.py         what is asked, what is answered, and which two rows are one event
    reach.py        how long a range the server can answer
    event_list.py   the question as parameters of PostHog's events list, and what its answer proves
    event_query.py  the question as a query of PostHog's, and its rows as those of the list
    query_answer.py what an answer of the query API proves, of any kind of query
    properties.py   the properties of an event, also where they are none
    page_size.py    how many rows to ask for
    ledger.py       what is read of each project, and the state that follows
    tracks.py       which ranges of one project are emitted
    late.py         what was emitted before a range has to be read in another way
    windows.py      how a project's time is cut, and what is skipped
    instants.py     instants as PostHog and states write them
"""
