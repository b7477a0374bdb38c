"""What must never happen, asserted at the two servers, and what must happen in the end. See docs/simulation.md."""
