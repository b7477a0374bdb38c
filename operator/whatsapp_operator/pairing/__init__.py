"""Pairing a phone: QR codes, and the Secret that hands them over."""
