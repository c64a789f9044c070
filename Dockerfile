# Only the tap, with the pinned versions that its tests use: docker build --tag tap-zohovoice .
FROM python:3.13-slim-trixie AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ONLY_BINARY=:all: PIP_REQUIRE_HASHES=1
WORKDIR /src
COPY requirements/build.txt requirements/runtime.txt requirements/
RUN python -m venv /opt/build \
    && python -m venv --without-pip /opt/tap \
    && /opt/build/bin/pip install --requirement requirements/build.txt \
    && /opt/build/bin/pip --python /opt/tap/bin/python install --requirement requirements/runtime.txt

COPY pyproject.toml README.md LICENSE ./
COPY tap_zohovoice tap_zohovoice
# The version comes from .git, which is not in the build context.
ARG VERSION=0.1.0.dev0
RUN SETUPTOOLS_SCM_PRETEND_VERSION=${VERSION} \
        /opt/build/bin/hatchling build --target wheel --directory dist \
    && PIP_REQUIRE_HASHES=0 \
        /opt/build/bin/pip --python /opt/tap/bin/python install --no-deps --no-index dist/*.whl

FROM python:3.13-slim-trixie

# Folders for the state of the rate limit, which all runs share, and for recordings.
ENV XDG_STATE_HOME=/state PATH=/opt/tap/bin:$PATH
RUN useradd --uid 10001 --no-create-home --home-dir /nonexistent tap \
    && install --directory --owner=tap --mode=0700 /state /recordings
COPY --from=build /opt/tap /opt/tap
USER 10001
WORKDIR /
VOLUME ["/state", "/recordings"]
ENTRYPOINT ["tap-zohovoice"]
