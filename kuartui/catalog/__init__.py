"""Reads level packs: files in, `kuartui.game` types out, with errors that name file, line and field."""
