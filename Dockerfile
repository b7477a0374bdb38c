# The operator's image:
#
#     docker build -t <your registry>/whatsapp-operator:0.1.0 .
#
# It runs as a user without a name, on a root file system that is read-only but for /tmp. Tag and digest of the base are
# changed together; the digest is that of the image for all platforms. Python 3.12, since 3.13 refuses an API server whose
# authority lacks extensions that kubectl does not ask for, as that of EKS may (kubernetes-client/python issue 2394).
FROM python:3.12.14-slim-trixie@sha256:f77ac9e44ae96ef2c90b8053ea08c31f8be030f824196b0ae4db6d462c84e51f AS base

FROM base AS build
ARG PREFIX=/opt/whatsapp-operator
WORKDIR /build
COPY locks/build.txt locks/run.txt locks/
# Nothing is installed that was not hashed, and nothing is compiled; what builds the wheel stays in this stage.
RUN python -m pip install --no-cache-dir --require-hashes --requirement locks/build.txt \
    && python -m venv --without-pip "$PREFIX" \
    && python -m pip --python "$PREFIX/bin/python" install --no-cache-dir --require-hashes --only-binary=:all: \
        --requirement locks/run.txt
COPY pyproject.toml README.md LICENSE ./
COPY operator operator
RUN python -m pip wheel --no-cache-dir --no-deps --no-index --no-build-isolation --wheel-dir dist . \
    && python -m pip --python "$PREFIX/bin/python" install --no-cache-dir --no-deps --no-index dist/*.whl

FROM base
ARG PREFIX=/opt/whatsapp-operator
LABEL org.opencontainers.image.title="whatsapp-operator" \
    org.opencontainers.image.description="Keeps WhatsApp instances on Evolution API servers alive" \
    org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build $PREFIX $PREFIX
# A user without a name has no home, and the Kubernetes client does not start without one.
ENV HOME=/ \
    PATH="$PREFIX/bin:$PATH" \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["whatsapp-operator"]
CMD ["run"]
