"""The screens: home, play, result, and the dialogs."""
