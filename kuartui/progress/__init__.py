"""The player's own records: attempts and their events in SQLite, best results, export."""
