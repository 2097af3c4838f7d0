"""When and where: the ledger, the lanes, the actors, the clock, and what they tell of themselves."""
