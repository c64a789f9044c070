"""A Zoho Voice to try the tap on: accounts, call logs, their files and their transcripts.

Everything it holds is made up from a seed. It behaves as Zoho documents the two services; what
Zoho does not document is chosen by a `Dialect`.
"""

from importlib.util import find_spec

if find_spec("werkzeug") is None:
    message = "the sandbox needs werkzeug: pip install 'tap-zohovoice[sandbox]'"
    raise ModuleNotFoundError(message, name="werkzeug")

from tap_zohovoice.sandbox.dialect import Dialect
from tap_zohovoice.sandbox.history import History
from tap_zohovoice.sandbox.server import Sandbox

__all__ = ["Dialect", "History", "Sandbox"]
