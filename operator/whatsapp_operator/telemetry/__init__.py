"""What the operator tells of itself: metrics, logs, the audit trail, health endpoints."""
