"""A local server with the API of Zoho Voice: tokens, call logs, files, transcripts, other lists.

All data is generated from a seed. The server behaves as Zoho documents its services; a `Dialect`
chooses the behaviour that Zoho does not document.
"""

from zoho_voice_sandbox.dialect import Dialect
from zoho_voice_sandbox.directory import Directory
from zoho_voice_sandbox.history import History
from zoho_voice_sandbox.server import Sandbox

__all__ = ["Dialect", "Directory", "History", "Sandbox"]
