"""`kuartui`, and `python -m kuartui`: the command line."""


def run() -> None:
    """Entry point. Nothing is loaded before it, so that Ctrl-C in that time ends it without a traceback."""
    try:
        from kuartui.cli.app import main
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    main()


if __name__ == "__main__":
    run()
