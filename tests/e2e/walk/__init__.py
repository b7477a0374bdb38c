"""Walks every field of both resources through its values, as their CustomResourceDefinitions have them."""
