"""The exact reading of a HogQL query of the user's own: how it is paged, and what its answers prove.

Nothing in here knows of HTTP or of Airbyte (a lint rule keeps it so). `read` asks its questions through a function that
is handed to it:

    definitions.py  the queries of a configuration, and what is wrong with them
    sql.py          whether a string is one SELECT without a LIMIT of its own
    types.py        ClickHouse's types as JSON schema
    keys.py         the columns that a query is paged by: how they are ordered and compared
    order.py        where a row stands in the order of its keys, as far as that is known
    statements.py   the query, wrapped into the question for one page
    reading.py      read(...): every row once, page by page
    steady.py       whether the keys stay from one question to the next
"""
