"""How it is made: decide (pure), then do (through `tools`). Knows no queue and no database."""
