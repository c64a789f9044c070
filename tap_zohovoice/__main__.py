"""Entry point of `python -m tap_zohovoice`."""

from tap_zohovoice.tap import TapZohoVoice

if __name__ == "__main__":
    TapZohoVoice.cli()
