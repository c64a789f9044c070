"""Files of recordings and voicemails."""
