"""whatsapp-operator keeps WhatsApp instances on Evolution API servers alive."""

__version__ = "0.1.0"
