"""The two custom resources as frozen models; `crds/*.yaml` and `docs/api.md` are generated from them."""
