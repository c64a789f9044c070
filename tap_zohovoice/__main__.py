"""Entry point of the command."""

import gc
import signal


def main() -> None:
    """Run the command line of the tap."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback at Ctrl-C before the run
    # Collecting garbage takes a third of the start and finds none: imported objects stay in use.
    gc.disable()
    from tap_zohovoice.tap import TapZohoVoice  # noqa: PLC0415 - without garbage collection

    gc.freeze()
    gc.set_threshold(10_000)  # objects; a page of rows has a few thousand, which are in use too
    gc.enable()
    TapZohoVoice.cli()


if __name__ == "__main__":
    main()
