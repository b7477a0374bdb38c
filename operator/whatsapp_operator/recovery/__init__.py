"""An assessment becomes the next step, by a pure plan, and strategies carry steps out."""
