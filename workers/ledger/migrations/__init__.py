"""
How the schema came to be what `workers/ledger/schema.py` says, one file in `versions` for each change.

Expand, then contract: a change adds what the next version needs and leaves what the last one used; what nobody uses
any more is removed by a later version's migration. So a farm can be upgraded while the last version's workers still
finish their steps.
"""
