"""What we make: documents (TOML) and their types. Imports nothing of ours."""
