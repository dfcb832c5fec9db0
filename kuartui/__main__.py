"""`python -m kuartui` is the command line."""

from kuartui.cli.app import main

if __name__ == "__main__":
    main()
